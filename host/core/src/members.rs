//! Who belongs to the installation: the configuration changes by which servers leave it or become its primary, and what the
//! licence says (redundancy sheet, sections 3.5 and 7).
//!
//! Each function gives the rows of one transaction; what is committed with them is the shell's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    calendar::Calendar,
    config::{Change, Config, DEFAULT_GROUP, PriorityGroup, Role, Server, Table, Trigger},
    ids::{CalendarId, GroupId, ServerId, TriggerId},
    replicate::Enrolment,
    time::{Span, Wall},
};

/// The setting that says how many secondaries the licence allows.
pub const LICENCE: &str = "licence_secondaries";

/// How long a secondary works without its primary before its licence is no longer proven: the sheet's default.
pub const GRACE: Span = Span::secs(30 * 24 * 3600);

/// Why a server cannot be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotDeprovision {
    /// No such server.
    #[error("server {0} is not in the configuration")]
    Unknown(ServerId),
    /// It is out already.
    #[error("server {0} is deprovisioned already")]
    Already(ServerId),
    /// The primary itself.
    #[error("server {0} is the primary; promote another server first")]
    Primary(ServerId),
}

/// What taking a server out does.
#[derive(Debug, Clone, PartialEq)]
pub struct Departure {
    /// The rows, for one transaction.
    pub changes: Vec<Change>,
    /// The priority groups that it leaves and that still hold somebody, by name.
    pub left: Vec<String>,
    /// The priority groups that would be empty without it: each is deleted, and what used it goes to `DEFAULT`.
    pub dissolved: Vec<Dissolved>,
    /// `DEFAULT` would be empty without it: the primary takes its place there.
    pub primary_steps_in: bool,
}

/// A priority group that held only the server that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dissolved {
    /// The group's name.
    pub name: String,
    /// Its triggers, which go to `DEFAULT`.
    pub triggers: Vec<TriggerId>,
    /// Its calendars, which go there too.
    pub calendars: Vec<CalendarId>,
}

/// Takes a server out for good. Its row stays, so that what it sent keeps its name.
///
/// # Errors
/// It is not there, out already, or the primary.
pub fn deprovision(config: &Config, server: ServerId) -> Result<Departure, CannotDeprovision> {
    let row = config.servers.get(&server).ok_or(CannotDeprovision::Unknown(server))?;
    if row.deprovisioned {
        return Err(CannotDeprovision::Already(server));
    }
    if row.role == Role::Primary {
        return Err(CannotDeprovision::Primary(server));
    }
    let gone = Server { deprovisioned: true, ..row.clone() };
    let mut departure = Departure {
        changes: vec![Change::put(Table::Servers, &server.to_string(), &gone)],
        left: Vec::new(),
        dissolved: Vec::new(),
        primary_steps_in: false,
    };
    let remains = |id: &ServerId| *id != server && config.servers.get(id).is_some_and(|row| !row.deprovisioned);
    for group in config.groups.values().filter(|group| group.servers.contains(&server)) {
        let servers: Vec<ServerId> = group.servers.iter().copied().filter(remains).collect();
        let is_default = group.id.as_str() == DEFAULT_GROUP;
        if servers.is_empty() && !is_default {
            departure.dissolve(config, group);
            continue;
        }
        departure.primary_steps_in |= servers.is_empty();
        let servers = match (servers.is_empty(), config.primary()) {
            (true, Some(primary)) => vec![primary.id],
            _ => servers,
        };
        departure.left.push(group.name.clone());
        let kept = PriorityGroup { servers, ..group.clone() };
        departure.changes.push(Change::put(Table::PriorityGroups, group.id.as_str(), &kept));
    }
    Ok(departure)
}

impl Departure {
    fn dissolve(&mut self, config: &Config, group: &PriorityGroup) {
        let (mut triggers, mut calendars) = (Vec::new(), Vec::new());
        let heir = GroupId::from(DEFAULT_GROUP);
        for trigger in config.triggers.values().filter(|trigger| trigger.group == group.id) {
            let moved = Trigger { group: heir.clone(), ..trigger.clone() };
            self.changes.push(Change::put(Table::Triggers, trigger.id.as_str(), &moved));
            triggers.push(trigger.id.clone());
        }
        for calendar in config.calendars.values().filter(|calendar| calendar.group == group.id) {
            let moved = Calendar { group: heir.clone(), ..calendar.clone() };
            self.changes.push(Change::put(Table::Calendars, calendar.id.as_str(), &moved));
            calendars.push(calendar.id.clone());
        }
        self.changes.push(Change::delete(Table::PriorityGroups, group.id.as_str()));
        self.dissolved.push(Dissolved { name: group.name.clone(), triggers, calendars });
    }
}

