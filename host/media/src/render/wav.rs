//! WAV files in and out. Reading takes what phones, editors and speech programs write, and says which chunk and value is wrong
//! with the rest.

use std::io::{self, Write};
use std::path::Path;

use crate::g711;

/// The largest file that is read.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// The longest audio that is taken.
pub const MAX_SECONDS: u64 = 30 * 60;
/// Sample rates that are taken.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// A length from here on is a placeholder of a program that wrote to a pipe: the data reaches to the end of the file.
const STREAMED: u32 = 0x7FFF_0000;

/// Mono samples, -1 to 1, at any rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Samples a second.
    pub rate: u32,
    /// The samples; of a stereo file the mean of both channels.
    pub samples: Vec<f32>,
}

/// Why a file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// Too large to be read at all.
    #[error("the file has {0} bytes; at most {MAX_BYTES} are taken")]
    TooLarge(u64),
    /// Not a RIFF/WAVE file.
    #[error("chunk `RIFF`: the file begins with {0:?} where a WAV file begins with `RIFF`, a length and `WAVE`")]
    NotWav(String),
    /// A chunk promises more than there is.
    #[error("chunk `{chunk}` says {says} bytes, but {left} are left in the file; it was cut short")]
    CutShort {
        /// The chunk's name.
        chunk: String,
        /// Its length field.
        says: u32,
        /// Bytes after the length field.
        left: usize,
    },
    /// The format chunk is too short.
    #[error("chunk `fmt ` has {0} bytes; it needs at least 16")]
    ShortFormat(usize),
    /// No such chunk, or it comes too late.
    #[error("chunk `{0}` is missing")]
    Missing(&'static str),
    /// A value that is not taken.
    #[error("chunk `fmt `: {what} is {value}; taken is {taken}")]
    Unsupported {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u32,
        /// What would be taken.
        taken: &'static str,
    },
    /// No samples.
    #[error("chunk `data` holds no complete sample")]
    Empty,
    /// Too long.
    #[error("chunk `data` holds {0} s of audio; at most {MAX_SECONDS} s are taken")]
    TooLong(u64),
}

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sample {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    ALaw,
    MuLaw,
}

#[derive(Debug, Clone, Copy)]
struct Format {
    sample: Sample,
    channels: usize,
    rate: u32,
}

impl Sample {
    fn bytes(self) -> usize {
        match self {
            Sample::Unsigned8 | Sample::ALaw | Sample::MuLaw => 1,
            Sample::Signed16 => 2,
            Sample::Signed24 => 3,
            Sample::Signed32 | Sample::Float32 => 4,
            Sample::Float64 => 8,
        }
    }

    /// Reads one sample; `bytes` has the length that `bytes()` says.
    fn read(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Sample::Unsigned8, [a]) => (f32::from(*a) - 128.0) / 128.0,
            (Sample::ALaw, [a]) => f32::from(g711::a_decode(*a)) / 32_768.0,
            (Sample::MuLaw, [a]) => f32::from(g711::mu_decode(*a)) / 32_768.0,
            (Sample::Signed16, [a, b]) => f32::from(i16::from_le_bytes([*a, *b])) / 32_768.0,
            (Sample::Signed24, [a, b, c]) => (i32::from_le_bytes([0, *a, *b, *c]) >> 8) as f32 / 8_388_608.0,
            (Sample::Signed32, [a, b, c, d]) => i32::from_le_bytes([*a, *b, *c, *d]) as f32 / 2_147_483_648.0,
            (Sample::Float32, [a, b, c, d]) => finite(f32::from_le_bytes([*a, *b, *c, *d])),
            (Sample::Float64, [a, b, c, d, e, f, g, h]) => {
                finite(f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as f32)
            }
            _ => 0.0,
        }
    }
}

/// A float file may hold anything: what is not a number is silence, what is too loud is clipped.
fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// Reads a WAV file's bytes.
///
/// # Errors
/// It is not a WAV file, is damaged, or is of a kind that is not taken.
pub fn read(bytes: &[u8]) -> Result<Clip, WavError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(WavError::TooLarge(bytes.len() as u64));
    }
    if bytes.len() < 12 || &bytes[..4] != b"RIFF" || &bytes[8..12] != b"WAVE" {
        return Err(WavError::NotWav(String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).into_owned()));
    }
    let mut rest = &bytes[12..];
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let says = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let length = says as usize;
        let is_data = &head[..4] == b"data";
        let content = match body.get(..length) {
            Some(content) => content,
            None if is_data && says >= STREAMED => body,
            None => {
                let chunk = String::from_utf8_lossy(&head[..4]).into_owned();
                return Err(WavError::CutShort { chunk, says, left: body.len() });
            }
        };
        if is_data {
            return samples(format.ok_or(WavError::Missing("fmt "))?, content);
        }
        if &head[..4] == b"fmt " {
            format = Some(read_format(content)?);
        }
        // Chunks begin at even offsets.
        rest = body.get(length + length % 2..).unwrap_or(&[]);
    }
    Err(WavError::Missing(if format.is_some() { "data" } else { "fmt " }))
}

