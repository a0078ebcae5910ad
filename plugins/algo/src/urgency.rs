//! From the host's scale of urgency to what Algo devices know: zones by role, tones that repeat, colours and patterns.
//!
//! | host | zone role | stored tone | repeats | strobe colour | strobe pattern |
//! |---|---|---|---|---|---|
//! | emergency | priority call | warble4-trill | until the end | red | fastest strobe |
//! | alert | priority call | warble2-med | until the end | amber | medium strobe |
//! | page | all call | page-notif | once | blue | flashing |
//! | bell | all call | bell-na | once | green | slow |
//! | music | music | chime | once | green | steady |

use onealert_plugin_api::document::Priority;

use crate::settings::{Brightness, Colour, Repeat};

/// What a zone is for, by the factory's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneRole {
    /// Interrupts everything.
    PriorityCall,
    /// Everybody.
    AllCall,
    /// Background.
    Music,
}

/// The role of the zone in which an announcement of this urgency is heard.
pub fn zone_role(priority: Priority) -> ZoneRole {
    match priority {
        Priority::Emergency | Priority::Alert => ZoneRole::PriorityCall,
        Priority::Page | Priority::Bell => ZoneRole::AllCall,
        Priority::Music => ZoneRole::Music,
    }
}

impl ZoneRole {
    /// The port at 224.0.2.60 that the factory gives it. A device whose zones were changed is addressed by zone number.
    pub fn factory_port(self) -> u16 {
        match self {
            ZoneRole::Music => 50000,
            ZoneRole::PriorityCall => 50001,
            ZoneRole::AllCall => 50002,
        }
    }
}

/// The stored tone for this urgency; every device has these.
pub fn tone(priority: Priority) -> &'static str {
    match priority {
        Priority::Emergency => "warble4-trill.wav",
        Priority::Alert => "warble2-med.wav",
        Priority::Page => "page-notif.wav",
        Priority::Bell => "bell-na.wav",
        Priority::Music => "chime.wav",
    }
}

/// Whether a stored tone repeats until the end.
pub fn repeats(repeat: Repeat, priority: Priority) -> bool {
    match repeat {
        Repeat::ByUrgency => priority >= Priority::Alert,
        Repeat::Once => false,
        Repeat::UntilEnd => true,
    }
}

/// The colour's word on the device.
pub fn colour(colour: Colour, priority: Priority) -> &'static str {
    match colour {
        Colour::Red => "red",
        Colour::Blue => "blue",
        Colour::Green => "green",
        Colour::Amber => "amber",
        Colour::ByUrgency => match priority {
            Priority::Emergency => "red",
            Priority::Alert => "amber",
            Priority::Page => "blue",
            Priority::Bell | Priority::Music => "green",
        },
    }
}

/// The pattern for this urgency; the numbers mean something else on each line of models. For a model that is not known here
/// pattern 7 flashes on all of them.
pub fn pattern(model: Option<&str>, priority: Priority) -> u8 {
    let [emergency, alert, page, bell, music] = match model {
        Some("8128" | "8138") => [13, 14, 12, 15, 8],
        Some("8190S") => [7, 8, 4, 9, 0],
        Some("8410" | "8420") => [14, 13, 7, 3, 0],
        _ => [7; 5],
    };
    match priority {
        Priority::Emergency => emergency,
        Priority::Alert => alert,
        Priority::Page => page,
        Priority::Bell => bell,
        Priority::Music => music,
    }
}

/// `ledlvl` of this brightness; none for a model that is not known here, which then keeps its own.
pub fn brightness(model: Option<&str>, brightness: Brightness) -> Option<u8> {
    let [low, medium, high] = match model? {
        "8190S" => [1, 2, 3],
        "8128" | "8138" | "8410" | "8420" => [0, 56, 255],
        _ => return None,
    };
    Some(match brightness {
        Brightness::Low => low,
        Brightness::Medium => medium,
        Brightness::High => high,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;

    const ALL: [Priority; 5] = [Priority::Music, Priority::Bell, Priority::Page, Priority::Alert, Priority::Emergency];

    #[test]
    fn every_default_pattern_is_one_of_the_model() {
        for model in model::Family::Strobe.models() {
            let known = model::patterns(Some(model)).expect("strobes have patterns");
            for priority in ALL {
                assert!(known.contains(&pattern(Some(model), priority)), "{model} {priority:?}");
            }
            assert!(brightness(Some(model), Brightness::High).is_some(), "{model}");
            assert!(known.contains(&pattern(None, Priority::Page)), "{model}");
        }
    }

    #[test]
    fn more_urgent_is_never_less_insistent() {
        for pair in ALL.windows(2) {
            let (lower, higher) = (pair[0], pair[1]);
            assert!(repeats(Repeat::ByUrgency, lower) <= repeats(Repeat::ByUrgency, higher));
        }
        assert_eq!(zone_role(Priority::Emergency), ZoneRole::PriorityCall);
        assert_eq!(zone_role(Priority::Alert), ZoneRole::PriorityCall);
        assert_eq!(zone_role(Priority::Bell), ZoneRole::AllCall);
        assert_eq!(zone_role(Priority::Music), ZoneRole::Music);
    }

    #[test]
    fn what_an_administrator_chose_wins() {
        assert!(!repeats(Repeat::Once, Priority::Emergency));
        assert!(repeats(Repeat::UntilEnd, Priority::Music));
        assert_eq!(colour(Colour::Blue, Priority::Emergency), "blue");
        assert_eq!(colour(Colour::ByUrgency, Priority::Emergency), "red");
    }
}
