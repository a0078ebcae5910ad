//! The National Weather Service's own name for a hazard: one VTEC event may come in many messages with ever new identifiers.

use super::{Rules, filter::Where};
use crate::wire::{Alert, Info};

/// One VTEC line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vtec {
    /// `NEW`, `CON`, `CAN` and so on.
    pub action: String,
    /// Office, phenomenon, significance and number: `KFWD.TO.W.0042`.
    pub event: String,
}

impl Vtec {
    /// Reads `/O.NEW.KFWD.TO.W.0042.261123T1200Z-261123T1245Z/`.
    pub fn parse(text: &str) -> Option<Vtec> {
        let mut parts = text.trim().trim_matches('/').split('.');
        let _kind = parts.next().filter(|kind| matches!(*kind, "O" | "T" | "E" | "X"))?;
        let action = parts.next().filter(|action| action.len() == 3)?.to_owned();
        let event: Vec<&str> = parts.by_ref().take(4).collect();
        (event.len() == 4 && parts.next().is_some()).then(|| Vtec { action, event: event.join(".") })
    }

    /// Whether the hazard is over by this line.
    pub fn ends(&self) -> bool {
        matches!(self.action.as_str(), "CAN" | "EXP" | "UPG")
    }
}

/// The lines of a block.
pub fn lines(info: &Info) -> Vec<Vtec> {
    info.parameter("VTEC").filter_map(Vtec::parse).collect()
}

/// The hazards that a message is about, each with the year in which it was issued: numbers begin anew every year.
pub fn events(alert: &Alert) -> Vec<String> {
    let year = alert.sent.as_ref().and_then(|sent| sent.text.get(..4)).unwrap_or_default();
    let mut events: Vec<String> = alert
        .infos
        .iter()
        .flat_map(lines)
        .filter(|line| !line.ends())
        .map(|line| format!("{}.{year}", line.event))
        .collect();
    events.sort_unstable();
    events.dedup();
    events
}

/// The hazards that a message says are over.
pub fn ended(alert: &Alert) -> Vec<String> {
    let year = alert.sent.as_ref().and_then(|sent| sent.text.get(..4)).unwrap_or_default();
    alert.infos.iter().flat_map(lines).filter(Vtec::ends).map(|line| format!("{}.{year}", line.event)).collect()
}

/// Whether a message about a hazard of the National Weather Service leaves this trigger's place out. One product becomes
/// several messages, each for its part of the area, and all of them speak of the same predecessor.
pub fn is_elsewhere(alert: &Alert, rules: &Rules) -> bool {
    !alert.infos.is_empty()
        && alert.infos.iter().any(|info| !lines(info).is_empty())
        && alert.infos.iter().all(|info| rules.place(info) == Where::Elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = Vtec::parse("/O.CON.KFWD.TO.W.0042.000000T0000Z-261123T1245Z/").expect("a line");
        assert_eq!((line.action.as_str(), line.event.as_str(), line.ends()), ("CON", "KFWD.TO.W.0042", false));
        assert!(Vtec::parse("/O.UPG.KFWD.TO.A.0042.000000T0000Z-261123T1245Z/").expect("a line").ends());
        for wrong in ["", "/", "/O.NEW/", "/Q.NEW.KFWD.TO.W.0042.a-b/", "nonsense"] {
            assert_eq!(Vtec::parse(wrong), None, "{wrong}");
        }
    }
}
