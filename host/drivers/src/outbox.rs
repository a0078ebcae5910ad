//! Frames to a worker, in order, without waiting: written at once where the socket takes them, kept otherwise.
//!
//! A call of a driver is a matter of microseconds. Handing each frame to another task would cost more than the frame, so
//! that task is only for what the socket did not take.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::unix::OwnedWriteHalf, sync::Notify};

/// The way to one worker. Frames that are still kept when it is dropped are lost with the worker.
pub(crate) struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    socket: OwnedWriteHalf,
    kept: Mutex<Kept>,
    more: Notify,
}

/// What the socket did not take.
#[derive(Default)]
struct Kept {
    frames: VecDeque<Vec<u8>>,
    /// Nobody sends any more, or nobody takes anything any more.
    over: bool,
}

impl Outbox {
    /// Takes the writing half of the worker's socket. Must be called within the runtime.
    pub(crate) fn new(socket: OwnedWriteHalf) -> Outbox {
        let inner = Arc::new(Inner { socket, kept: Mutex::default(), more: Notify::new() });
        tokio::spawn(Inner::carry(inner.clone()));
        Outbox { inner }
    }

    /// Sends a frame after those that were given before. A worker that is gone takes none; its end is told elsewhere.
    pub(crate) fn send(&self, frame: Vec<u8>) {
        let mut kept = self.inner.kept();
        if kept.over {
            return;
        }
        if !kept.frames.is_empty() {
            kept.frames.push_back(frame);
        } else if let Some(rest) = self.inner.write(frame) {
            kept.frames.push_back(rest);
            self.inner.more.notify_one();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.inner.close();
        self.inner.more.notify_one();
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        *self.kept() = Kept { frames: VecDeque::new(), over: true };
    }

    /// Gives back what the socket did not take for want of room.
    fn write(&self, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        loop {
            match self.socket.try_write(&frame) {
                Ok(written) if written >= frame.len() => return None,
                Ok(0) => return None,
                Ok(written) => drop(frame.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(frame),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The worker is gone.
                Err(_) => return None,
            }
        }
    }

    /// Writes what was kept, whenever the socket has room again; ends with the outbox.
    async fn carry(self: Arc<Self>) {
        loop {
            let (waiting, over) = {
                let kept = self.kept();
                (!kept.frames.is_empty(), kept.over)
            };
            if over {
                return;
            }
            if !waiting {
                self.more.notified().await;
                continue;
            }
            if self.socket.writable().await.is_err() {
                return self.close();
            }
            // The lock is held from looking to writing: nobody else may write in between.
            let mut kept = self.kept();
            while let Some(frame) = kept.frames.pop_front() {
                if let Some(rest) = self.write(frame) {
                    kept.frames.push_front(rest);
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::UnixStream};

    use super::*;

    #[tokio::test]
    async fn what_the_socket_does_not_take_at_once_follows_in_order() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        let (_reader, writer) = ours.into_split();
        let outbox = Outbox::new(writer);
        let frames: Vec<Vec<u8>> = (0..200_u8).map(|number| vec![number; 64 << 10]).collect();
        for frame in &frames {
            outbox.send(frame.clone());
        }
        assert!(!outbox.inner.kept().frames.is_empty(), "13 MB do not fit into a socket");
        let mut got = vec![0; frames.len() * (64 << 10)];
        theirs.read_exact(&mut got).await.expect("everything comes");
        assert!(got == frames.concat(), "in the order in which it was sent");
        drop(outbox);
        assert_eq!(
            theirs.read(&mut [0; 1]).await.expect("the end"),
            0,
            "with the outbox its half of the socket is closed"
        );
    }
}
