//! OneAlert, the server: wires decisions, databases, peers, drivers, audio and pages together.
//!
//! Reading order: [`settings`] what stands in the file, [`app`] how everything is started and stopped ([`doors`]
//! where it listens), [`drive`] the one loop,
//! [`world`] what it can do; then [`intake`] and [`payload`] (from an event to an activation), [`deliver`] (from an
//! activation to endpoints), [`follow`] (what a change of the configuration does), [`answers`] (what pages ask), [`health`]
//! and [`beats`] (how servers are, for pages), [`scheduler`] (what calendars have due), [`alerts`] (what triggers tell of that), [`locality`] (the settings that are a
//! server's own), [`seal`] (secrets), [`trust`] (in driver files), [`lock`] (a backup's key). The life of a server: [`life`]
//! (where it stands),
//! [`replication`], [`meet`] and [`promote`] (generations), [`retire`], [`upkeep`], [`control`] (orders from the command line),
//! [`foresight`] and [`bells`] (who would reach and ring what), [`drill`], [`rehearsal`] (drill and what if at the console). [`watched`]: tasks that must not end. [`process`]: what it asks of the system.

#![warn(clippy::print_stderr, clippy::print_stdout, reason = "a server speaks through tracing")]

pub mod alerts;
pub mod answers;
pub mod app;
pub mod beats;
pub mod bells;
pub mod cipher;
pub mod clock;
pub mod commands;
pub mod configuration;
pub mod conflict;
pub mod control;
pub mod deliver;
pub mod doors;
pub mod drill;
pub mod drive;
pub mod enrol;
pub mod follow;
pub mod foresight;
pub mod health;
pub mod hub;
pub mod install;
pub mod intake;
pub mod life;
pub mod locality;
pub mod lock;
pub mod logging;
pub mod meet;
pub mod occupancy;
pub mod passwords;
pub mod payload;
pub mod policy;
pub mod process;
pub mod product;
pub mod promote;
pub mod records;
pub mod rehearsal;
pub mod relay;
pub mod replication;
pub mod retire;
pub mod scheduler;
pub mod seal;
pub mod settings;
pub mod signals;
pub mod sound;
pub mod trust;
pub mod upkeep;
pub mod watched;
pub mod world;

/// Random bytes from the system.
pub fn draw<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a source of random numbers");
    bytes
}
