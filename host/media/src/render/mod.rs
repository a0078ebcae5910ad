//! What is heard, as samples: files, tones and speech put one after the other, brought to one rate, and kept by content.
//!
//! Rendering reads files, runs a speech program and takes its time: it is called off the hot path, at saving or at acceptance,
//! and its result is shared.

mod cache;
mod rendered;
mod resample;
mod speech;
mod tones;
pub mod wav;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use rendered::{GAP_MS, Rendered};
pub use speech::SpeechError;

use cache::{Cache, Key};
use rendered::Take;
use wav::{Clip, WavError};

/// One piece of what is heard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sound {
    /// A built-in tone by name; see [`tone_names`].
    Tone(String),
    /// A WAV file.
    File(PathBuf),
    /// Text to be spoken. Where it cannot be spoken a chime takes its place, and [`Rendered::notes`] says why.
    Speech(String),
    /// Silence, in milliseconds.
    Silence(u32),
}

/// What is heard, from first to last, and how many times.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AudioRequest {
    /// The pieces in order.
    pub sounds: Vec<Sound>,
    /// How many times the whole is played; 0 counts as 1, and more than [`MAX_REPEATS`] as that.
    pub repeats: u32,
}

/// The most repeats of one request.
pub const MAX_REPEATS: u32 = 1_000;
/// The longest silence in one piece, in milliseconds.
const MAX_SILENCE_MS: u32 = 60_000;
/// The most pieces of one request.
const MAX_SOUNDS: usize = 32;
/// The longest whole, in seconds.
const MAX_SECONDS: usize = 2 * wav::MAX_SECONDS as usize;
/// The tone that takes the place of what cannot be spoken.
const INSTEAD: &str = "chime";
/// Loudest sample of files and speech: 3 dB below full scale.
const PEAK: f32 = 0.708;
/// A quiet file is raised by 12 dB at most, so that noise does not become a roar.
const MAX_GAIN: f32 = 4.0;

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

impl Default for RenderConfig {
    fn default() -> Self {
        RenderConfig {
            speech_command: ["espeak-ng", "-v", "en-us", "-s", "150", "--stdin", "--stdout"]
                .map(str::to_owned)
                .to_vec(),
            speech_timeout: Duration::from_secs(10),
            cache_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Why something cannot be heard.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No such built-in tone.
    #[error("there is no tone named `{0}`; choose one of {1}")]
    UnknownTone(String, String),
    /// The file cannot be read.
    #[error("audio file {path:?} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not a WAV file that is taken.
    #[error("audio file {path:?} is not usable: {source}")]
    Wav {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: WavError,
    },
    /// Nothing to hear.
    #[error("the audio has no sound in it; name a tone, a file or a text")]
    Nothing,
    /// Too much to hear.
    #[error("the audio has {0} pieces; at most {MAX_SOUNDS} are taken")]
    TooMany(usize),
    /// Too long.
    #[error("the audio lasts {0} s; at most {MAX_SECONDS} s are taken")]
    TooLong(usize),
}

/// The names of the built-in tones.
pub fn tone_names() -> Vec<&'static str> {
    tones::names().collect()
}

/// Renders, and keeps what was rendered lately.
#[derive(Debug)]
pub struct Renderer {
    config: RenderConfig,
    cache: Mutex<Cache>,
}

/// A piece whose content is known but not yet samples.
enum Piece {
    Tone(String),
    File(PathBuf, Vec<u8>),
    Speech(String),
    Silence(u32),
}

impl Renderer {
    /// A renderer with an empty cache.
    pub fn new(config: RenderConfig) -> Renderer {
        let cache = Mutex::new(Cache::new(config.cache_bytes));
        Renderer { config, cache }
    }

