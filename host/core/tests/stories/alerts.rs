//! Redundancy status alerts as stories: what is told of the servers, by whom, and how often.

use std::collections::BTreeMap;

use onealert_core::{
    activation::{Content, activation_id},
    alert::{ACTIVATOR, Alerts, Fact, Kind, Wrong},
    config::{Change, Config, DEFAULT_GROUP, PriorityGroup, Role, Server, Table, Trigger},
    event::Input,
    ids::{EventKey, GroupId, ServerId, TriggerId},
    time::Wall,
};
use serde_json::json;

use crate::world::{A, B, C, Did, World, page_for};

const MINUTE: u64 = 60_000;

/// Three servers that watch themselves and each other, with one trigger that takes every alert and is quiet for ten minutes.
struct Site {
    world: World,
    config: Config,
    alerts: BTreeMap<ServerId, Alerts>,
    wrong: BTreeMap<ServerId, Vec<Wrong>>,
    heard: usize,
    /// When, by whom, what about whom.
    told: Vec<(u64, ServerId, Kind, ServerId)>,
    started: Vec<Content>,
    facts: Vec<Fact>,
}

impl Site {
    fn new() -> Site {
        let world = World::of(&[A, B, C]);
        let mut config = Config::default();
        for id in [A, B, C] {
            let role = if id == A { Role::Primary } else { Role::Secondary };
            let row = Server {
                id,
                name: format!("server-{}", id.0),
                role,
                mesh: String::new(),
                web: String::new(),
                key_sha256: String::new(),
                enrolled: Wall(0),
                deprovisioned: false,
            };
            config.apply(&Change::put(Table::Servers, &id.to_string(), &row)).expect("a good row");
        }
        let group =
            PriorityGroup { id: GroupId::from(DEFAULT_GROUP), name: DEFAULT_GROUP.to_owned(), servers: vec![A, B, C] };
        config.apply(&Change::put(Table::PriorityGroups, DEFAULT_GROUP, &group)).expect("a good row");
        let trigger = Trigger {
            id: TriggerId::from("staff"),
            name: "Staff".to_owned(),
            driver: Some(ACTIVATOR.into()),
            settings: json!({"kinds": Kind::ALL.map(Kind::word), "quiet_minutes": 10}),
            group: group.id,
            behaviour: Default::default(),
            late_limit_ms: None,
        };
        config.apply(&Change::put(Table::Triggers, "staff", &trigger)).expect("a good row");
        let alerts = [A, B, C].map(|id| (id, Alerts::new(world.now_at(id).mono))).into();
        let mut site = Site {
            world,
            config,
            alerts,
            wrong: BTreeMap::new(),
            heard: 0,
            told: Vec::new(),
            started: Vec::new(),
            facts: Vec::new(),
        };
        site.run(5000);
        assert_eq!(site.told, [], "a start is nothing to tell");
        site
    }

    fn run(&mut self, ms: u64) {
        let end = self.world.ms() + ms;
        while self.world.ms() < end {
            self.world.run(50.min(end - self.world.ms()));
            self.look();
        }
    }

    fn look(&mut self) {
        let mut alarms = Vec::new();
        for (_, server, did) in &self.world.did[self.heard..] {
            if let (Did::Notice(notice), Some(alerts)) = (did, self.alerts.get_mut(server)) {
                alerts.notice(self.world.now_at(*server), notice);
            }
        }
        self.heard = self.world.did.len();
        for (server, alerts) in &mut self.alerts {
            let now = self.world.now_at(*server);
            alerts.own(now, *server, self.wrong.get(server).cloned().unwrap_or_default());
            let found = alerts.review(now, self.world.node(*server), &self.config);
            alarms.extend(found.into_iter().map(|alarm| (*server, now, alarm)));
        }
        for (server, now, alarm) in alarms {
            self.told.push((self.world.ms(), server, alarm.matter.kind, alarm.matter.server));
            let key = EventKey(format!("{}/{}", alarm.trigger, alarm.key));
            let content = page_for("staff", 1, &[A, B, C]);
            let id = activation_id(&key, &content.notification);
            let content = Content { id, key, accepted: now.wall, ..content };
            self.world.trigger(server, &content);
            self.started.push(content);
            self.facts.push(alarm.fact);
        }
    }