/// The rows that make `me` the primary, for the transaction that begins its generation.
///
/// Whoever was the primary becomes the newest secondary: if it is lost, it is the first that a full licence leaves out, and
/// if it returns it can be joined. It keeps its places in the priority groups; a server that was restored from a backup and
/// is in no group stands before it, in its place.
pub fn promote(config: &Config, me: &Server, now: Wall) -> Vec<Change> {
    let promoted = Server { role: Role::Primary, deprovisioned: false, ..me.clone() };
    let mut changes = vec![Change::put(Table::Servers, &me.id.to_string(), &promoted)];
    let former: BTreeSet<ServerId> =
        config.servers.values().filter(|row| row.role == Role::Primary && row.id != me.id).map(|row| row.id).collect();
    for id in &former {
        let row = &config.servers[id];
        let stepped_down = Server { role: Role::Secondary, enrolled: now.max(row.enrolled), ..row.clone() };
        changes.push(Change::put(Table::Servers, &id.to_string(), &stepped_down));
    }
    let known = config.servers.get(&me.id).is_some_and(|row| !row.deprovisioned);
    for group in config.groups.values() {
        let place = group.servers.iter().position(|id| former.contains(id));
        let is_default = group.id.as_str() == DEFAULT_GROUP;
        if known || group.servers.contains(&me.id) || (place.is_none() && !is_default) {
            continue;
        }
        let mut servers = group.servers.clone();
        servers.insert(place.unwrap_or(servers.len()), me.id);
        let changed = PriorityGroup { servers, ..group.clone() };
        changes.push(Change::put(Table::PriorityGroups, group.id.as_str(), &changed));
    }
    changes
}

/// The secondaries that count in the licence, in the order in which they joined.
pub fn licensed_order(config: &Config) -> Vec<ServerId> {
    let mut rows: Vec<&Server> =
        config.servers.values().filter(|row| row.role == Role::Secondary && !row.deprovisioned).collect();
    rows.sort_by_key(|row| (row.enrolled, row.id));
    rows.into_iter().map(|row| row.id).collect()
}

/// What the configuration says of a server that calls, under a licence for `limit` secondaries. Those that joined last are
/// left out when the licence was lowered.
pub fn enrolment(config: &Config, server: ServerId, limit: u32) -> Enrolment {
    match config.servers.get(&server) {
        None => Enrolment::Unknown,
        Some(row) if row.deprovisioned => Enrolment::Deprovisioned,
        Some(_) => match licensed_order(config).iter().position(|id| *id == server) {
            Some(place) if place >= limit as usize => Enrolment::OverLicence { limit },
            _ => Enrolment::Enrolled,
        },
    }
}

/// Whether the configuration itself says that the licence leaves a server out. Where it says nothing of the licence only the
/// primary knows.
pub fn left_out(config: &Config, server: ServerId) -> bool {
    let limit = config.settings.get(LICENCE).and_then(|row| row.value.as_u64());
    let limit = limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    limit.is_some_and(|limit| matches!(enrolment(config, server, limit), Enrolment::OverLicence { .. }))
}

impl Config {
    /// The servers of a group in order, without those that were deprovisioned or that the licence leaves out. Where nobody is
    /// left, and where the group has gone, it is read as `DEFAULT`, and an empty `DEFAULT` as the primary: what a trigger starts
    /// still reaches somebody.
    pub fn group_order(&self, group: &GroupId) -> Vec<ServerId> {
        let serves = |id: &ServerId| {
            let there = self.servers.get(id).is_some_and(|server| !server.deprovisioned);
            there && !left_out(self, *id)
        };
        let order = |group: &GroupId| {
            let servers = self.groups.get(group).map(|group| group.servers.iter().copied().filter(serves).collect());
            servers.filter(|servers: &Vec<ServerId>| !servers.is_empty())
        };
        let primary = || self.primary().map(|row| row.id).into_iter().collect();
        order(group).or_else(|| order(&GroupId::from(DEFAULT_GROUP))).unwrap_or_else(primary)
    }
}

