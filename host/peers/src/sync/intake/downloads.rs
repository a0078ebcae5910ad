//! Files that were asked for, as their pieces come in.

use std::path::PathBuf;

use tokio::sync::oneshot;

use super::{End, Intake};
use crate::{
    files::{self, FetchError},
    sync::blocking,
};

pub(super) struct FileJob {
    pub sha256: String,
    pub into: PathBuf,
    pub done: oneshot::Sender<Result<PathBuf, FetchError>>,
    pub incoming: Option<files::Incoming>,
}

impl Intake<'_> {
    pub(super) async fn begin_file(&mut self, request: u32, length: u64) -> Result<(), End> {
        let Some(mut job) = self.files.remove(&request) else { return Ok(()) };
        let (sha256, into) = (job.sha256.clone(), job.into.clone());
        match blocking(move || files::Incoming::begin(&sha256, &into, length)).await {
            Ok(incoming) => {
                job.incoming = Some(incoming);
                self.go_on(request, job).await;
            }
            Err(error) => drop(job.done.send(Err(error))),
        }
        Ok(())
    }

    pub(super) async fn take_piece(&mut self, request: u32, bytes: bytes::Bytes) -> Result<(), End> {
        // A job that has failed, or that nobody waits for any more, is gone; the rest of its file is passed over.
        let Some(mut job) = self.files.remove(&request).filter(|job| !job.done.is_closed()) else { return Ok(()) };
        let Some(mut incoming) = job.incoming.take() else { return Ok(()) };
        match blocking(move || incoming.take(&bytes).map(|()| incoming)).await {
            Ok(incoming) => {
                job.incoming = Some(incoming);
                self.go_on(request, job).await;
            }
            Err(error) => drop(job.done.send(Err(error))),
        }
        Ok(())
    }

    async fn go_on(&mut self, request: u32, mut job: FileJob) {
        match job.incoming.take() {
            Some(incoming) if incoming.is_whole() => {
                let done = blocking(move || incoming.finish()).await;
                job.done.send(done).ok();
            }
            incoming => {
                job.incoming = incoming;
                self.files.insert(request, job);
            }
        }
    }
}