    fn kill(&mut self, id: ServerId) {
        self.alerts.remove(&id);
        self.world.kill(id);
    }

    fn start(&mut self, id: ServerId) {
        self.alerts.insert(id, Alerts::new(self.world.now_at(id).mono));
        self.world.start(id);
    }

    /// What was told, without when.
    fn told(&self) -> Vec<(ServerId, Kind, ServerId)> {
        self.told.iter().map(|(_, by, kind, of)| (*by, *kind, *of)).collect()
    }

    /// Who delivered each of them.
    fn deliveries(&self) -> Vec<ServerId> {
        let all = self.started.iter().flat_map(|content| self.world.deliveries(content.id));
        all.map(|(server, _, _)| server).collect()
    }
}

#[test]
fn a_server_that_dies_is_told_once_by_the_next_and_its_return_once() {
    let mut site = Site::new();
    site.kill(A);
    site.run(30_000);
    assert_eq!(site.told(), [(B, Kind::FailedOver, A)]);
    assert_eq!(site.deliveries(), [B]);
    site.start(A);
    site.run(30_000);
    assert_eq!(site.told().len(), 2, "{:?}", site.told());
    // It is back and sends again, so it tells of its own return if anybody else notices it first: B does.
    assert_eq!((site.told()[1].1, site.told()[1].2), (Kind::CameBack, A));
    assert_eq!(site.deliveries().len(), 2);
}

#[test]
fn a_death_in_the_dark_is_told_by_the_last_one_left() {
    let mut site = Site::new();
    site.kill(A);
    site.kill(B);
    site.run(30_000);
    let mut of: Vec<ServerId> = site
        .told()
        .into_iter()
        .map(|(by, kind, of)| {
            assert_eq!((by, kind), (C, Kind::FailedOver));
            of
        })
        .collect();
    of.sort();
    assert_eq!(of, [A, B]);
    assert_eq!(site.deliveries(), [C, C]);
}

#[test]
fn a_machine_without_power_is_told_once_too() {
    let mut site = Site::new();
    site.alerts.remove(&A);
    site.world.power_off(A);
    site.run(30_000);
    assert_eq!(site.told(), [(B, Kind::FailedOver, A)]);
    let at = site.told[0].0 - 5050;
    assert!((1000..3000).contains(&at), "told {at} ms after");
}

#[test]
fn a_link_that_is_cut_between_two_who_both_hear_the_third_is_no_failover() {
    let mut site = Site::new();
    site.world.cut(A, B);
    site.run(60_000);
    assert_eq!(site.told(), []);
    site.world.heal(A, B);
    site.run(10_000);
    assert_eq!(site.told(), []);
}

