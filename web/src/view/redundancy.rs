//! Who takes over from whom: servers that came back, what would happen if, and drills.

use onealert_core::{
    calendar::When,
    ids::{CalendarId, EndpointId, NotificationId, ServerId, TriggerId},
    time::Wall,
};
use serde::{Deserialize, Serialize};

use super::{Named, State};

/// How servers return, and how each of them is in this respect.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Redundancy {
    /// A server that came back owns nothing until an operator lets it return.
    pub manual_return: bool,
    /// Every server, the primary first.
    pub servers: Vec<Returning>,
}

/// What is decided for the whole site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedundancySettings {
    /// A server that came back owns nothing until an operator lets it return.
    pub manual_return: bool,
}

/// A server, and whether it holds back after it came back.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Returning {
    /// The server.
    #[schema(value_type = String)]
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// How well it is.
    pub state: State,
    /// In words, such as `Back since 10:02:11, takes activations again at 10:02:41`.
    pub text: String,
    /// It owns nothing although it is up.
    pub held: bool,
    /// Since when it is back, if it is held.
    #[schema(value_type = Option<i64>)]
    pub since: Option<Wall>,
    /// When its waiting time ends, if it is held.
    #[schema(value_type = Option<i64>)]
    pub until: Option<Wall>,
    /// What it waits for besides: `operator`, `configuration`, `clock`.
    pub waits_for: Vec<String>,
    /// The names of the servers that say so.
    pub by: Vec<String>,
}

/// What is asked: what happens, and the circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatIfQuery {
    /// What happens.
    pub cause: WhatIfCause,
    /// Servers assumed dead.
    pub dead: Vec<ServerId>,
}

/// What is assumed to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhatIfCause {
    /// A trigger goes off.
    Trigger {
        /// Which.
        id: TriggerId,
        /// When; now if left out.
        at: Option<Wall>,
    },
    /// A notification is sent by hand.
    Notification {
        /// Which.
        id: NotificationId,
        /// When; now if left out.
        at: Option<Wall>,
    },
    /// Bells ring by calendar.
    Bells {
        /// Of which calendar; of every one if left out.
        calendar: Option<CalendarId>,
        /// Which of its bells, in its own zone.
        on: When,
    },
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct WhatIf {
    /// When; of bells when the first of them is due, or now where there is none.
    #[schema(value_type = i64)]
    pub at: Wall,
    /// The servers assumed dead.
    pub dead: Vec<Named>,
    /// What happens, in a sentence.
    pub text: String,
    /// The bells that were asked for, by calendar. Empty for triggers and notifications.
    pub days: Vec<WhatIfDay>,
    /// Each notification that would be sent. Bells that go the same way have one entry together.
    pub runs: Vec<WhatIfRun>,
}

/// What a calendar has on the day that is asked about.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct WhatIfDay {
    /// The calendar.
    pub calendar: Named,
    /// The zone of its dates and times.
    pub zone: String,
    /// The priority group that rings.
    pub group: Named,
    /// The day and what it has, in words, such as `Monday 30 November 2026, Normal: 12 bells`.
    pub text: String,
    /// The worst of its bells.
    pub state: State,
    /// Its bells that are to come, in order; one entry for each notification that is started.
    pub bells: Vec<WhatIfBell>,
}

/// A notification that an event of a calendar starts, and who rings it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct WhatIfBell {
    /// The event.
    pub event: String,
    /// The date, as `2026-11-30`.
    pub date: String,
    /// The local time, as `08:00`.
    pub at: String,
    /// The instant, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub due: Wall,
    /// What it starts.
    pub notification: Named,
    /// The server that rings; `None`: one outside the group, or nobody.
    pub sender: Option<Named>,
    /// Ok: all is reached. Warning: something is doubtful. Bad: endpoints are stranded.
    pub state: State,
    /// Who rings, in words.
    pub text: String,
    /// How many endpoints it has.
    pub endpoints: u32,
    /// The endpoints that are not reached, each with the reason.
    pub stranded: Vec<String>,
    /// Its place in `runs`, which says more of servers and endpoints.
    pub run: u32,
}

