//! Which models there are and what each can do. Written from the vendor's guide, apart from the driver's own table: a mistake
//! in one of the two shows as a failing test.

/// A family of models, as the guide's columns name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Speakers, horns and displays with a speaker.
    Speaker,
    /// Paging adapters.
    Adapter,
    /// Adapters with a scheduler.
    Scheduler,
    /// Visual alerters.
    Visual,
    /// Anything with a strobe.
    Strobe,
    /// Anything with a screen.
    Display,
    /// Intercoms.
    Intercom,
    /// Door openers.
    Door,
    /// Door controllers.
    Controller,
    /// The console.
    Console,
}

use Role::{Adapter, Console, Controller, Display, Door, Intercom, Scheduler, Speaker, Strobe, Visual};

/// Every model that can be simulated: number, product name, families.
pub const MODELS: &[(&str, &str, &[Role])] = &[
    ("8028", "Algo 8028 SIP Doorphone", &[Intercom, Door]),
    ("8039", "Algo 8039 SIP Mullion Video Intercom", &[Intercom, Door]),
    ("8063", "Algo 8063 IP Door Controller", &[Door, Controller]),
    ("8128", "Algo 8128 IP Visual Alerter", &[Visual, Strobe]),
    ("8138", "Algo 8138 IP Color Visual Alerter", &[Visual, Strobe]),
    ("8180", "Algo 8180 IP Audio Alerter", &[Speaker]),
    ("8186", "Algo 8186 IP Horn Speaker", &[Speaker]),
    ("8188", "Algo 8188 IP Ceiling Speaker", &[Speaker]),
    ("8189", "Algo 8189 IP Surface Mount Speaker", &[Speaker]),
    ("8190", "Algo 8190 IP Speaker - Clock", &[Speaker]),
    ("8190S", "Algo 8190S IP Speaker - Clock & Visual Alerter", &[Speaker, Strobe]),
    ("8196", "Algo 8196 IP PoE+ Horn Speaker", &[Speaker]),
    ("8198", "Algo 8198 IP PoE+ Ceiling Speaker", &[Speaker]),
    ("8201", "Algo 8201 IP PoE Intercom", &[Intercom, Door]),
    ("8203", "Algo 8203 IP Handsfree Intercom", &[Intercom]),
    ("8301", "Algo 8301 IP Paging Adapter & Scheduler", &[Adapter, Scheduler]),
    ("8305", "Algo 8305 Multi-Interface IP Paging Adapter", &[Adapter, Scheduler]),
    ("8373", "Algo 8373 IP Zone Paging Adapter", &[Adapter]),
    ("8410", "Algo 8410 IP Display Speaker", &[Speaker, Strobe, Display]),
    ("8420", "Algo 8420 IP Dual-Sided Display Speaker", &[Speaker, Strobe, Display]),
    ("8450", "Algo 8450 IP Console", &[Console]),
];

/// The model's product name and families.
pub(crate) fn find(model: &str) -> (&'static str, &'static [Role]) {
    let found = MODELS.iter().find(|(number, _, _)| *number == model);
    let (_, name, roles) = found.unwrap_or_else(|| panic!("there is no simulated model `{model}`; MODELS lists them"));
    (name, roles)
}

/// The strobe patterns of a model.
pub(crate) fn patterns(model: &str) -> &'static [i64] {
    match model {
        "8128" => &[0, 1, 3, 5, 7, 8, 11, 12, 13, 14, 15],
        "8138" => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15],
        "8190S" => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        _ => &[0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    }
}

/// The brightness levels of a model.
pub(crate) fn levels(model: &str) -> &'static [i64] {
    if model == "8190S" { &[1, 2, 3] } else { &[0, 56, 255] }
}

/// Tones that every device has in its storage.
pub(crate) const TONES: [&str; 13] = [
    "bell-na.wav",
    "bell-uk.wav",
    "buzzer.wav",
    "chime.wav",
    "dogs.wav",
    "gong.wav",
    "page-notif.wav",
    "speech-test.wav",
    "tone-1kHz-max.wav",
    "warble1-low.wav",
    "warble2-med.wav",
    "warble3-high.wav",
    "warble4-trill.wav",
];

/// A firmware version as numbers that compare.
pub(crate) fn version(text: &str) -> Vec<u32> {
    text.split('.')
        .map(|part| part.parse().unwrap_or_else(|_| panic!("firmware `{text}` is not numbers with points")))
        .collect()
}
