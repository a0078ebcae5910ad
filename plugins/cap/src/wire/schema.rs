//! Which elements CAP allows where, in which order and how often: one table for each element, with the differences between
//! the versions.

use super::Version;

/// How often an element may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    One,
    Maybe,
    Any,
    Some,
}
use Times::{Any, Maybe, One, Some as Several};

type Table = &'static [(&'static str, Times)];

const ALERT: Table = &[
    ("identifier", One),
    ("sender", One),
    ("sent", One),
    ("status", One),
    ("msgType", One),
    ("source", Maybe),
    ("scope", One),
    ("restriction", Maybe),
    ("addresses", Maybe),
    ("code", Any),
    ("note", Maybe),
    ("references", Maybe),
    ("incidents", Maybe),
    ("info", Any),
];

const ALERT_10: Table = &[
    ("identifier", One),
    ("sender", One),
    ("sent", One),
    ("status", One),
    ("msgType", One),
    ("password", Maybe),
    ("source", Maybe),
    ("scope", Maybe),
    ("restriction", Maybe),
    ("addresses", Maybe),
    ("code", Any),
    ("note", Maybe),
    ("references", Maybe),
    ("incidents", Maybe),
    ("info", Any),
];

const INFO: Table = &[
    ("language", Maybe),
    ("category", Several),
    ("event", One),
    ("responseType", Any),
    ("urgency", One),
    ("severity", One),
    ("certainty", One),
    ("audience", Maybe),
    ("eventCode", Any),
    ("effective", Maybe),
    ("onset", Maybe),
    ("expires", Maybe),
    ("senderName", Maybe),
    ("headline", Maybe),
    ("description", Maybe),
    ("instruction", Maybe),
    ("web", Maybe),
    ("contact", Maybe),
    ("parameter", Any),
    ("resource", Any),
    ("area", Any),
];

const INFO_10: Table = &[
    ("language", Maybe),
    ("category", Any),
    ("event", One),
    ("urgency", One),
    ("severity", One),
    ("certainty", One),
    ("audience", Maybe),
    ("eventCode", Any),
    ("effective", Maybe),
    ("onset", Maybe),
    ("expires", Maybe),
    ("senderName", Maybe),
    ("headline", Maybe),
    ("description", Maybe),
    ("instruction", Maybe),
    ("web", Maybe),
    ("contact", Maybe),
    ("parameter", Any),
    ("resource", Any),
    ("area", Any),
];

const RESOURCE: Table = &[
    ("resourceDesc", One),
    ("mimeType", One),
    ("size", Maybe),
    ("uri", Maybe),
    ("derefUri", Maybe),
    ("digest", Maybe),
];

const RESOURCE_OLD: Table = &[
    ("resourceDesc", One),
    ("mimeType", Maybe),
    ("size", Maybe),
    ("uri", Maybe),
    ("derefUri", Maybe),
    ("digest", Maybe),
];

const AREA: Table =
    &[("areaDesc", One), ("polygon", Any), ("circle", Any), ("geocode", Any), ("altitude", Maybe), ("ceiling", Maybe)];

const NAMED: Table = &[("valueName", One), ("value", One)];

/// The elements that have elements in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// `alert`.
    Alert,
    /// `info`.
    Info,
    /// `resource`.
    Resource,
    /// `area`.
    Area,
    /// `eventCode`, `parameter`, `geocode`.
    Named,
}

/// What the order of the standard says of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It stands where it should.
    Fine(&'static str),
    /// It stands too late.
    OutOfOrder(&'static str),
    /// It may stand once only, and stands again.
    Again(&'static str),
    /// It is no child of this element.
    Unknown,
}

/// Follows the children of one element.
pub struct Order {
    table: Table,
    at: usize,
    seen: u32,
}

impl Order {
    /// At the start of an element.
    pub fn of(parent: Parent, version: Version) -> Order {
        let table = match (parent, version) {
            (Parent::Alert, Version::V10) => ALERT_10,
            (Parent::Alert, _) => ALERT,
            (Parent::Info, Version::V10) => INFO_10,
            (Parent::Info, _) => INFO,
            (Parent::Resource, Version::V10 | Version::V11) => RESOURCE_OLD,
            (Parent::Resource, _) => RESOURCE,
            (Parent::Area, _) => AREA,
            (Parent::Named, _) => NAMED,
        };
        Order { table, at: 0, seen: 0 }
    }

    /// The next child.
    pub fn see(&mut self, name: &str) -> Seen {
        // Children come in order nearly always, so the look begins where the last one was found.
        let ahead = self.table[self.at..].iter().position(|(known, _)| *known == name).map(|found| found + self.at);
        let (index, in_order) = match ahead {
            Some(index) => (index, true),
            None => match self.table[..self.at].iter().position(|(known, _)| *known == name) {
                Some(index) => (index, false),
                None => return Seen::Unknown,
            },
        };
        let (name, times) = self.table[index];
        let again = self.seen & (1 << index) != 0 && matches!(times, One | Maybe);
        self.seen |= 1 << index;
        if in_order {
            self.at = index;
        }
        match (again, in_order) {
            (true, _) => Seen::Again(name),
            (false, false) => Seen::OutOfOrder(name),
            (false, true) => Seen::Fine(name),
        }
    }

    /// What is required and did not come.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let seen = self.seen;
        self.table
            .iter()
            .enumerate()
            .filter(move |(index, (_, times))| matches!(times, One | Several) && seen & (1 << index) == 0)
            .map(|(_, (name, _))| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_repetition_and_absence_are_told_apart() {
        let mut order = Order::of(Parent::Alert, Version::V12);
        assert_eq!(order.see("identifier"), Seen::Fine("identifier"));
        assert_eq!(order.see("sent"), Seen::Fine("sent"));
        assert_eq!(order.see("sender"), Seen::OutOfOrder("sender"));
        assert_eq!(order.see("sent"), Seen::Again("sent"));
        assert_eq!(order.see("info"), Seen::Fine("info"));
        assert_eq!(order.see("info"), Seen::Fine("info"));
        assert_eq!(order.see("password"), Seen::Unknown);
        assert_eq!(order.missing().collect::<Vec<_>>(), ["status", "msgType", "scope"]);
        assert_eq!(Order::of(Parent::Alert, Version::V10).see("password"), Seen::Fine("password"));
    }
}
