//! The configuration on its way from the primary to the secondaries, and on the same connection records upwards and files.
//!
//! The secondary calls and says where it stands; the primary answers with records as they commit, or with a snapshot first.
//! The position is the truth: the primary keeps no queue for anybody. [`message`] is what is said, [`channel`] how it is
//! cut into frames, [`publisher`] with `feed` the primary's side, [`subscriber`] with `intake` the secondary's,
//! [`ask`] what is said around a promotion, [`event`] what the host is told.

pub mod ask;
pub mod channel;
pub mod event;
pub(crate) mod feed;
pub(crate) mod intake;
pub mod message;
pub mod publisher;
pub mod subscriber;

/// The synchronisation protocol.
pub const PROTOCOL: u32 = 1;

/// So many heartbeats in a row without a word are a silence that ends the connection.
const MOST_QUIET: u32 = 20;

/// Runs something that blocks where blocking is allowed.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down: the caller's task ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}
