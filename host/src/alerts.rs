//! Redundancy status alerts, carried out: what this server notices goes to the core, and the triggers that it names are set off
//! like any other, with a text that says what happened, since when, and what to do.

use std::{sync::Arc, time::Duration};

use onealert_core::{
    alert::{Alarm, Alerts, Fact, Kind, Wrong},
    config::{Config, Role},
    effect::{DownReason, Notice},
    ids::{DriverId, ServerId},
    life::Deed,
};
use onealert_drivers::DriverState;
use onealert_plugin_api::document::TriggerEvent;
use onealert_web::needs::State;
use tokio::sync::{mpsc, watch};

use crate::{
    answers::clock_text,
    foresight::Names,
    hub::Hub,
    intake::{self, Here},
};

/// What alerts are made of.
#[derive(Debug)]
pub enum Noticed {
    /// The core noticed something of a peer.
    Node(Notice),
    /// Rows of this server's configuration differed from what was committed: which, and what was done.
    Rows(String),
    /// The configuration database of this primary was set back.
    SetBack(String),
}

/// Watches until the server stops.
pub async fn watch(
    hub: Arc<Hub>,
    mut noticed: mpsc::UnboundedReceiver<Noticed>,
    heartbeat: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut alerts = Alerts::new(hub.clock.now().mono);
    loop {
        let first = tokio::select! {
            first = noticed.recv() => match first {
                Some(first) => Some(first),
                None => return,
            },
            () = tokio::time::sleep(heartbeat) => None,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let now = hub.clock.now();
        let mut next = first;
        while let Some(it) = next {
            match it {
                Noticed::Node(notice) => alerts.notice(now, &notice),
                Noticed::Rows(text) | Noticed::SetBack(text) => alerts.happened(now, hub.server, Kind::SyncError, text),
            }
            next = noticed.try_recv().ok();
        }
        alerts.own(now, hub.server, own(&hub));
        let config = hub.config();
        let seen = config.clone();
        let looked = hub.way.look(move |node| {
            let alarms = alerts.review(now, node, &seen);
            (alerts, alarms)
        });
        let Ok((kept, alarms)) = looked.await else { return };
        alerts = kept;
        if hub.may(Deed::Send).is_err() {
            continue;
        }
        for alarm in alarms {
            tokio::spawn(set_off(hub.clone(), config.clone(), alarm));
        }
    }
}

/// What is wrong on this server itself.
fn own(hub: &Hub) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let sync = hub.sync_state.borrow();
    if hub.place().role == Role::Secondary && sync.state == State::Bad {
        wrong.push(Wrong { kind: Kind::SyncError, driver: None, text: sync.text.clone(), at_once: false });
    }
    let bad = |state| matches!(state, DriverState::Degraded | DriverState::Failed);
    for status in hub.drivers.status().into_iter().filter(|status| bad(status.state)) {
        let why = status.last_error.or(status.last_end).unwrap_or_else(|| "no reason known".to_owned());
        let kind = Kind::DriverDegraded;
        // It counts as degraded because it ended again and again; a start that failed may be mended by the next one.
        let at_once = status.state == DriverState::Degraded;
        wrong.push(Wrong { kind, driver: Some(DriverId::from(status.id)), text: why, at_once });
    }
    wrong
}

/// Sets one trigger off.
async fn set_off(hub: Arc<Hub>, config: Arc<Config>, alarm: Alarm) {
    let Some(trigger) = config.triggers.get(&alarm.trigger) else { return };
    let Words { title, body } = words(&config, &alarm, hub.server);
    hub.sync_log.push(State::Warning, "alerts", format!("{title}; sets off {}", trigger.name));
    let event = TriggerEvent {
        trigger: trigger.id.to_string(),
        key: alarm.key,
        title,
        body,
        source: Names(config.clone()).server(hub.server),
        ..TriggerEvent::default()
    };
    let here = Here { config: &config, wall: crate::clock::wall() };
    let asked = intake::from_event(here, trigger, &event, u128::from_be_bytes(crate::draw()));
    if let Err(refusal) = hub.way.submit(asked).await {
        hub.sync_log.push(State::Bad, "alerts", format!("{} was not set off: {refusal}", trigger.name));
    }
}

/// An alert in words.
struct Words {
    title: String,
    body: String,
}

