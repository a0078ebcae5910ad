//! What needs somebody, for System Status: one entry for one cause, with the time since which this server knows of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use onealert_core::{
    config::{Role, Table},
    ids::{DriverId, ServerId},
    time::Wall,
};
use onealert_web::needs::{Attention, ServerStatus, State};

use super::redundancy::capital;
use crate::seal::Unopened;

/// Why a server is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// It is not heard.
    Down,
    /// It was not heard yet.
    Unheard,
    /// It was not heard since this server was started, for longer than it would take.
    Unmet,
    /// It was asked to stop.
    Drains,
    /// It was asked to stop and is gone.
    Stopped,
    /// It came back, and asks the others or waits.
    CameBack,
    /// Its role or its licence.
    Concern,
    /// It does not get the configuration.
    Sync,
    /// Its versions stop synchronisation.
    Versions,
    /// Its clock differs.
    Clock,
    /// Its disk is as good as full.
    Disk,
}

impl Cause {
    /// Whether the server does nothing at all, whoever meant it or not.
    fn is_gone(self) -> bool {
        matches!(self, Cause::Down | Cause::Unmet | Cause::Stopped)
    }
}

/// A server as it is shown, and why it is not well.
pub(super) struct Shown {
    pub server: ServerStatus,
    pub cause: Option<Cause>,
    /// Since when, where something else than this server's looking tells it.
    pub since: Option<Wall>,
}

impl Shown {
    fn is_gone(&self) -> bool {
        self.cause.is_some_and(Cause::is_gone)
    }
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Server(ServerId, Cause),
    Driver(ServerId, DriverId),
    Secrets,
    Missed,
}

/// Since when this server knows of what needs somebody. It remembers for as long as its process runs.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeMap<Subject, Wall>>);

impl Known {
    /// Since when each of these is known; the others are over.
    fn since(&self, now: Wall, subjects: BTreeSet<Subject>) -> BTreeMap<Subject, Wall> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|subject, _| subjects.contains(subject));
        for subject in subjects {
            known.entry(subject).or_insert(now);
        }
        known.clone()
    }
}

/// Every entry, worst first. `missed` holds when each that was too late was due.
pub(super) fn list(
    servers: &[Shown],
    unopened: &[Unopened],
    missed: &[Wall],
    known: &Known,
    now: Wall,
) -> Vec<Attention> {
    let of_servers = servers.iter().filter(|shown| !is_told_elsewhere(shown, servers)).filter_map(|shown| {
        let subject = Subject::Server(shown.server.id, shown.cause?);
        Some((subject, of_server(shown, servers)))
    });
    // What a server said of its drivers before it went is old.
    let up = servers.iter().filter(|shown| !shown.is_gone());
    let mut entries: Vec<(Subject, Attention)> =
        of_servers.chain(up.flat_map(|shown| of_drivers(&shown.server))).collect();
    entries.extend(of_secrets(unopened).map(|entry| (Subject::Secrets, entry)));
    entries.extend(of_missed(missed).map(|entry| (Subject::Missed, entry)));
    let since = known.since(now, entries.iter().map(|(subject, _)| subject.clone()).collect());
    for (subject, entry) in &mut entries {
        entry.since = entry.since.or_else(|| since.get(subject).copied());
    }
    let mut list: Vec<Attention> = entries.into_iter().map(|(_, entry)| entry).collect();
    list.sort_by_key(|entry| std::cmp::Reverse(entry.state));
    list
}

/// A secondary that misses its primary and the primary that is gone or going, or runs another version, are one thing. Told is the
/// one that says more: what became of the primary, or what this server's own synchronisation says of the versions.
fn is_told_elsewhere(shown: &Shown, servers: &[Shown]) -> bool {
    let misses_it = servers.iter().any(|other| other.server.this && other.cause == Some(Cause::Sync));
    match shown.cause {
        Some(Cause::Sync) => {
            let leaves = |other: &Shown| other.is_gone() || other.cause == Some(Cause::Drains);
            servers.iter().any(|other| other.server.role == Role::Primary && leaves(other))
        }
        Some(Cause::Versions) => shown.server.role == Role::Primary && misses_it,
        _ => false,
    }
}

fn of_server(shown: &Shown, servers: &[Shown]) -> Attention {
    let server = &shown.server;
    let others = servers.iter().any(|other| other.server.id != server.id && !other.is_gone());
    let effect = match (shown.is_gone(), server.role, server.state) {
        (true, _, _) if !others => "No other server is up.",
        (true, Role::Primary, _) => {
            "Notifications are sent by the other servers. Configuration is locked until it returns."
        }
        (true, _, _) => "The other servers send in its place.",
        (false, _, State::Bad) if others => "It is up, and does not do all it should. The other servers are ready too.",
        (false, _, State::Bad) => "It is up, and does not do all it should. No other server is up.",
        _ => "Sending goes on.",
    };
    Attention {
        state: server.state,
        what: format!("{}: {}", server.name, server.text),
        since: shown.since,
        effect: effect.to_owned(),
        action: "Show the server".to_owned(),
        href: format!("/status#server-{}", server.id),
    }
}

fn of_drivers(server: &ServerStatus) -> impl Iterator<Item = (Subject, Attention)> {
    let bad = server.drivers.iter().filter(|driver| driver.state == State::Bad);
    bad.map(|driver| {
        let entry = Attention {
            state: State::Bad,
            what: format!("{} on {}: {}", driver.name, server.name, driver.text),
            since: driver.since,
            effect: "Endpoints of this driver may not be reached from that server.".to_owned(),
            action: "Show the driver".to_owned(),
            href: format!("/drivers/{}", driver.id),
        };
        (Subject::Driver(server.id, driver.id.clone()), entry)
    })
}

