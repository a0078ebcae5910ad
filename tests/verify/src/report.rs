//! What a run of the test runner says, cut down to what a person looks for: how many, what was skipped, and of each failure
//! where and why. A record of the run may keep the last lines only, so the failures come last and in few lines.

/// How many lines of one failure are shown: its message, and what the test says of its servers.
const LINES: usize = 60;

/// What the test runners counted.
#[derive(Default)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl Counts {
    /// Adds up the closing lines, such as `test result: ok. 3 passed; 0 failed; …`, and what tests say of other runners, such as
    /// `browser tests: 21 passed, 0 failed`.
    pub fn read(&mut self, text: &str) {
        for line in text.lines() {
            let Some(line) = line.strip_prefix("test result: ").or_else(|| line.strip_prefix("browser tests: ")) else {
                continue;
            };
            let number = |word: &str| {
                let before = line.split(word).next()?;
                before.split_whitespace().next_back()?.parse::<u64>().ok()
            };
            self.passed += number(" passed").unwrap_or(0);
            self.failed += number(" failed").unwrap_or(0);
        }
    }
}

/// Lines in which a test says that it had nothing to run with.
pub fn skipped(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("SKIPPED")).collect()
}

/// A test that failed, and what it said.
#[derive(Debug, PartialEq, Eq)]
struct Failure<'a> {
    test: &'a str,
    said: Vec<&'a str>,
}

impl Failure<'_> {
    /// Name, then the message with what surrounds it; the middle of a long one is left out.
    fn print(&self) {
        println!("---- {} ----", self.test);
        let (begin, end) = (self.said.len().min(LINES / 2), self.said.len().saturating_sub(LINES / 2));
        for line in &self.said[..begin] {
            println!("{line}");
        }
        if end > begin {
            println!("[{} lines]", end - begin);
        }
        for line in &self.said[end.max(begin)..] {
            println!("{line}");
        }
    }
}

/// What a test program said that failed: its failed tests, or its last words where it came to no report.
pub fn print_failures(failure: &str, said: &str) {
    let found = failures(said);
    if found.is_empty() {
        let last: Vec<&str> = said.lines().collect();
        Failure { test: failure, said: last[last.len().saturating_sub(LINES)..].to_vec() }.print();
    }
    found.iter().for_each(Failure::print);
}

/// The tests that failed. What successful ones said lies beside them in the runner's output and is left out.
fn failures(text: &str) -> Vec<Failure<'_>> {
    let mut found: Vec<Failure<'_>> = Vec::new();
    let mut among = false;
    for line in text.lines() {
        let begins = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"));
        match (line, begins) {
            // Twice in a report: before what the tests said, and before the list of their names.
            ("failures:", _) => among = !among,
            (_, Some(test)) if among => found.push(Failure { test, said: Vec::new() }),
            _ if line == "successes:" || line.starts_with("test result: ") => among = false,
            _ if among && !line.trim().is_empty() => {
                if let Some(last) = found.last_mut() {
                    last.said.push(line);
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_of_every_runner_are_counted_and_what_was_skipped_is_told() {
        let said = "test result: ok. 3 passed; 0 failed; 1 ignored\nbrowser tests: 21 passed, 2 failed\nSKIPPED x: no y\n7 passed\n";
        let mut counts = Counts::default();
        counts.read(said);
        assert_eq!((counts.passed, counts.failed), (24, 2));
        assert_eq!(skipped(said), ["SKIPPED x: no y"]);
    }

    #[test]
    fn of_a_run_with_a_failure_that_one_is_shown_and_nothing_of_the_others() {
        let said = "\nrunning 2 tests\n.F\nsuccesses:\n\n---- good stdout ----\nall is well\n\nsuccesses:\n    good\n\nfailures:\n\n\
                    ---- world::bad stdout ----\n\nthread 'bad' panicked at x.rs:1:2:\nleft != right\n\nfailures:\n    world::bad\n\n\
                    test result: FAILED. 1 passed; 1 failed\n\nrunning 1 test\n.\nsuccesses:\n\n---- other stdout ----\nfine\n";
        let found = failures(said);
        assert_eq!(
            found,
            [Failure { test: "world::bad", said: vec!["thread 'bad' panicked at x.rs:1:2:", "left != right"] }]
        );
    }
}
