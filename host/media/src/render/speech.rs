//! Speech: a program that reads text and writes a WAV file, run without a shell and never for longer than it may take.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::wav::{self, Clip, WavError};

/// The longest text that is spoken; the rest would outlast every page.
pub const MAX_TEXT: usize = 8_000;
/// The most that the program may write.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;
/// How much of its complaints is kept.
const MAX_COMPLAINT: u64 = 500;

/// Why there is no speech.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// Nothing to say.
    #[error("there is no text to speak")]
    NoText,
    /// No command configured.
    #[error("no speech program is configured")]
    NoCommand,
    /// The program does not start.
    #[error("the speech program `{program}` does not start: {source}; install it or configure another")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It took too long and was ended.
    #[error("the speech program `{program}` was ended after {seconds} s without finishing")]
    Slow {
        /// The program.
        program: String,
        /// How long it had.
        seconds: f32,
    },
    /// It failed.
    #[error("the speech program `{program}` failed ({status}): {complaint}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote to its standard error.
        complaint: String,
    },
    /// It wrote something else than a WAV file.
    #[error("the speech program `{program}` wrote no usable WAV file: {source}")]
    Output {
        /// The program.
        program: String,
        /// What is wrong with it.
        source: WavError,
    },
}

/// The text as it is given to the program: control characters are spaces, and it ends after [`MAX_TEXT`] bytes.
pub fn spoken(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    clean[..clean.floor_char_boundary(MAX_TEXT)].to_owned()
}

/// Speaks a text. Blocks until the program has finished or its time is over.
///
/// # Errors
/// There is no speech; the error says why.
pub fn speak(command: &[String], text: &str, timeout: Duration) -> Result<Clip, SpeechError> {
    let [program, arguments @ ..] = command else {
        return Err(SpeechError::NoCommand);
    };
    let text = spoken(text);
    if text.is_empty() {
        return Err(SpeechError::NoText);
    }
    let deadline = Instant::now() + timeout;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| SpeechError::Start { program: program.clone(), source })?;
    let mut child = Ended(child);
    let slow = || SpeechError::Slow { program: program.clone(), seconds: timeout.as_secs_f32() };

    // One thread for each pipe, so that neither side waits for the other. They end with the child, whose pipes close.
    let mut stdin = child.0.stdin.take().expect("the pipe was asked for");
    thread::spawn(move || {
        // A program that stops reading early says so by its status.
        let _ = stdin.write_all(text.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
    });
    let output = collect(child.0.stdout.take().expect("the pipe was asked for"), MAX_OUTPUT);
    let complaint = collect(child.0.stderr.take().expect("the pipe was asked for"), MAX_COMPLAINT);

    let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
    let output = output.recv_timeout(left(deadline)).map_err(|_| slow())?;
    let status = loop {
        match child.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if left(deadline).is_zero() => return Err(slow()),
            #[expect(clippy::disallowed_methods, reason = "speech is made on a thread for blocking work")]
            Ok(None) => thread::sleep(Duration::from_millis(2)),
            Err(source) => return Err(SpeechError::Start { program: program.clone(), source }),
        }
    };
    if !status.success() {
        let complaint = complaint.recv_timeout(left(deadline)).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
        return Err(SpeechError::Failed { program: program.clone(), status: status.to_string(), complaint });
    }
    wav::read(&output).map_err(|source| SpeechError::Output { program: program.clone(), source })
}

/// A child that does not outlive its use.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a pipe to its end on a thread of its own; what is beyond the limit is read and thrown away.
fn collect(mut pipe: impl Read + Send + 'static, limit: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.by_ref().take(limit).read_to_end(&mut bytes);
        let _ = io::copy(&mut pipe, &mut io::sink());
        let _ = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    fn sh(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    const SECONDS: Duration = Duration::from_secs(20);

    #[test]
    fn the_program_gets_the_text_on_its_input_and_its_output_is_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (wav, heard) = (folder.path().join("a.wav"), folder.path().join("heard"));
        wav::write(&wav, 22_050, &[1_000; 500]).expect("writable");
        let script = format!("cat > {}; cat {}", heard.display(), wav.display());
        let clip = speak(&sh(&script), "lock\u{7} $(doors) `now`", SECONDS).expect("speech");
        assert_eq!((clip.rate, clip.samples.len()), (22_050, 500));
        assert_eq!(std::fs::read_to_string(&heard).expect("written"), "lock  $(doors) `now`\n");
    }

    #[test]
    fn a_missing_program_a_failing_one_and_a_silent_one_are_told_apart() {
        let error = |command: &[String]| speak(command, "text", SECONDS).expect_err("must fail").to_string();
        assert!(error(&["/nowhere/speak".to_owned()]).contains("`/nowhere/speak` does not start"));
        assert!(error(&[]).contains("no speech program"));
        assert!(error(&sh("echo broken voice >&2; exit 3")).contains("broken voice"));
        assert!(error(&sh("cat > /dev/null")).contains("no usable WAV"));
        let nothing = speak(&sh("true"), " \n ", SECONDS).expect_err("must fail");
        assert!(matches!(nothing, SpeechError::NoText), "{nothing}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_at_its_time() {
        for script in ["exec sleep 600", "exec >&- 2>&-; exec sleep 600"] {
            let error = speak(&sh(script), "text", Duration::from_millis(100)).expect_err("must be ended");
            assert!(matches!(error, SpeechError::Slow { .. }), "{error}");
        }
    }

    #[test]
    fn a_program_that_never_reads_does_not_block_a_long_text() {
        let error = speak(&sh("exit 7"), &"word ".repeat(100_000), SECONDS).expect_err("must fail");
        assert!(matches!(error, SpeechError::Failed { .. }), "{error}");
    }

    #[test]
    fn espeak_speaks() {
        let command = super::super::RenderConfig::default().speech_command;
        match speak(&command, "Tornado warning. Go to the shelter.", SECONDS) {
            Ok(clip) => {
                let pcm: Vec<i16> = clip.samples.iter().map(|sample| (sample * 32_767.0) as i16).collect();
                let seconds = pcm.len() as f64 / f64::from(clip.rate);
                assert!((1.0..10.0).contains(&seconds), "{seconds} s for six words");
                assert!(Level::of(&pcm).rms_dbfs() > -40.0);
            }
            Err(SpeechError::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                println!("skipped: espeak-ng is not installed");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