/// One notification that would be sent.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct WhatIfRun {
    /// The notification.
    pub notification: Named,
    /// The priority group by which it goes.
    pub group: Named,
    /// The server that sends; `None`: the one that the event comes in at, or nobody.
    pub sender: Option<Named>,
    /// Who sends and why, in words.
    pub text: String,
    /// Ok: all is reached. Warning: something is doubtful. Bad: endpoints are stranded.
    pub state: State,
    /// Who would send after whom, first first.
    pub succession: Vec<Named>,
    /// Every server of the group, and what speaks against it.
    pub members: Vec<WhatIfMember>,
    /// Every endpoint, and whether it is reached.
    pub endpoints: Vec<WhatIfEndpoint>,
    /// How many endpoints are stranded.
    pub stranded: u32,
}

/// A server of the group.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct WhatIfMember {
    /// Which.
    #[schema(value_type = String)]
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// How good a sender it is.
    pub state: State,
    /// What speaks against it, in words.
    pub text: String,
}

/// An endpoint of the notification.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct WhatIfEndpoint {
    /// Which.
    #[schema(value_type = String)]
    pub id: EndpointId,
    /// Its name.
    pub name: String,
    /// Ok: the sender can reach it, as far as is known. Warning: doubtful. Bad: stranded.
    pub state: State,
    /// Why, in words.
    pub text: String,
}

/// What a failover rehearsal found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillReport {
    /// When it began.
    #[schema(value_type = i64)]
    pub at: Wall,
    /// The server that it was started on.
    pub server: String,
    /// Who started it.
    pub by: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How well the installation would fare.
    pub state: State,
    /// The same in a sentence.
    pub text: String,
    /// What would happen with each server dead in turn.
    pub cases: Vec<DrillCase>,
    /// How long a death goes unnoticed at most when nothing refuses a connection: a machine without power, a cut cable. To
    /// be added to the measured times then.
    pub silence_ms: u64,
    /// Endpoints that only one server reaches.
    pub single: Vec<DrillEndpoint>,
    /// Drivers that differ from the configuration.
    pub drivers: Vec<DrillDriver>,
    /// The bells of the coming 24 hours by every calendar; where one has none then, those of its next day with bells.
    pub bells: Vec<DrillBell>,
}

/// A bell that is to come, and who rings it when its server is dead by then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillBell {
    /// The calendar.
    pub calendar: String,
    /// The zone of date and time.
    pub zone: String,
    /// The date, as `2026-11-30`.
    pub date: String,
    /// The local time, as `08:00`.
    pub at: String,
    /// The instant, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub due: Wall,
    /// The event.
    pub event: String,
    /// What it starts.
    pub notification: String,
    /// Who rings it as it stands.
    pub before: String,
    /// Who rings it when that one is dead.
    pub after: String,
    /// How well that is.
    pub state: State,
    /// Endpoints that would not be reached then, and why.
    pub stranded: Vec<String>,
}

/// What happens to some notifications when a server is dead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillCase {
    /// The priority group.
    pub group: String,
    /// What it concerns: `trigger → notification`; empty: whatever needs no driver.
    pub what: Vec<String>,
    /// The server that is dead.
    pub dead: String,
    /// Who owns it at present.
    pub before: String,
    /// Who would own it.
    pub after: String,
    /// How well that is.
    pub state: State,
    /// In words.
    pub text: String,
    /// Measured: from the owner's fall to the successor's confirmed beginning, in milliseconds. Only where the dead server
    /// is the owner.
    pub takeover_ms: Option<f64>,
    /// Endpoints that nobody would reach, and why.
    pub stranded: Vec<String>,
}

/// An endpoint that only one server reaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillEndpoint {
    /// Its name.
    pub name: String,
    /// The server.
    pub server: String,
    /// How that is known.
    pub why: String,
}

/// A driver that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillDriver {
    /// Its name.
    pub name: String,
    /// On which server.
    pub server: String,
    /// What is expected and what is there.
    pub text: String,
}