fn read_format(chunk: &[u8]) -> Result<Format, WavError> {
    if chunk.len() < 16 {
        return Err(WavError::ShortFormat(chunk.len()));
    }
    let word = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
    let mut tag = word(0);
    let (channels, bits) = (word(2), word(14));
    let rate = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
    // The extensible form names the real format in the first two bytes of an identifier.
    if tag == 0xFFFE {
        if chunk.len() < 26 {
            return Err(WavError::ShortFormat(chunk.len()));
        }
        tag = word(24);
    }
    let bad_bits = |taken| WavError::Unsupported { what: "bits a sample", value: u32::from(bits), taken };
    let sample = match (tag, bits) {
        (1, 8) => Sample::Unsigned8,
        (1, 16) => Sample::Signed16,
        (1, 24) => Sample::Signed24,
        (1, 32) => Sample::Signed32,
        (1, _) => return Err(bad_bits("8, 16, 24 or 32")),
        (3, 32) => Sample::Float32,
        (3, 64) => Sample::Float64,
        (3, _) => return Err(bad_bits("32 or 64 for floating point")),
        (6, 8) => Sample::ALaw,
        (7, 8) => Sample::MuLaw,
        (6 | 7, _) => return Err(bad_bits("8 for A-law and mu-law")),
        (tag, _) => {
            let taken = "1 (PCM), 3 (float), 6 (A-law) or 7 (mu-law); save the file as uncompressed WAV";
            return Err(WavError::Unsupported { what: "the format", value: u32::from(tag), taken });
        }
    };
    if !(1..=2).contains(&channels) {
        let value = u32::from(channels);
        return Err(WavError::Unsupported { what: "the number of channels", value, taken: "1 or 2" });
    }
    if !RATES.contains(&rate) {
        return Err(WavError::Unsupported { what: "the sample rate", value: rate, taken: "4000 to 192000" });
    }
    Ok(Format { sample, channels: usize::from(channels), rate })
}

fn samples(format: Format, data: &[u8]) -> Result<Clip, WavError> {
    let frame = format.sample.bytes() * format.channels;
    let frames = data.len() / frame;
    if frames == 0 {
        return Err(WavError::Empty);
    }
    let seconds = frames as u64 / u64::from(format.rate);
    if seconds > MAX_SECONDS {
        return Err(WavError::TooLong(seconds));
    }
    let samples = data
        .chunks_exact(frame)
        .map(|frame| {
            let sum: f32 = frame.chunks_exact(format.sample.bytes()).map(|bytes| format.sample.read(bytes)).sum();
            sum / format.channels as f32
        })
        .collect();
    Ok(Clip { rate: format.rate, samples })
}

/// Writes 16-bit mono samples as a WAV file.
///
/// # Errors
/// The file cannot be written, or the samples do not fit into a WAV file.
pub fn write(path: &Path, rate: u32, samples: &[i16]) -> io::Result<()> {
    let mut file = io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(&header(rate, samples.len())?)?;
    for sample in samples {
        file.write_all(&sample.to_le_bytes())?;
    }
    file.flush()
}

