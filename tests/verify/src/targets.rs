//! Runs the test programs that cargo has built, several at a time: they wait for servers, devices and browsers far more than
//! they compute, and cargo itself runs one after the other.

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How many run at once.
const AT_ONCE: usize = 3;
/// What measures, counts under a load, or listens to the pace of audio has the machine to itself.
const ALONE: &[&str] = &["simulation", "load", "onealert-media"];
/// Packages whose programs take longest, so that none of them is begun last.
const LONG: &[&str] = &["acceptance", "onealert-web", "conformance", "peers-tests"];
/// After this time a program is ended: a test that hangs must not hide what the others say.
const PATIENCE: Duration = Duration::from_secs(1800);
const GLANCE: Duration = Duration::from_millis(20);

/// A test program.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    package: String,
    /// What cargo calls it, as its arguments: `--lib`, `--test lifecycle`.
    selected: String,
    folder: PathBuf,
    program: PathBuf,
}

/// What became of a program.
pub struct Run {
    /// What it printed, on both of its outputs.
    pub said: String,
    /// Why it counts as failed, and the command that runs it again.
    pub failure: Option<String>,
}

/// The test programs among what cargo says of a build, one JSON object a line.
pub fn built(messages: &str) -> Vec<Target> {
    let mut targets: Vec<Target> = messages.lines().filter_map(target).collect();
    let rank = |target: &Target| LONG.iter().position(|long| *long == target.package).unwrap_or(LONG.len());
    targets.sort_by_key(rank);
    targets
}

fn target(line: &str) -> Option<Target> {
    let message: Value = serde_json::from_str(line).ok()?;
    let program = PathBuf::from(message["executable"].as_str()?);
    if message["profile"]["test"] != true {
        return None;
    }
    let name = message["target"]["name"].as_str()?;
    let selected = match message["target"]["kind"][0].as_str()? {
        "test" => format!("--test {name}"),
        "bin" => format!("--bin {name}"),
        "example" => format!("--example {name}"),
        _ => "--lib".to_owned(),
    };
    let manifest = message["manifest_path"].as_str()?;
    Some(Target { package: package(manifest)?, selected, folder: Path::new(manifest).parent()?.to_owned(), program })
}

/// The package's name, which cargo's message does not hold in a form that is meant to be read.
fn package(manifest: &str) -> Option<String> {
    let text = fs::read_to_string(manifest).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("name = "))?;
    Some(name.trim_matches('"').to_owned())
}

/// Runs them all; in the order in which they ended.
///
/// # Panics
/// Its folder for what they print cannot be made.
pub fn run(targets: Vec<Target>, output: &Path) -> Vec<Run> {
    fs::create_dir_all(output).unwrap_or_else(|error| panic!("{}: {error}", output.display()));
    let (alone, together): (Vec<_>, Vec<_>) =
        targets.into_iter().partition(|target| ALONE.contains(&target.package.as_str()));
    let done = Mutex::new(Vec::new());
    for (targets, at_once) in [(alone, 1), (together, AT_ONCE)] {
        let waiting = Mutex::new(VecDeque::from(targets));
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    while let Some(target) = next() {
                        let run = target.run(output);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                    }
                });
            }
        });
    }
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Target {
    fn run(&self, output: &Path) -> Run {
        let rerun = format!("cargo test -p {} {}", self.package, self.selected);
        let kept = output.join(format!("{} {}.txt", self.package, self.selected));
        let ended = self.started(&kept).and_then(|child| within(child, PATIENCE));
        let said = fs::read(&kept).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let failure = match ended {
            Ok(Some(status)) if status.success() => None,
            Ok(Some(status)) => Some(format!("{rerun}: {status}")),
            Ok(None) => Some(format!("{rerun}: not ended within {} s", PATIENCE.as_secs())),
            Err(error) => Some(format!("{rerun}: {}: {error}", self.program.display())),
        };
        Run { said, failure }
    }

    fn started(&self, kept: &Path) -> std::io::Result<Child> {
        let file = File::create(kept)?;
        Command::new(&self.program)
            .arg("--show-output")
            .current_dir(&self.folder)
            .env("CARGO", env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .env("CARGO_MANIFEST_DIR", &self.folder)
            // A panic says where it was; a backtrace through the runtime hides what a test says of its servers.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
    }
}

/// Waits for its end; `None` if that did not come in time. Then it is ended, and all that it started: servers that nobody
/// knows any more would disturb what runs next.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread that has nothing else to do; the system tells the end of a child or a time, not both"
)]
fn within(mut child: Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > patience {
            let started = descendants(child.id());
            child.kill()?;
            child.wait()?;
            Command::new("kill")
                .arg("-KILL")
                .args(started.iter().map(u32::to_string))
                .stderr(Stdio::null())
                .status()?;
            return Ok(None);
        }
        thread::sleep(GLANCE);
    }
}

