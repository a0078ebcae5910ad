//! Frames between host and worker: `u32` length, `u8` kind, then the bytes. The length counts the kind.

use std::io::{self, Read, Write};

/// The longest frame. A longer one is a protocol error that ends the worker.
pub const LIMIT: usize = 4 << 20;

/// A driver's document as JSON.
pub const DOCUMENT: u8 = 0;
/// A word between host and worker themselves, as JSON.
pub const CONTROL: u8 = 2;

/// One frame as bytes.
pub fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 5);
    frame.extend_from_slice(&((body.len() + 1) as u32).to_be_bytes());
    frame.push(kind);
    frame.extend_from_slice(body);
    frame
}

/// The length that a head announces, without the kind.
///
/// # Errors
/// It is nothing, or above the limit.
pub fn length(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(head) as usize;
    match length {
        0 => Err(io::Error::new(io::ErrorKind::InvalidData, "a frame without a kind")),
        length if length > LIMIT => {
            let text = format!("a frame of {length} bytes is above the limit of {LIMIT}");
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        }
        length => Ok(length - 1),
    }
}

/// Reads one frame; `None` at the end of the stream.
///
/// # Errors
/// The stream fails, ends in the middle, or carries something else.
pub fn read(stream: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 4];
    let mut got = 0;
    while got < head.len() {
        match stream.read(&mut head[got..])? {
            0 if got == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => got += more,
        }
    }
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    let mut body = vec![0; length(head)?];
    stream.read_exact(&mut body)?;
    Ok(Some((kind[0], body)))
}

/// Writes one frame.
///
/// # Errors
/// The stream fails.
pub fn write(stream: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    stream.write_all(&encode(kind, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_wrong_ones_are_named() {
        let mut bytes = encode(DOCUMENT, b"{}");
        bytes.extend(encode(CONTROL, b""));
        let mut stream = bytes.as_slice();
        assert_eq!(read(&mut stream).expect("a frame"), Some((DOCUMENT, b"{}".to_vec())));
        assert_eq!(read(&mut stream).expect("a frame"), Some((CONTROL, Vec::new())));
        assert_eq!(read(&mut stream).expect("the end"), None);
        let error = read(&mut [0xff, 0xff, 0xff, 0xff, 0].as_slice()).expect_err("too long");
        assert!(error.to_string().contains("4294967295"), "{error}");
        assert!(read(&mut [0, 0, 0, 0, 0].as_slice()).is_err());
        assert!(read(&mut [0, 0].as_slice()).is_err());
    }
}
