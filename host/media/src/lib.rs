//! Audio of OneAlert: what is said becomes samples, samples become RTP, and RTP leaves from one clock.
//!
//! Reading order: [`render`] (WAV files, tones and speech become [`render::Rendered`]), [`codec`], [`rtp`] and [`dtmf`] (bytes),
//! [`engine`] (the one paced sender), [`receiver`] and [`witness`] (what is on the network). Everything here is blocking and
//! free of any async runtime; nothing here decides what is sent to whom.

#![warn(clippy::print_stderr, clippy::print_stdout, reason = "a server speaks through tracing")]

pub mod codec;
pub mod dtmf;
pub mod engine;
pub mod g711;
pub mod g722;
pub mod level;
pub mod receiver;
pub mod render;
pub mod route;
pub mod rtp;
pub mod ssrc;
pub mod witness;
