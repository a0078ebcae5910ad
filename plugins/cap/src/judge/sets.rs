//! Named sets of events, so that nobody has to know the code lists, and the older question behind them: which event is this?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::{Certainty, Info, Severity, Urgency};

// The cases carry no doc comments: a form takes a plain list of words.
/// A named set of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Set {
    TornadoWarning,
    TornadoWatch,
    SevereThunderstorm,
    FlashFlood,
    Tsunami,
    Earthquake,
    CivilEmergency,
    Amber,
    MissingPerson,
    BlueAlert,
    WeaImminentThreat,
    BroadcastImmediately,
}

/// Codes and words of one set.
struct Members {
    /// SAME or National Weather Service letters.
    codes: &'static [&'static str],
    /// CAP-CP event words.
    canada: &'static [&'static str],
    /// Lower-case parts of event names.
    names: &'static [&'static str],
}

fn members(set: Set) -> Members {
    let (codes, canada, names): (&[&str], &[&str], &[&str]) = match set {
        Set::TornadoWarning => (&["TOR"], &["tornado"], &["tornado warning", "tornado emergency"]),
        Set::TornadoWatch => (&["TOA"], &[], &["tornado watch"]),
        Set::SevereThunderstorm => (&["SVR"], &["thunderstorm"], &["severe thunderstorm warning"]),
        Set::FlashFlood => (&["FFW"], &["flashFlood"], &["flash flood warning", "flash flood emergency"]),
        Set::Tsunami => (&["TSW"], &["tsunami"], &["tsunami warning"]),
        Set::Earthquake => (&["EQW"], &["earthquake"], &["earthquake"]),
        Set::CivilEmergency => (
            &["CDW", "CEM", "EVI", "HMW", "LAE", "LEW", "NUW", "RHW", "SPW", "TOE"],
            &["civilEmerg", "hazmat", "radiological", "industryFire", "dangerAnim"],
            &[
                "civil danger",
                "civil emergency",
                "evacuation",
                "hazardous material",
                "law enforcement warning",
                "local area emergency",
                "nuclear power plant",
                "radiological hazard",
                "shelter in place",
                "911 telephone outage",
            ],
        ),
        Set::Amber => (&["CAE"], &["amber"], &["child abduction", "amber alert", "abduc"]),
        Set::MissingPerson => {
            (&["MEP"], &["missingPer", "missingVPer"], &["missing endangered", "missing and endangered"])
        }
        Set::BlueAlert => (&["BLU"], &[], &["blue alert"]),
        Set::WeaImminentThreat | Set::BroadcastImmediately => (&[], &[], &[]),
    };
    Members { codes, canada, names }
}

impl Set {
    /// Whether a block belongs to the set.
    pub fn holds(self, info: &Info) -> bool {
        match self {
            Set::WeaImminentThreat => {
                info.urgency >= Urgency::Expected
                    && info.severity >= Severity::Severe
                    && info.certainty >= Certainty::Likely
            }
            Set::BroadcastImmediately => {
                info.parameter("layer:SOREM:1.0:Broadcast_Immediately").any(|value| value.eq_ignore_ascii_case("yes"))
            }
            set => {
                let members = members(set);
                let by_code = codes(info).any(|code| members.codes.contains(&code));
                let by_word =
                    canada(info).any(|word| members.canada.iter().any(|known| known.eq_ignore_ascii_case(word)));
                let event = info.event.to_lowercase();
                let by_name = members.names.iter().any(|name| event.contains(name));
                by_code || by_word || by_name || (set == Set::Amber && is_child_abduction(info))
            }
        }
    }
}

fn is_child_abduction(info: &Info) -> bool {
    info.parameter("WEAHandling").any(|value| value.eq_ignore_ascii_case("Child Abduction"))
}

/// The three-letter codes that tell the event. National Weather Service letters win: the SAME letters beside them are often a
/// filler, and change in follow-ups.
pub fn codes(info: &Info) -> impl Iterator<Item = &str> {
    let list =
        if info.event_code("NationalWeatherService").next().is_some() { "NationalWeatherService" } else { "SAME" };
    info.event_code(list)
}

/// CAP-CP event words.
pub fn canada(info: &Info) -> impl Iterator<Item = &str> {
    let ours = |name: &str| name.get(..21).is_some_and(|start| start.eq_ignore_ascii_case("profile:CAP-CP:Event:"));
    info.event_codes.iter().filter(move |code| ours(&code.name)).map(|code| code.value.as_str())
}

/// Whether an event must never be held back as a repetition: minutes count.
pub fn is_tornado(info: &Info) -> bool {
    Set::TornadoWarning.holds(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Named;

    fn info(event: &str, codes: &[(&str, &str)]) -> Info {
        let named = |(name, value): &(&str, &str)| Named { name: (*name).to_owned(), value: (*value).to_owned() };
        Info { event: event.to_owned(), event_codes: codes.iter().map(named).collect(), ..Info::default() }
    }

    #[test]
    fn a_tornado_follow_up_stays_a_tornado_although_its_same_letters_change() {
        assert!(Set::TornadoWarning.holds(&info("Warning", &[("SAME", "SVS"), ("NationalWeatherService", "TOR")])));
        assert!(Set::TornadoWarning.holds(&info("Warning", &[("same", "TOR")])));
        assert!(!Set::TornadoWarning.holds(&info("Warning", &[("SAME", "TOR"), ("NationalWeatherService", "SVS")])));
        assert!(!Set::TornadoWarning.holds(&info("Tornado Watch", &[("SAME", "TOA")])));
        assert!(Set::TornadoWarning.holds(&info("Tornado", &[("profile:CAP-CP:Event:0.4", "tornado")])));
    }

    #[test]
    fn an_abducted_child_is_found_by_code_by_word_and_by_name() {
        assert!(Set::Amber.holds(&info("x", &[("SAME", "CAE")])));
        assert!(Set::Amber.holds(&info("x", &[("profile:CAP-CP:Event:0.4", "amber")])));
        assert!(Set::Amber.holds(&info("Child Abduction", &[])));
        assert!(!Set::Amber.holds(&info("Road closed", &[("SAME", "CEM")])));
    }

    #[test]
    fn unknown_levels_are_no_imminent_threat() {
        let mut block = info("x", &[]);
        assert!(!Set::WeaImminentThreat.holds(&block));
        block.urgency = Urgency::Immediate;
        block.severity = Severity::Severe;
        block.certainty = Certainty::Likely;
        assert!(Set::WeaImminentThreat.holds(&block));
    }
}
