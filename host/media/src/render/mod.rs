//! What is heard, as samples: files, tones and speech put one after the other, brought to 8 kHz, and kept by content.
//!
//! Rendering reads files, runs a speech program and takes its time: it is called off the hot path, at saving or at acceptance,
//! and its result is shared.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::Codec;

/// One piece of what is heard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sound {
    /// A built-in tone by name; see [`tone_names`].
    Tone(String),
    /// A WAV file.
    File(PathBuf),
    /// Text to be spoken.
    Speech(String),
    /// Silence, in milliseconds.
    Silence(u32),
}

/// What is heard, from first to last, and how many times.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AudioRequest {
    /// The pieces in order.
    pub sounds: Vec<Sound>,
    /// How many times the whole is played; 0 counts as 1.
    pub repeats: u32,
}

/// How speech is made and how much is kept.
#[derive(Debug, Clone)]
pub struct RenderConfig {
    /// The speech program and its arguments. It reads text on its standard input and writes a WAV file to its standard output.
    pub speech_command: Vec<String>,
    /// How long the speech program may take.
    pub speech_timeout: Duration,
    /// How many bytes of rendered audio are kept.
    pub cache_bytes: usize,
}

/// Renders and keeps.
#[derive(Debug)]
pub struct Renderer {
    config: RenderConfig,
}

/// Audio ready to be sent. Cheap to share; encodings are made on first use and kept.
#[derive(Debug)]
pub struct Rendered {
    pcm: Vec<i16>,
}

/// Why something cannot be heard.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No such built-in tone.
    #[error("there is no tone named `{0}`; choose one of {1}")]
    UnknownTone(String, String),
}

/// The names of the built-in tones.
pub fn tone_names() -> &'static [&'static str] {
    &["chime", "bell", "alert", "warble", "tone-1khz"]
}

impl Renderer {
    /// A renderer with an empty cache.
    pub fn new(config: RenderConfig) -> Renderer {
        Renderer { config }
    }

    /// The samples of `request`, from the cache where they are known. Blocking.
    pub fn render(&self, request: &AudioRequest) -> Result<Arc<Rendered>, RenderError> {
        let _ = (request, &self.config);
        unimplemented!()
    }
}

impl Rendered {
    /// Audio from samples at 8 kHz.
    pub fn from_pcm_8k(pcm: Vec<i16>, repeats: u32) -> Rendered {
        let _ = repeats;
        Rendered { pcm }
    }

    /// One play, mono at 8 kHz.
    pub fn pcm_8k(&self) -> &[i16] {
        &self.pcm
    }

    /// One play, mono at 16 kHz; made on first use.
    pub fn pcm_16k(&self) -> &[i16] {
        unimplemented!()
    }

    /// One play in this encoding, 8 bytes a millisecond; made on first use.
    pub fn encoded(&self, codec: Codec) -> &[u8] {
        let _ = codec;
        unimplemented!()
    }

    /// How long all repeats last, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        unimplemented!()
    }

    /// What an operator should know, such as speech replaced by a chime because no speech program is installed.
    pub fn notes(&self) -> &[String] {
        &[]
    }
}
