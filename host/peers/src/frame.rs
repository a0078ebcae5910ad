//! Bytes to messages and back: a length of four bytes, big end first, then that many bytes.
//!
//! The pure part ([`Frames`]) is what a fuzzer feeds. Nothing is reserved for a length that was only claimed: memory grows
//! with what has arrived.

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// The longest message on the mesh.
pub const MESH_LIMIT: usize = 8 << 20;
/// The longest frame on a synchronisation connection: 64 KiB and its mark.
pub const SYNC_LIMIT: usize = (64 << 10) + 1;
/// The longest message between a joining server and the primary.
pub const JOIN_LIMIT: usize = 64 << 10;

/// Bytes that are not frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A frame is longer than the protocol allows.
    #[error("a frame of {length} bytes was announced, {limit} are allowed")]
    TooLong {
        /// What was announced.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame, {missing} bytes early")]
    Cut {
        /// What was missing.
        missing: usize,
    },
    /// The connection failed.
    #[error("{}", in_words(.0))]
    Io(#[from] std::io::Error),
}

/// A server that is killed says no farewell. The TLS library explains that at length; an operator needs the fact.
fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => String::from("the connection ended without a farewell"),
        _ => error.to_string(),
    }
}

/// Cuts bytes into frames of at most `limit` bytes.
#[derive(Debug, Clone, Copy)]
pub struct Frames {
    /// The longest frame.
    pub limit: usize,
}

impl Decoder for Frames {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, held: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = held.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        if held.len() - 4 < length {
            return Ok(None);
        }
        held.advance(4);
        Ok(Some(held.split_to(length).freeze()))
    }

    fn decode_eof(&mut self, held: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        if let Some(frame) = self.decode(held)? {
            return Ok(Some(frame));
        }
        match held.first_chunk::<4>() {
            _ if held.is_empty() => Ok(None),
            None => Err(FrameError::Cut { missing: 4 - held.len() }),
            Some(head) => Err(FrameError::Cut { missing: u32::from_be_bytes(*head) as usize + 4 - held.len() }),
        }
    }
}

impl Encoder<Bytes> for Frames {
    type Error = FrameError;

    fn encode(&mut self, frame: Bytes, out: &mut BytesMut) -> Result<(), FrameError> {
        if frame.len() > self.limit {
            return Err(FrameError::TooLong { length: frame.len(), limit: self.limit });
        }
        out.extend_from_slice(&u32::try_from(frame.len()).expect("limits are far below 4 GiB").to_be_bytes());
        out.extend_from_slice(&frame);
        Ok(())
    }
}

/// A message that is not one: unknown kinds are skipped and counted, so that a later version may say more.
#[derive(Debug)]
pub enum Unread {
    /// A document of a kind, or in a form, that this version does not know.
    Unknown,
    /// Not a document at all: the other side does not speak this protocol.
    Garbage(String),
}

/// Reads a message.
///
/// # Errors
/// It is unknown, or not a document.
pub fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Unread> {
    serde_json::from_slice(bytes).map_err(|error| match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        Ok(_) => Unread::Unknown,
        Err(_) => Unread::Garbage(error.to_string()),
    })
}

/// Writes a message.
pub fn write<T: serde::Serialize>(message: &T) -> Bytes {
    serde_json::to_vec(message).expect("messages are plain data with text keys").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let mut codec = Frames { limit: 100 };
        let mut bytes = BytesMut::new();
        for text in ["", "one", "twenty-two"] {
            codec.encode(Bytes::from_static(text.as_bytes()), &mut bytes).expect("short enough");
        }
        let (mut held, mut out) = (BytesMut::new(), Vec::new());
        for byte in bytes {
            held.extend_from_slice(&[byte]);
            while let Some(frame) = codec.decode(&mut held).expect("valid") {
                out.push(String::from_utf8(frame.to_vec()).expect("text"));
            }
        }
        assert_eq!(out, ["", "one", "twenty-two"]);
    }

    #[test]
    fn an_announced_length_above_the_limit_is_refused_before_it_is_reserved() {
        let mut held = BytesMut::from(&[0xff, 0xff, 0xff, 0xff, 0][..]);
        let before = held.capacity();
        let error = Frames { limit: 8 << 20 }.decode(&mut held).expect_err("4 GiB");
        assert!(matches!(error, FrameError::TooLong { length: 0xffff_ffff, .. }), "{error}");
        assert_eq!(held.capacity(), before);
    }

    #[test]
    fn an_end_inside_a_frame_is_not_an_ordinary_end() {
        let mut codec = Frames { limit: 10 };
        assert!(matches!(codec.decode_eof(&mut BytesMut::from(&[0, 0][..])), Err(FrameError::Cut { missing: 2 })));
        assert!(matches!(
            codec.decode_eof(&mut BytesMut::from(&[0, 0, 0, 5, 1][..])),
            Err(FrameError::Cut { missing: 4 })
        ));
        assert!(codec.decode_eof(&mut BytesMut::new()).expect("clean end").is_none());
    }
}