/// The processes that a process started, and those that they started.
fn descendants(process: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // The parent is the second word after the name, which is in brackets and may hold anything.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or_default()).or_default().push(id);
    }
    let mut found = children.remove(&process).unwrap_or_default();
    let mut looked_at = 0;
    while let Some(next) = found.get(looked_at) {
        looked_at += 1;
        found.extend(children.remove(next).unwrap_or_default());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str, output: &Path) -> Target {
        let program = output.join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may run");
        Target { package: "p".to_owned(), selected: format!("--test {name}"), folder: output.to_owned(), program }
    }

    #[test]
    fn test_programs_are_told_from_libraries_and_the_long_ones_come_first() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let line = |kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"manifest_path":"{manifest}","target":{{"kind":["{kind}"],"name":"x"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let lines = [
            line("lib", false, "null"),
            line("test", true, r#""/t/x-1""#),
            "no object".to_owned(),
            line("cdylib", true, r#""/t/x-2""#),
            line("bin", false, r#""/t/x""#),
        ];
        let found = built(&lines.join("\n"));
        let names: Vec<String> = found.iter().map(|it| format!("{} {}", it.package, it.selected)).collect();
        assert_eq!(names, ["verify --test x", "verify --lib"]);
        assert_eq!(found[0].folder, Path::new(env!("CARGO_MANIFEST_DIR")));
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let output = tempfile::tempdir().expect("a folder");
        let target = shell("hangs", "sleep 600 & echo $!\nwait", output.path());
        let kept = output.path().join("kept");
        let child = target.started(&kept).expect("it starts");
        let said = || fs::read_to_string(&kept).expect("what it said");
        until("it starts another", || said().ends_with('\n'));
        let ended = within(child, Duration::ZERO).expect("it can be ended");
        assert_eq!(ended, None);
        let stat = format!("/proc/{}/stat", said().trim());
        // Whoever takes in orphans may not have asked for it yet.
        let has_ended = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        until("the other has ended too", has_ended);
    }

    #[expect(clippy::disallowed_methods, reason = "the pace of looking again")]
    fn until(what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
            thread::sleep(GLANCE);
        }
    }

    #[test]
    fn a_program_that_fails_that_dies_or_that_cannot_start_is_named_with_the_command_for_it() {
        let output = tempfile::tempdir().expect("a folder");
        let missing = Target {
            package: "q".to_owned(),
            selected: "--lib".to_owned(),
            folder: "/".into(),
            program: "/none".into(),
        };
        let targets = vec![
            shell("good", "echo well; echo beside >&2", output.path()),
            shell("bad", "echo ill; exit 101", output.path()),
            shell("dead", "echo last words; kill -9 $$", output.path()),
            missing,
        ];
        let runs = run(targets, output.path());
        let mut said: Vec<(String, String)> =
            runs.into_iter().map(|run| (run.said, run.failure.unwrap_or_default())).collect();
        said.sort();
        let expected = [
            ("", "cargo test -p q --lib: /none: No such file or directory (os error 2)"),
            ("ill\n", "cargo test -p p --test bad: exit status: 101"),
            ("last words\n", "cargo test -p p --test dead: signal: 9 (SIGKILL)"),
            ("well\nbeside\n", ""),
        ];
        assert_eq!(said, expected.map(|(said, failure)| (said.to_owned(), failure.to_owned())));
    }
}
