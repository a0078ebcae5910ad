//! The words that say what a driver can do. The host asks for words, never for versions.

/// `prepare`: endpoints of one activation become ready, with RTP destinations, or failed with a reason. The endpoints of a
/// driver that does not offer it are ready at once and take no audio.
pub const PREPARE: &str = "prepare";
/// `begin` and `end` of an activation.
pub const DELIVER: &str = "deliver";
/// `update` of a running activation's text.
pub const UPDATE: &str = "update";
/// `probe` endpoints, and report their status unasked.
pub const PROBE: &str = "probe";
/// `watch` triggers and report what happened.
pub const WATCH: &str = "watch";
/// `http`: requests that devices or feeds make to our server.
pub const HTTP: &str = "http";
/// `settings.check`.
pub const SETTINGS_CHECK: &str = "settings.check";
/// `settings.migrate`.
pub const SETTINGS_MIGRATE: &str = "settings.migrate";
/// `self_test`.
pub const SELF_TEST: &str = "self_test";

/// Every word of API 1.0.
pub const ALL: &[&str] = &[PREPARE, DELIVER, UPDATE, PROBE, WATCH, HTTP, SETTINGS_CHECK, SETTINGS_MIGRATE, SELF_TEST];