/// Whether one more secondary may join.
pub fn has_room(config: &Config, limit: u32) -> bool {
    licensed_order(config).len() < limit as usize
}

/// Whether a secondary's licence is proven by contact with its primary.
///
/// It never disarms a server: a secondary whose grace has run out says so on its pages and in its alerts and goes on
/// sending. An installation without its primary for a month needs its alarms more than anybody needs the licence checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// The primary is there, or was within the grace period.
    Within {
        /// How much of the period is left.
        left: Span,
    },
    /// The grace period is over.
    Over {
        /// For how long the primary has not been heard.
        away: Span,
    },
}

/// The state of a licence of `period` when the primary was last heard at `heard` and it is `now`. A clock that went back
/// does not shorten the period.
pub fn grace(now: Wall, heard: Wall, period: Span) -> Grace {
    let away = Span::millis(u64::try_from(now.0.saturating_sub(heard.0)).unwrap_or(0));
    match period.0.checked_sub(away.0) {
        Some(left) if left > 0 => Grace::Within { left: Span(left) },
        _ => Grace::Over { away },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(1);
    const B: ServerId = ServerId(2);
    const C: ServerId = ServerId(3);

    fn server(id: ServerId, role: Role) -> Server {
        Server {
            id,
            name: format!("pa-{}", id.0),
            role,
            mesh: format!("10.0.0.{}:7400", id.0),
            web: String::new(),
            key_sha256: format!("{id}"),
            enrolled: Wall(id.0 as i64),
            deprovisioned: false,
        }
    }

    fn site(groups: &[(&str, &[ServerId])]) -> Config {
        let mut config = Config::default();
        for (id, role) in [(A, Role::Primary), (B, Role::Secondary), (C, Role::Secondary)] {
            config.servers.insert(id, server(id, role));
        }
        for (name, servers) in groups {
            let group = PriorityGroup { id: GroupId::from(*name), name: (*name).to_owned(), servers: servers.to_vec() };
            config.groups.insert(group.id.clone(), group);
        }
        config
    }

    fn after(config: &Config, changes: &[Change]) -> Config {
        let mut after = config.clone();
        for change in changes {
            after.apply(change).expect("rows of their tables");
        }
        after
    }

    fn order(config: &Config, group: &str) -> Vec<ServerId> {
        config.groups[&GroupId::from(group)].servers.clone()
    }

    #[test]
    fn who_leaves_stands_in_no_group_and_keeps_its_name() {
        let config = site(&[("DEFAULT", &[A, B, C]), ("North", &[C, B])]);
        let departure = deprovision(&config, B).expect("a secondary can leave");
        let after = after(&config, &departure.changes);
        assert_eq!((order(&after, "DEFAULT"), order(&after, "North")), (vec![A, C], vec![C]));
        assert!(after.servers[&B].deprovisioned && after.servers[&B].name == "pa-2");
        assert_eq!((departure.left.len(), departure.dissolved.len()), (2, 0));
        assert_eq!(deprovision(&after, B), Err(CannotDeprovision::Already(B)));
        assert_eq!(deprovision(&after, A), Err(CannotDeprovision::Primary(A)));
        assert_eq!(deprovision(&after, ServerId(9)), Err(CannotDeprovision::Unknown(ServerId(9))));
    }

    #[test]
    fn a_group_that_would_be_empty_is_dissolved_and_its_triggers_still_reach_somebody() {
        let mut config = site(&[("DEFAULT", &[B]), ("North", &[B])]);
        let trigger = Trigger {
            id: TriggerId::from("bell"),
            name: "Bell".to_owned(),
            driver: None,
            settings: serde_json::Value::Null,
            group: GroupId::from("North"),
            behaviour: crate::config::Behaviour::Start,
            late_limit_ms: None,
        };
        config.triggers.insert(trigger.id.clone(), trigger);
        let bells = serde_json::json!({"id": "year", "name": "Year", "zone": "America/Chicago", "group": "North"});
        config.apply(&Change::put(Table::Calendars, "year", &bells)).expect("a calendar");
        let departure = deprovision(&config, B).expect("a secondary can leave");
        let after = after(&config, &departure.changes);
        let (triggers, calendars) = (vec!["bell".into()], vec!["year".into()]);
        assert_eq!(departure.dissolved, [Dissolved { name: "North".to_owned(), triggers, calendars }]);
        assert!(departure.primary_steps_in && !after.groups.contains_key(&GroupId::from("North")));
        assert_eq!(after.group_order(&after.triggers[&TriggerId::from("bell")].group), [A]);
        assert_eq!(after.calendars[&CalendarId::from("year")].group, GroupId::from(DEFAULT_GROUP));
    }

    #[test]
    fn there_is_one_primary_after_a_promotion_and_the_former_one_is_the_newest_secondary() {
        let config = site(&[("DEFAULT", &[A, B, C])]);
        let after = after(&config, &promote(&config, &config.servers[&B], Wall(100)));
        assert_eq!(after.primary().map(|row| row.id), Some(B));
        assert_eq!(licensed_order(&after), [C, A]);
        assert_eq!(order(&after, "DEFAULT"), [A, B, C], "who sends first is not changed by who is configured");
        assert_eq!(enrolment(&after, C, 1), Enrolment::Enrolled);
        assert_eq!(enrolment(&after, A, 1), Enrolment::OverLicence { limit: 1 });
    }

    #[test]
    fn a_restored_server_takes_the_place_of_the_lost_primary() {
        let config = site(&[("DEFAULT", &[B, A]), ("North", &[A]), ("South", &[C])]);
        let d = ServerId(4);
        let after = after(&config, &promote(&config, &server(d, Role::Primary), Wall(100)));
        assert_eq!(after.primary().map(|row| row.id), Some(d));
        assert_eq!(order(&after, "DEFAULT"), [B, d, A]);
        assert_eq!((order(&after, "North"), order(&after, "South")), (vec![d, A], vec![C]));
    }

    #[test]
    fn the_licence_counts_who_is_in_and_leaves_out_who_came_last() {
        let config = site(&[]);
        assert!(has_room(&config, 3) && !has_room(&config, 2));
        assert_eq!(enrolment(&config, C, 1), Enrolment::OverLicence { limit: 1 });
        assert_eq!(enrolment(&config, B, 1), Enrolment::Enrolled);
        assert_eq!(enrolment(&config, ServerId(9), 1), Enrolment::Unknown);
    }

    #[test]
    fn a_lowered_licence_leaves_out_who_came_last_and_one_that_says_nothing_leaves_out_nobody() {
        let mut config = site(&[]);
        assert!(!left_out(&config, C));
        let row = crate::config::Setting { name: LICENCE.to_owned(), value: 1.into() };
        config.apply(&Change::put(Table::Settings, LICENCE, &row)).expect("a good row");
        assert_eq!([A, B, C].map(|id| left_out(&config, id)), [false, false, true]);
    }

    #[test]
    fn a_group_of_which_the_licence_leaves_nobody_is_read_as_default_and_that_as_the_primary() {
        let mut config = site(&[("DEFAULT", &[C, B, A]), ("North", &[C])]);
        let orders = |config: &Config| ["DEFAULT", "North", "Gone"].map(|id| config.group_order(&GroupId::from(id)));
        assert_eq!(orders(&config), [vec![C, B, A], vec![C], vec![C, B, A]]);
        let row = |limit: u32| crate::config::Setting { name: LICENCE.to_owned(), value: limit.into() };
        config.apply(&Change::put(Table::Settings, LICENCE, &row(1))).expect("a good row");
        assert_eq!(orders(&config), [vec![B, A], vec![B, A], vec![B, A]]);
        let only_c = PriorityGroup { servers: vec![C], ..config.groups[&GroupId::from(DEFAULT_GROUP)].clone() };
        config.apply(&Change::put(Table::PriorityGroups, DEFAULT_GROUP, &only_c)).expect("a good row");
        assert_eq!(orders(&config), [vec![A], vec![A], vec![A]]);
        config.apply(&Change::put(Table::Settings, LICENCE, &row(2))).expect("a good row");
        assert_eq!(orders(&config), [vec![C], vec![C], vec![C]], "covered again");
    }

    #[test]
    fn grace_runs_out_after_its_period_and_not_by_a_clock_that_went_back() {
        let day = 24 * 3600 * 1000;
        assert_eq!(grace(Wall(0), Wall(day), GRACE), Grace::Within { left: GRACE });
        assert!(matches!(grace(Wall(29 * day), Wall(0), GRACE), Grace::Within { .. }));
        assert_eq!(grace(Wall(30 * day), Wall(0), GRACE), Grace::Over { away: GRACE });
    }
}