fn header(rate: u32, samples: usize) -> io::Result<Vec<u8>> {
    let data = u32::try_from(samples * 2).ok().filter(|data| *data < STREAMED).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{samples} samples do not fit into a WAV file"))
    })?;
    let mut out = Vec::with_capacity(44);
    out.extend(b"RIFF");
    out.extend((36 + data).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16u32.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(1u16.to_le_bytes());
    out.extend(rate.to_le_bytes());
    out.extend((rate * 2).to_le_bytes());
    out.extend(2u16.to_le_bytes());
    out.extend(16u16.to_le_bytes());
    out.extend(b"data");
    out.extend(data.to_le_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        out.extend(16u32.to_le_bytes());
        for word in [tag, channels] {
            out.extend(word.to_le_bytes());
        }
        out.extend(rate.to_le_bytes());
        out.extend([0; 6]);
        out.extend(bits.to_le_bytes());
        out.extend(b"data");
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn every_width_reads_half_scale_as_half() {
        for (tag, bits, data) in [
            (1, 8, vec![192]),
            (1, 16, 16_384i16.to_le_bytes().to_vec()),
            (1, 24, vec![0, 0, 0x40]),
            (1, 32, 0x4000_0000i32.to_le_bytes().to_vec()),
            (3, 32, 0.5f32.to_le_bytes().to_vec()),
            (3, 64, 0.5f64.to_le_bytes().to_vec()),
        ] {
            let clip = read(&file(tag, 1, 8_000, bits, &data)).expect("well formed");
            assert_eq!(clip, Clip { rate: 8_000, samples: vec![0.5] }, "format {tag}, {bits} bits");
        }
        let law = read(&file(7, 1, 8_000, 8, &[0x80, 0x00])).expect("well formed");
        assert!(law.samples[0] > 0.97 && law.samples[1] < -0.97, "{law:?}");
    }

    #[test]
    fn negative_24_bit_samples_keep_their_sign() {
        let clip = read(&file(1, 1, 48_000, 24, &[0, 0, 0xC0])).expect("well formed");
        assert_eq!(clip.samples, [-0.5]);
    }

    #[test]
    fn stereo_becomes_the_mean() {
        let data: Vec<u8> = [16_384i16, 0].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(read(&file(1, 2, 44_100, 16, &data)).expect("well formed").samples, [0.25]);
    }

    #[test]
    fn other_chunks_are_passed_over_and_odd_ones_padded() {
        let plain = file(1, 1, 8_000, 8, &[192]);
        let mut with = plain[..12].to_vec();
        with.extend(b"LIST\x03\0\0\0abc\0");
        with.extend(&plain[12..]);
        assert_eq!(read(&with).expect("well formed").samples, [0.5]);
    }

    #[test]
    fn a_placeholder_length_reads_to_the_end_but_a_lie_is_refused() {
        let mut piped = file(1, 1, 22_050, 16, &[0; 20]);
        piped[40..44].copy_from_slice(&0x7FFF_F000u32.to_le_bytes());
        assert_eq!(read(&piped).expect("piped").samples.len(), 10);
        piped[40..44].copy_from_slice(&21u32.to_le_bytes());
        assert_eq!(read(&piped), Err(WavError::CutShort { chunk: "data".into(), says: 21, left: 20 }));
    }

    #[test]
    fn refusals_name_the_chunk_and_the_value() {
        let message = |bytes: &[u8]| read(bytes).expect_err("must be refused").to_string();
        assert!(message(b"ID3\x03 not a wav").contains("ID3"));
        assert!(message(&file(0x55, 1, 8_000, 16, &[0; 4])).contains("85"));
        assert!(message(&file(1, 6, 8_000, 16, &[0; 12])).contains("channels is 6"));
        assert!(message(&file(1, 1, 1, 16, &[0; 4])).contains("rate is 1;"));
        assert!(message(&file(1, 1, 8_000, 12, &[0; 4])).contains("bits a sample is 12"));
        assert!(message(&file(1, 1, 8_000, 16, &[0])).contains("`data` holds no complete sample"));
        assert!(message(b"RIFF\0\0\0\0WAVE").contains("`fmt ` is missing"));
        let whole = file(1, 1, 8_000, 16, &[0; 4]);
        assert!(message(&whole[..36]).contains("`data` is missing"));
        assert!(message(b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0").contains("`fmt ` has 2 bytes"));
        let long = file(1, 1, 4_000, 8, &vec![128; 4_000 * 1_801]);
        assert!(message(&long).contains("1801 s"));
    }

    #[test]
    fn no_cut_of_a_file_makes_the_reader_panic() {
        let whole = file(0xFFFE, 1, 8_000, 16, &[1; 40]);
        for length in 0..whole.len() {
            let _ = read(&whole[..length]);
        }
        let seed = 0x5eed_0a0f_u64;
        println!("seed {seed:#x}");
        let mut state = seed;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut bytes = whole.clone();
            let at = 12 + (state >> 33) as usize % (bytes.len() - 12);
            bytes[at] = (state >> 24) as u8;
            let _ = read(&bytes);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.wav");
        write(&path, 16_000, &[0, 16_384, -16_384]).expect("writable");
        let clip = read(&std::fs::read(&path).expect("readable")).expect("our own file");
        assert_eq!(clip, Clip { rate: 16_000, samples: vec![0.0, 0.5, -0.5] });
    }
}