fn words(config: &Arc<Config>, alarm: &Alarm, me: ServerId) -> Words {
    let names = Names(config.clone());
    let (server, here) = (names.server(alarm.matter.server), names.server(me));
    let since = clock_text(alarm.since);
    let primary = config.primary().is_some_and(|row| row.id == alarm.matter.server);
    let said = |fallback: &str| match &alarm.fact {
        Fact::Said(text) => text.trim_end_matches('.').to_owned(),
        _ => fallback.to_owned(),
    };
    let (title, fact, remedy) = match alarm.matter.kind {
        Kind::FailedOver => {
            let why = match alarm.fact {
                Fact::Down(DownReason::Silent) => "nothing is heard of it",
                _ => "its program has ended",
            };
            let cut = if alarm.alone {
                format!(" {here} hears no other server: it may itself be cut off.")
            } else {
                String::new()
            };
            let back = if alarm.over { " It is back already." } else { "" };
            let locked = if primary { " Configuration is locked until it is back." } else { "" };
            let lost = if primary { " If its machine is lost, promote another server: onealert promote." } else { "" };
            (
                format!("Server {server} failed over"),
                format!("{server} is down since {since}: {why}.{}{locked}{cut}{back}", heirs(&names, alarm)),
                format!(
                    "Look at its machine and its network, and start OneAlert there; it catches up by itself.{lost}"
                ),
            )
        }
        Kind::Stopped => (
            format!("Server {server} was stopped"),
            format!("{server} is being stopped in good order since {since}.{}", heirs(&names, alarm)),
            "If nobody is at work on it, start OneAlert there.".to_owned(),
        ),
        Kind::CameBack => (
            format!("Server {server} came back"),
            format!("{server} is up again since {since}."),
            "Nothing is to be done. The page Redundancy shows when it takes notifications again.".to_owned(),
        ),
        Kind::SyncError => (
            format!("Synchronisation error on {server}"),
            format!("The configuration on {server} is not in order since {since}: {}.", said("no reason known")),
            "It sends with the configuration that it has. Look at Logging, SyncLog, on that server.".to_owned(),
        ),
        Kind::Clock => {
            let ahead = match alarm.fact {
                Fact::Clock(ahead) => ahead,
                _ => 0,
            };
            let way = if ahead < 0 { "behind" } else { "ahead of" };
            (
                format!("Clock of server {server} is wrong"),
                format!("The clock of {server} is {} ms {way} the other servers' since {since}.", ahead.unsigned_abs()),
                format!(
                    "Repair the time service (NTP) on {server}; a server that comes back is kept waiting until then."
                ),
            )
        }
        Kind::Missed => {
            let (name, due) = match &alarm.fact {
                Fact::Missed { name, due } => (name.clone(), clock_text(*due)),
                _ => ("A notification".to_owned(), since.clone()),
            };
            (
                format!("{name} was not sent"),
                format!("{name}, due {due}, was not sent: by then it was too late. {server} says so since {since}."),
                "Look at Sent Notifications, Missed: it may not be the only one. If it still matters, send it by hand."
                    .to_owned(),
            )
        }
        Kind::DriverDegraded => {
            let id = alarm.matter.driver.clone().unwrap_or_else(|| "".into());
            let name = config.drivers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone());
            (
                format!("Driver {name} is degraded on {server}"),
                format!("{name} does not work on {server} since {since}: {}.", said("no reason known")),
                "It is tried again with every notification. Look at Drivers, What happened; choose the version before if it was changed."
                    .to_owned(),
            )
        }
    };
    Words { title, body: format!("{fact} {remedy}") }
}

/// Who sends in a server's place.
fn heirs(names: &Names, alarm: &Alarm) -> String {
    if alarm.over || alarm.heirs.is_empty() {
        return String::new();
    }
    let mut by_heir: Vec<(Option<ServerId>, Vec<&str>)> = Vec::new();
    for (group, heir) in &alarm.heirs {
        match by_heir.iter_mut().find(|(known, _)| known == heir) {
            Some((_, groups)) => groups.push(group),
            None => by_heir.push((*heir, vec![group])),
        }
    }
    let sentence = |(heir, groups): (Option<ServerId>, Vec<&str>)| match heir {
        Some(heir) => format!(" {} sends in its place for {}.", names.server(heir), groups.join(", ")),
        None => format!(" No other server of {} is up; whichever gets an event sends.", groups.join(", ")),
    };
    by_heir.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use onealert_core::{
        alert::Matter,
        config::{Change, Server, Table},
        time::Wall,
    };

    use super::*;

    const A: ServerId = ServerId(1);
    const B: ServerId = ServerId(2);

    fn config() -> Arc<Config> {
        let mut config = Config::default();
        for (id, name, role) in [(A, "pa-1", Role::Primary), (B, "pa-2", Role::Secondary)] {
            let row = Server {
                id,
                name: name.to_owned(),
                role,
                mesh: String::new(),
                web: String::new(),
                key_sha256: String::new(),
                enrolled: Wall(0),
                deprovisioned: false,
            };
            config.apply(&Change::put(Table::Servers, &id.to_string(), &row)).expect("a good row");
        }
        Arc::new(config)
    }

    fn alarm(kind: Kind, fact: Fact) -> Alarm {
        let (trigger, key) = ("staff".into(), "k".to_owned());
        Alarm {
            trigger,
            key,
            matter: Matter::of(kind, A),
            fact,
            since: Wall(0),
            over: false,
            heirs: Vec::new(),
            alone: false,
        }
    }

    #[test]
    fn a_failed_over_primary_is_named_with_its_heirs_and_what_to_do() {
        let heirs = [("DEFAULT", Some(B)), ("North", Some(B)), ("South", None)];
        let heirs = heirs.map(|(group, heir)| (group.to_owned(), heir)).to_vec();
        let told = words(&config(), &Alarm { heirs, ..alarm(Kind::FailedOver, Fact::Down(DownReason::Refused)) }, B);
        assert_eq!(told.title, "Server pa-1 failed over");
        for part in [
            "pa-1 is down since ",
            "its program has ended.",
            "pa-2 sends in its place for DEFAULT, North.",
            "No other server of South is up",
            "Configuration is locked until it is back.",
            "start OneAlert there",
            "onealert promote",
        ] {
            assert!(told.body.contains(part), "{part:?} in {}", told.body);
        }
    }

    #[test]
    fn a_server_that_hears_nobody_says_that_it_may_be_the_one_that_is_cut_off() {
        let told =
            words(&config(), &Alarm { alone: true, ..alarm(Kind::FailedOver, Fact::Down(DownReason::Silent)) }, B);
        assert!(
            told.body.contains("nothing is heard of it") && told.body.contains("pa-2 hears no other server"),
            "{}",
            told.body
        );
    }

    #[test]
    fn a_clock_says_how_much_and_which_way() {
        assert!(words(&config(), &alarm(Kind::Clock, Fact::Clock(-730)), B).body.contains("730 ms behind the other"));
        assert!(
            words(&config(), &alarm(Kind::Clock, Fact::Clock(2100)), B).body.contains("2100 ms ahead of the other")
        );
    }
}
