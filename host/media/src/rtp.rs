//! RTP packets (RFC 3550): the header we send, and a parser for whatever arrives.

/// Bytes of the header that we send: no contributing sources, no extension.
pub const HEADER_BYTES: usize = 12;

/// The fields of an RTP header that mean something to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// First packet of a talk spurt.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in samples at the payload type's clock.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
}

/// A parsed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header.
    pub header: Header,
    /// What it carries, without padding.
    pub payload: &'a [u8],
}

/// Why a datagram is not RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Too short for what its header promises.
    #[error("{got} bytes, but the header and its lists need {needed}")]
    Short {
        /// Bytes there.
        got: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// Not version 2.
    #[error("version {0} where RTP has 2")]
    Version(u8),
    /// Padding that reaches into the header.
    #[error("{padding} bytes of padding in a payload of {payload}")]
    Padding {
        /// Bytes of padding claimed by the last byte.
        padding: u8,
        /// Bytes after the header.
        payload: usize,
    },
    /// An RTCP packet on an RTP port.
    #[error("packet type {0} is RTCP")]
    Rtcp(u8),
}

impl Header {
    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 0x80;
        bytes[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7F);
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// Reads a datagram.
///
/// # Errors
/// It is not an RTP packet.
pub fn parse(datagram: &[u8]) -> Result<Packet<'_>, RtpError> {
    let short = |needed| RtpError::Short { got: datagram.len(), needed };
    let (fixed, rest) = datagram.split_first_chunk::<HEADER_BYTES>().ok_or(short(HEADER_BYTES))?;
    let version = fixed[0] >> 6;
    if version != 2 {
        return Err(RtpError::Version(version));
    }
    // RTCP shares the first byte; its packet types 200 to 223 would be marked payload types 72 to 95, which RTP leaves free.
    if (200..=223).contains(&fixed[1]) {
        return Err(RtpError::Rtcp(fixed[1]));
    }
    let sources = usize::from(fixed[0] & 0x0F) * 4;
    let mut payload = rest.get(sources..).ok_or(short(HEADER_BYTES + sources))?;
    if fixed[0] & 0x10 != 0 {
        let (extension, after) = payload.split_first_chunk::<4>().ok_or(short(HEADER_BYTES + sources + 4))?;
        let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        payload = after.get(words * 4..).ok_or(short(HEADER_BYTES + sources + 4 + words * 4))?;
    }
    if fixed[0] & 0x20 != 0 {
        let padding = payload.last().copied().unwrap_or(0);
        if padding == 0 || usize::from(padding) > payload.len() {
            return Err(RtpError::Padding { padding, payload: payload.len() });
        }
        payload = &payload[..payload.len() - usize::from(padding)];
    }
    let header = Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7F,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    };
    Ok(Packet { header, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Header =
        Header { marker: true, payload_type: 0, sequence: 1000, timestamp: 16_000, ssrc: 0x1A2B_3C4D };

    #[test]
    fn headers_are_byte_for_byte_the_worked_ones() {
        assert_eq!(FIRST.to_bytes(), [0x80, 0x80, 0x03, 0xe8, 0, 0, 0x3e, 0x80, 0x1a, 0x2b, 0x3c, 0x4d]);
        let next = Header { marker: false, sequence: 1001, timestamp: 16_160, ..FIRST };
        assert_eq!(next.to_bytes(), [0x80, 0x00, 0x03, 0xe9, 0, 0, 0x3f, 0x20, 0x1a, 0x2b, 0x3c, 0x4d]);
        let g722 = Header { payload_type: 9, ..FIRST };
        assert_eq!(g722.to_bytes(), [0x80, 0x89, 0x03, 0xe8, 0, 0, 0x3e, 0x80, 0x1a, 0x2b, 0x3c, 0x4d]);
    }

    #[test]
    fn what_is_built_is_parsed() {
        let mut packet = FIRST.to_bytes().to_vec();
        packet.extend([0xFF; 160]);
        let parsed = parse(&packet).expect("our own packet is RTP");
        assert_eq!(parsed.header, FIRST);
        assert_eq!(parsed.payload, [0xFF; 160]);
    }

    #[test]
    fn sources_extension_and_padding_are_taken_off() {
        let mut packet = FIRST.to_bytes().to_vec();
        packet[0] = 0x80 | 0x20 | 0x10 | 2;
        packet.extend([9; 8]);
        packet.extend([0xBE, 0xDE, 0, 1, 7, 7, 7, 7]);
        packet.extend([1, 2, 3, 0, 0, 3]);
        assert_eq!(parse(&packet).expect("well formed").payload, [1, 2, 3]);
    }

    #[test]
    fn lies_about_lengths_are_refused() {
        let header = FIRST.to_bytes();
        assert_eq!(parse(&header[..11]), Err(RtpError::Short { got: 11, needed: 12 }));
        let with_first_byte = |first: u8, rest: &[u8]| {
            let mut packet = header.to_vec();
            packet[0] = first;
            packet.extend(rest);
            parse(&packet).map(|packet| packet.payload.len())
        };
        assert_eq!(with_first_byte(0x8F, &[0; 59]), Err(RtpError::Short { got: 71, needed: 72 }));
        assert_eq!(with_first_byte(0x90, &[0, 0, 0xFF, 0xFF]), Err(RtpError::Short { got: 16, needed: 262_156 }));
        assert_eq!(with_first_byte(0xA0, &[5]), Err(RtpError::Padding { padding: 5, payload: 1 }));
        assert_eq!(with_first_byte(0xA0, &[0]), Err(RtpError::Padding { padding: 0, payload: 1 }));
        assert_eq!(with_first_byte(0xA0, &[]), Err(RtpError::Padding { padding: 0, payload: 0 }));
        assert_eq!(with_first_byte(0x40, &[]), Err(RtpError::Version(1)));
        let mut rtcp = header;
        rtcp[1] = 200;
        assert_eq!(parse(&rtcp), Err(RtpError::Rtcp(200)));
    }

    #[test]
    fn no_datagram_makes_the_parser_panic() {
        let seed = 0x5eed_3550_u64;
        println!("seed {seed:#x}");
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let mut accepted = 0;
        for _ in 0..20_000 {
            let length = next() as usize % 64;
            let mut bytes: Vec<u8> = (0..length).map(|_| next() as u8).collect();
            if let Some(first) = bytes.first_mut() {
                *first = 0x80 | (*first & 0x3F);
            }
            if let Ok(packet) = parse(&bytes) {
                accepted += 1;
                assert!(packet.payload.len() + HEADER_BYTES <= bytes.len());
            }
        }
        assert!(accepted > 0, "the generator never made a packet");
    }
}