    /// The samples of `request`, from the cache where they are known. Blocks: a file is read, a text is spoken.
    ///
    /// # Errors
    /// A tone or file is unknown or unusable. Speech never fails: a chime takes its place.
    pub fn render(&self, request: &AudioRequest) -> Result<Arc<Rendered>, RenderError> {
        if request.sounds.len() > MAX_SOUNDS {
            return Err(RenderError::TooMany(request.sounds.len()));
        }
        let pieces = request.sounds.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let repeats = request.repeats.clamp(1, MAX_REPEATS);
        let key = self.key(&pieces);
        if let Some(take) = self.cache().get(&key) {
            return Ok(Arc::new(Rendered::new(take, repeats, Vec::new())));
        }
        let mut notes = Vec::new();
        let clips = pieces.iter().map(|piece| self.clip(piece, &mut notes)).collect::<Result<Vec<_>, _>>()?;
        let take = Arc::new(join(&clips)?);
        // The encoding that every device takes is ready before anybody waits for it.
        take.encoded(crate::codec::Codec::Pcmu);
        if notes.is_empty() {
            // What only stands in for speech is not kept: the next attempt may find the program.
            self.cache().insert(key, take.clone());
        }
        Ok(Arc::new(Rendered::new(take, repeats, notes)))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two requests with the same key sound the same.
    fn key(&self, pieces: &[Piece]) -> Key {
        let mut hash = Sha256::new();
        let mut field = |kind: u8, bytes: &[u8]| {
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        for piece in pieces {
            match piece {
                Piece::Tone(name) => field(1, name.as_bytes()),
                Piece::File(_, bytes) => field(2, bytes),
                Piece::Silence(ms) => field(3, &ms.to_be_bytes()),
                Piece::Speech(text) => {
                    for word in &self.config.speech_command {
                        field(4, word.as_bytes());
                    }
                    field(5, text.as_bytes());
                }
            }
        }
        hash.finalize().into()
    }

    fn clip(&self, piece: &Piece, notes: &mut Vec<String>) -> Result<Clip, RenderError> {
        match piece {
            Piece::Tone(name) => tone(name),
            Piece::Silence(ms) => Ok(Clip { rate: 8_000, samples: vec![0.0; *ms as usize * 8] }),
            Piece::File(path, bytes) => {
                let clip = wav::read(bytes).map_err(|source| RenderError::Wav { path: path.clone(), source })?;
                Ok(normalised(clip, MAX_GAIN))
            }
            Piece::Speech(text) => match speech::speak(&self.config.speech_command, text, self.config.speech_timeout) {
                Ok(clip) => Ok(normalised(clip, f32::INFINITY)),
                Err(error) => {
                    tracing::warn!(%error, "a chime takes the place of speech");
                    notes.push(format!("a chime was played in place of speech: {error}"));
                    tone(INSTEAD)
                }
            },
        }
    }
}

fn load(sound: &Sound) -> Result<Piece, RenderError> {
    Ok(match sound {
        Sound::Tone(name) => Piece::Tone(name.clone()),
        Sound::File(path) => Piece::File(path.clone(), read_file(path)?),
        Sound::Speech(text) => Piece::Speech(speech::spoken(text)),
        Sound::Silence(ms) => Piece::Silence((*ms).min(MAX_SILENCE_MS)),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, RenderError> {
    let failed = |source| RenderError::File { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > wav::MAX_BYTES {
        return Err(RenderError::Wav { path: path.to_owned(), source: WavError::TooLarge(length) });
    }
    std::fs::read(path).map_err(failed)
}

fn tone(name: &str) -> Result<Clip, RenderError> {
    let rate = 16_000;
    let samples =
        tones::samples(name, rate).ok_or_else(|| RenderError::UnknownTone(name.to_owned(), tone_names().join(", ")))?;
    Ok(Clip { rate, samples })
}

/// Brings the loudest sample to [`PEAK`], raising by no more than `max_gain`.
fn normalised(mut clip: Clip, max_gain: f32) -> Clip {
    let loudest = clip.samples.iter().fold(0.0f32, |loudest, sample| loudest.max(sample.abs()));
    if loudest > 0.0 {
        let gain = (PEAK / loudest).min(max_gain);
        clip.samples.iter_mut().for_each(|sample| *sample *= gain);
    }
    clip
}

/// One after the other, at 8 kHz where every piece is that narrow, else at 16 kHz.
fn join(clips: &[Clip]) -> Result<Take, RenderError> {
    let rate = if clips.iter().all(|clip| clip.rate <= 8_000) { 8_000 } else { 16_000 };
    let seconds = clips.iter().map(|clip| clip.samples.len() / clip.rate as usize).sum::<usize>();
    if seconds > MAX_SECONDS {
        return Err(RenderError::TooLong(seconds));
    }
    let samples: Vec<i16> =
        clips.iter().flat_map(|clip| rendered::to_pcm(&resample::resample(&clip.samples, clip.rate, rate))).collect();
    if samples.is_empty() {
        return Err(RenderError::Nothing);
    }
    Ok(Take::new(rate, samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::level::{Level, goertzel};

    fn renderer() -> Renderer {
        Renderer::new(RenderConfig { speech_command: vec!["/nowhere/speak".to_owned()], ..RenderConfig::default() })
    }

    fn request(sounds: Vec<Sound>) -> AudioRequest {
        AudioRequest { sounds, repeats: 1 }
    }

    #[test]
    fn every_tone_renders_at_both_rates_and_in_every_codec() {
        for name in tone_names() {
            let rendered = renderer().render(&request(vec![Sound::Tone(name.into())])).expect("built in");
            assert_eq!(rendered.pcm_8k().len() * 2, rendered.pcm_16k().len(), "{name}");
            for codec in Codec::ALL {
                assert_eq!(rendered.encoded(codec).len(), rendered.pcm_8k().len(), "{name} in {codec:?}");
            }
        }
    }

    #[test]
    fn an_unknown_tone_is_refused_with_the_known_ones() {
        let error = renderer().render(&request(vec![Sound::Tone("foghorn".into())])).expect_err("unknown");
        assert!(error.to_string().contains("`foghorn`") && error.to_string().contains("chime"), "{error}");
        assert!(matches!(renderer().render(&request(vec![])), Err(RenderError::Nothing)));
    }

    #[test]
    fn a_chime_stands_in_for_speech_says_so_and_is_not_kept() {
        let renderer = renderer();
        let rendered = renderer.render(&request(vec![Sound::Speech("fire".into())])).expect("a chime");
        let chime = renderer.render(&request(vec![Sound::Tone("chime".into())])).expect("built in");
        assert_eq!(rendered.pcm_8k(), chime.pcm_8k());
        assert!(rendered.notes()[0].contains("/nowhere/speak"), "{:?}", rendered.notes());
        let again = renderer.render(&request(vec![Sound::Speech("fire".into())])).expect("a chime");
        assert_eq!(again.notes().len(), 1, "the second time it was kept as if it were speech");
    }

    #[test]
    fn the_same_content_is_rendered_once_and_another_is_not_mistaken_for_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let counter = folder.path().join("count");
        let tone = folder.path().join("tone.wav");
        wav::write(&tone, 8_000, &[8_000; 800]).expect("writable");
        let script = format!("cat >/dev/null; echo run >> {}; cat {}", counter.display(), tone.display());
        let speech_command = ["sh", "-c", &script].map(str::to_owned).to_vec();
        let renderer = Renderer::new(RenderConfig { speech_command, ..RenderConfig::default() });
        let runs = || std::fs::read_to_string(&counter).unwrap_or_default().lines().count();
        for (text, expected) in [("one", 1), ("one", 1), ("two", 2), ("one", 2)] {
            renderer.render(&request(vec![Sound::Speech(text.into())])).expect("speech");
            assert_eq!(runs(), expected, "after `{text}`");
        }
        // A file is known by its content, not by its name.
        let first = renderer.render(&request(vec![Sound::File(tone.clone())])).expect("a file").pcm_8k().len();
        wav::write(&tone, 8_000, &[8_000; 1_600]).expect("writable");
        let second = renderer.render(&request(vec![Sound::File(tone)])).expect("a file").pcm_8k().len();
        assert_eq!((first, second), (800, 1_600));
    }

    #[test]
    fn a_file_of_another_rate_is_heard_at_its_pitch_and_brought_to_level() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.wav");
        let quiet: Vec<i16> = (0..44_100)
            .map(|n| (8_200.0 * (std::f64::consts::TAU * 1_000.0 * f64::from(n) / 44_100.0).sin()) as i16)
            .collect();
        wav::write(&path, 44_100, &quiet).expect("writable");
        let rendered = renderer().render(&request(vec![Sound::File(path)])).expect("a file");
        assert_eq!(rendered.pcm_8k().len(), 8_000);
        let tone = goertzel(&rendered.pcm_8k()[2_000..6_000], 8_000, 1_000.0);
        assert!((tone + 3.0).abs() < 0.2, "1000 Hz at {tone:.2} dBFS, expected -3");
        let wide = goertzel(&rendered.pcm_16k()[4_000..12_000], 16_000, 1_000.0);
        assert!((wide + 3.0).abs() < 0.2, "1000 Hz at {wide:.2} dBFS at 16 kHz");
    }

    #[test]
    fn pieces_follow_each_other() {
        let sounds = vec![Sound::Tone("tone-1khz".into()), Sound::Silence(500), Sound::Tone("tone-1khz".into())];
        let rendered = renderer().render(&request(sounds)).expect("tones");
        assert_eq!(rendered.duration_ms(), 4_500);
        assert!(Level::of(&rendered.pcm_8k()[16_800..19_200]).rms_dbfs() < -60.0);
        assert!(Level::of(&rendered.pcm_8k()[22_000..34_000]).rms_dbfs() > -10.0);
    }

    #[test]
    fn a_damaged_or_missing_file_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("bell.wav");
        let error = renderer().render(&request(vec![Sound::File(path.clone())])).expect_err("missing").to_string();
        assert!(error.contains("bell.wav") && error.contains("cannot be read"), "{error}");
        std::fs::write(&path, b"RIFF\0\0\0\0WAVE").expect("writable");
        let error = renderer().render(&request(vec![Sound::File(path)])).expect_err("damaged").to_string();
        assert!(error.contains("bell.wav") && error.contains("`fmt `"), "{error}");
    }
}
