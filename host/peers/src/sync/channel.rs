//! Documents and pieces of files on one connection, in frames of at most 64 KiB, so that nothing short waits behind
//! something long for more than one frame's time.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio_rustls::TlsStream;
use tokio_util::codec::Framed;

use crate::{
    frame::{self, FrameError, Frames, SYNC_LIMIT, Unread},
    net::TcpStream,
};

/// A document may be this long: the longest row twice over, written as text in text.
const DOCUMENT_LIMIT: usize = 20 << 20;
/// How many bytes of a document or file go into a frame.
pub const PIECE_BYTES: usize = 64 << 10;
/// A frame's first byte.
const MORE: u8 = 0;
const LAST: u8 = 1;
const FILE: u8 = 2;

/// What cannot be gone on from: the connection is closed.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The frames are wrong, or the connection failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The frames are right but hold something else.
    #[error("not the synchronisation protocol: {0}")]
    Garbage(String),
    /// The other side closed the connection in good order.
    #[error("closed by the other side")]
    Closed,
}

/// What came.
#[derive(Debug)]
pub enum Incoming<T> {
    /// A document, and how many bytes it had.
    Document(T, usize),
    /// The next bytes of the file that was asked for under this number.
    File(u32, Bytes),
    /// A document of a kind that this version does not know.
    Unknown(usize),
}

/// The sending half.
pub struct Sender(SplitSink<Framed<TlsStream<TcpStream>, Frames>, Bytes>);

/// The receiving half.
pub struct Receiver(SplitStream<Framed<TlsStream<TcpStream>, Frames>>);

/// Both halves of a connection.
pub fn open(stream: TlsStream<TcpStream>) -> (Sender, Receiver) {
    let (sink, stream) = Framed::new(stream, Frames { limit: SYNC_LIMIT }).split();
    (Sender(sink), Receiver(stream))
}

impl Sender {
    /// Sends a document. Returns how many bytes it had.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<usize, ChannelError> {
        let document = frame::write(message);
        let mut pieces = document.chunks(PIECE_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            let mark = if pieces.peek().is_some() { MORE } else { LAST };
            self.feed(mark, &[], piece).await?;
        }
        self.0.flush().await?;
        Ok(document.len())
    }

    /// Sends bytes of a file.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn send_file(&mut self, request: u32, bytes: &[u8]) -> Result<(), ChannelError> {
        self.feed(FILE, &request.to_be_bytes(), bytes).await?;
        Ok(self.0.flush().await?)
    }

    /// Says that nothing follows.
    pub async fn close(&mut self) {
        self.0.close().await.ok();
    }

    async fn feed(&mut self, mark: u8, head: &[u8], piece: &[u8]) -> Result<(), ChannelError> {
        let mut frame = BytesMut::with_capacity(1 + head.len() + piece.len());
        frame.put_u8(mark);
        frame.put_slice(head);
        frame.put_slice(piece);
        Ok(self.0.feed(frame.freeze()).await?)
    }
}

impl Receiver {
    /// The next message. Not to be dropped before it returns: the beginning of a document would be lost with it.
    ///
    /// # Errors
    /// The connection ended or failed, or what came is not this protocol.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Incoming<T>, ChannelError> {
        let mut document = BytesMut::new();
        loop {
            let mut frame = self.0.next().await.ok_or(ChannelError::Closed)??;
            let garbage = |what: &str| ChannelError::Garbage(what.to_owned());
            let mark = *frame.first().ok_or_else(|| garbage("an empty frame"))?;
            let body = frame.split_off(1);
            match mark {
                FILE if document.is_empty() => {
                    let (head, bytes) = body.split_first_chunk::<4>().ok_or_else(|| garbage("a short file frame"))?;
                    return Ok(Incoming::File(u32::from_be_bytes(*head), body.slice_ref(bytes)));
                }
                MORE | LAST => {
                    if document.len() + body.len() > DOCUMENT_LIMIT {
                        return Err(garbage("a document of more than 20 MiB"));
                    }
                    document.extend_from_slice(&body);
                    if mark == LAST {
                        let length = document.len();
                        return match frame::read(&document) {
                            Ok(message) => Ok(Incoming::Document(message, length)),
                            Err(Unread::Unknown) => Ok(Incoming::Unknown(length)),
                            Err(Unread::Garbage(reason)) => Err(ChannelError::Garbage(reason)),
                        };
                    }
                }
                other => return Err(garbage(&format!("frame mark {other}"))),
            }
        }
    }
}

/// Reads in a task of its own, so that a message is never half lost when its reader turns to something else, and so that
/// both sides can send without waiting for each other. The second value ends the task when dropped.
pub(crate) fn read_ahead<T: DeserializeOwned + Send + 'static>(
    mut receiver: Receiver,
) -> (tokio::sync::mpsc::Receiver<Result<Incoming<T>, ChannelError>>, tokio_util::sync::DropGuard) {
    let (sender, inbox) = tokio::sync::mpsc::channel(32);
    let stop = tokio_util::sync::CancellationToken::new();
    let guard = stop.clone().drop_guard();
    tokio::spawn(async move {
        let read = async {
            loop {
                let next = receiver.next().await;
                let failed = next.is_err();
                if sender.send(next).await.is_err() || failed {
                    break;
                }
            }
        };
        stop.run_until_cancelled(read).await;
    });
    (inbox, guard)
}