/// What is to be done about stored secrets that this server cannot open: one entry, naming the first of them.
fn of_secrets(lost: &[Unopened]) -> Option<Attention> {
    let first = lost.first()?;
    let others = match lost.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let href = match first.table {
        Table::Drivers => format!("/drivers/{}", first.key),
        Table::Triggers => format!("/triggers/{}", first.key),
        _ => format!("/endpoints/{}", first.key),
    };
    Some(Attention {
        state: State::Bad,
        what: format!("{}{others}", capital(&first.to_string())),
        since: None,
        effect: "This server leaves alone what needs it. Everything else goes on.".to_owned(),
        action: "Show it".to_owned(),
        href,
    })
}

/// What was too late to be sent, as long as servers remember it: for a day.
fn of_missed(due: &[Wall]) -> Option<Attention> {
    let last = due.iter().max()?;
    let what = match due.len() {
        1 => "A notification was too late and was not sent".to_owned(),
        n => format!("{n} notifications were too late and were not sent"),
    };
    Some(Attention {
        state: State::Warning,
        what,
        since: Some(*last),
        effect: "Whoever should have heard it did not. It is shown for a day.".to_owned(),
        action: "Show what was missed".to_owned(),
        href: "/sent?outcome=missed".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(id: u128, role: Role, this: bool, cause: Option<Cause>) -> Shown {
        let server = ServerStatus {
            id: ServerId(id),
            name: format!("pa-{id}"),
            role,
            this,
            web: String::new(),
            state: if cause.is_some() { State::Bad } else { State::Ok },
            text: format!("{cause:?}"),
            heard_ms_ago: None,
            heartbeats: Vec::new(),
            epoch: None,
            position: None,
            lag: None,
            versions: BTreeMap::new(),
            differences: Vec::new(),
            clock_offset_ms: None,
            started: None,
            holds: None,
            duties: Vec::new(),
            drivers: Vec::new(),
            running: 0,
            degraded: 0,
            disk: None,
            booted: None,
            licence: None,
        };
        Shown { server, cause, since: None }
    }

    #[test]
    fn a_secondary_without_its_primary_has_one_entry_and_says_since_when() {
        let known = Known::default();
        let mut primary = shown(1, Role::Primary, false, Some(Cause::Down));
        primary.since = Some(Wall(500));
        let alone = [primary, shown(2, Role::Secondary, true, Some(Cause::Sync))];
        let told = list(&alone, &[], &[], &known, Wall(900));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].what.starts_with("pa-1") && told[0].since == Some(Wall(500)), "{told:?}");
        assert!(told[0].effect.contains("Configuration is locked"), "another server is up: this one");

        // Another version: what this server's own synchronisation says names both sides.
        let apart =
            [shown(1, Role::Primary, false, Some(Cause::Versions)), shown(2, Role::Secondary, true, Some(Cause::Sync))];
        let told = list(&apart, &[], &[], &known, Wall(1000));
        assert_eq!((told.len(), &told[0].what[..4], told[0].since), (1, "pa-2", Some(Wall(1000))), "{told:?}");
        // The primary is heard, and this server gets no configuration for a reason of its own.
        let own = [shown(1, Role::Primary, false, None), shown(2, Role::Secondary, true, Some(Cause::Sync))];
        let told = list(&own, &[], &[], &known, Wall(2000));
        assert_eq!((told.len(), told[0].since), (1, Some(Wall(1000))), "it is the same trouble still");
        assert_eq!(list(&own[..1], &[], &[], &known, Wall(3000)), []);
        let told = list(&own, &[], &[], &known, Wall(4000));
        assert_eq!(told[0].since, Some(Wall(4000)), "it was over in between");
    }

    #[test]
    fn a_primary_that_was_stopped_in_good_order_is_one_entry_that_is_no_fault() {
        let known = Known::default();
        for (cause, effect) in [(Cause::Drains, "Sending goes on"), (Cause::Stopped, "Configuration is locked")] {
            let mut primary = shown(1, Role::Primary, false, Some(cause));
            let mut this = shown(2, Role::Secondary, true, Some(Cause::Sync));
            (primary.server.state, this.server.state) = (State::Warning, State::Warning);
            let told = list(&[primary, this], &[], &[], &known, Wall(900));
            assert_eq!((told.len(), told[0].state), (1, State::Warning), "{told:?}");
            assert!(told[0].what.starts_with("pa-1") && told[0].effect.contains(effect), "{told:?}");
        }
    }

    #[test]
    fn a_driver_that_does_not_run_is_told_once_and_never_of_a_server_that_is_down() {
        let known = Known::default();
        let mut server = shown(1, Role::Primary, true, None);
        server.server.state = State::Warning;
        server.server.drivers = vec![onealert_web::needs::DriverBrief {
            id: DriverId::from("com.algo"),
            name: "Algo".to_owned(),
            version: None,
            sha256: None,
            state: State::Bad,
            text: "Ends again and again".to_owned(),
            since: Some(Wall(7)),
            restarts: Some(9),
        }];
        let told = list(&[server], &[], &[], &known, Wall(10));
        assert_eq!((told.len(), told[0].since), (1, Some(Wall(7))), "{told:?}");
        assert_eq!(told[0].what, "Algo on pa-1: Ends again and again");
        let mut server = shown(1, Role::Primary, false, Some(Cause::Down));
        server.server.drivers = Vec::new();
        assert_eq!(list(&[server], &[], &[], &known, Wall(20)).len(), 1);
    }
}
