//! Stories of which a busy machine may rightly make another one: what is waited for, and how often such a story is told.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

/// How often a story is told before it counts that it went otherwise.
const TRIES: usize = 3;

/// Tells a story up to three times, each time on a site of its own, until it goes as it should. An `Err` says what came between
/// that is lawful and not the story's, such as an owner that stood still for long and was replaced. What comes between every
/// time is a fault, and so is at once whatever the story asserts.
///
/// # Panics
/// It went otherwise every time, or panicked itself.
pub async fn tell(mut story: impl AsyncFnMut() -> Result<(), String>) {
    let mut otherwise = Vec::new();
    while otherwise.len() < TRIES {
        match story().await {
            Ok(()) => return,
            Err(why) => {
                println!("told in vain, time {} of {TRIES}: {why}", otherwise.len() + 1);
                otherwise.push(why);
            }
        }
    }
    panic!("it went otherwise every time:\n{}", otherwise.join("\n"));
}

/// Whether something is as the story has it.
///
/// # Errors
/// It is not; the text says what is otherwise.
pub fn same<F: PartialEq<E> + Debug, E: Debug>(found: F, expected: E, what: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, and not {expected:?}")) }
}

/// Asks until the answer is as it should be.
///
/// # Errors
/// It never was within `within`; the text says what was wrong with the last one.
pub async fn asked<T, F: Future<Output = Result<T, String>>>(
    within: Duration,
    mut question: impl FnMut() -> F,
) -> Result<T, String> {
    let until = Instant::now() + within;
    loop {
        match question().await {
            Ok(answer) => return Ok(answer),
            Err(why) if Instant::now() >= until => return Err(format!("waited {within:?} in vain: {why}")),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Waits until `condition` gives something.
///
/// # Errors
/// It has not within `within`; the text says so, with `what`.
pub async fn in_time<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> F,
) -> Result<T, String> {
    asked(within, || {
        let found = condition();
        async { found.await.ok_or_else(|| what.to_owned()) }
    })
    .await
}

/// Waits until `condition` gives something; panics with `what` when it has not within `within`.
///
/// # Panics
/// The condition was not fulfilled in time.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    condition: impl FnMut() -> F,
) -> T {
    in_time(what, within, condition).await.unwrap_or_else(|why| panic!("{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_story_that_goes_as_it_should_the_third_time_is_told_three_times() {
        let mut told = 0;
        tell(async || {
            told += 1;
            same(told, 3, "the time")
        })
        .await;
        assert_eq!(told, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "it went otherwise every time:\nthe owner: 2, and not 1\n")]
    async fn a_story_that_goes_otherwise_every_time_is_a_fault() {
        tell(async || same(2, 1, "the owner")).await;
    }
}