#[test]
fn a_server_that_comes_and_goes_is_told_once_in_the_quiet_time_and_what_lasts_is_told_at_its_end() {
    let mut site = Site::new();
    for _ in 0..5 {
        site.kill(A);
        site.run(20_000);
        site.start(A);
        site.run(20_000);
    }
    let kinds = |site: &Site| site.told().into_iter().map(|(_, kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(&site), [Kind::FailedOver, Kind::CameBack]);
    // The last time it stays away.
    site.kill(A);
    site.run(5 * MINUTE);
    assert_eq!(kinds(&site).len(), 2, "quiet");
    site.run(15 * MINUTE);
    assert_eq!(kinds(&site), [Kind::FailedOver, Kind::CameBack, Kind::FailedOver], "and then not again");
    assert_eq!(site.deliveries().len(), 3);
}

#[test]
fn a_server_that_was_stopped_in_good_order_has_not_failed() {
    let mut site = Site::new();
    site.world.feed(A, Input::Drain);
    site.run(3000);
    site.kill(A);
    site.run(30_000);
    let told = site.told();
    assert_eq!(told, [(B, Kind::Stopped, A)]);
    site.start(A);
    site.run(20_000);
    assert_eq!((site.told()[1].1, site.told().len()), (Kind::CameBack, 2));
}

#[test]
fn a_server_that_comes_up_beside_a_dead_one_tells_nothing() {
    let mut site = Site::new();
    site.kill(C);
    site.run(20_000);
    site.kill(B);
    site.run(20_000);
    let before = site.told().len();
    site.start(B);
    site.run(60_000);
    let after: Vec<_> = site.told()[before..].iter().map(|(_, kind, of)| (*kind, *of)).collect();
    assert_eq!(after, [(Kind::CameBack, B)], "nothing of C, which B has never heard");
}

#[test]
fn a_clock_is_told_once_about_the_server_that_is_wrong_and_again_when_it_is_much_worse() {
    for wrong in [A, B, C] {
        let mut site = Site::new();
        site.world.server(wrong).ahead = 700;
        site.run(MINUTE);
        let told: Vec<_> = site.told().into_iter().map(|(_, kind, of)| (kind, of)).collect();
        assert_eq!(told, [(Kind::Clock, wrong)]);
        assert!(matches!(site.facts[0], Fact::Clock(ahead) if (690..710).contains(&ahead)), "{:?}", site.facts);
        site.world.server(wrong).ahead = -3000;
        site.run(MINUTE);
        let told: Vec<_> = site.told().into_iter().map(|(_, kind, of)| (kind, of)).collect();
        assert_eq!(told, [(Kind::Clock, wrong), (Kind::Clock, wrong)]);
    }
}

fn degraded(at_once: bool) -> Wrong {
    Wrong { kind: Kind::DriverDegraded, driver: Some("com.algo".into()), text: "it ended".to_owned(), at_once }
}

#[test]
fn a_driver_that_ended_too_often_is_told_although_it_has_been_started_again() {
    let mut site = Site::new();
    site.wrong.insert(B, vec![degraded(true)]);
    site.run(50);
    site.wrong.clear();
    site.run(5000);
    assert_eq!(site.told(), [(B, Kind::DriverDegraded, B)]);
}

#[test]
fn a_driver_that_is_degraded_is_told_by_its_server_and_sent_by_the_first() {
    let mut site = Site::new();
    site.wrong.insert(C, vec![degraded(false)]);
    site.run(20 * MINUTE);
    assert_eq!(site.told(), [(C, Kind::DriverDegraded, C)], "once while it lasts");
    assert_eq!(site.deliveries(), [A]);
    // What mends itself at once is for the log.
    site.wrong.clear();
    site.run(1000);
    site.wrong.insert(B, vec![Wrong { kind: Kind::SyncError, driver: None, ..degraded(false) }]);
    site.run(1000);
    site.wrong.clear();
    site.run(MINUTE);
    assert_eq!(site.told().len(), 1);
}

#[test]
fn rows_that_were_changed_by_hand_are_told_though_they_are_repaired_at_once() {
    let mut site = Site::new();
    let now = site.world.now_at(B);
    let alerts = site.alerts.get_mut(&B).expect("it runs");
    alerts.happened(now, B, Kind::SyncError, "groups: rows pool changed".to_owned());
    site.run(5000);
    assert_eq!(site.told(), [(B, Kind::SyncError, B)]);
}

#[test]
fn a_restart_right_after_an_alert_does_not_tell_it_again() {
    let mut site = Site::new();
    site.wrong.insert(C, vec![degraded(false)]);
    site.run(MINUTE);
    assert_eq!(site.told(), [(C, Kind::DriverDegraded, C)]);
    site.kill(C);
    site.run(5000);
    site.start(C);
    site.run(3 * MINUTE);
    let again = site.told().iter().filter(|(_, kind, _)| *kind == Kind::DriverDegraded).count();
    assert_eq!(again, 1, "{:?}", site.told());
}
