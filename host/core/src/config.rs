//! The configuration as the whole product sees it: one type per table, and the immutable snapshot that reading uses.
//!
//! A row is stored and replicated as its canonical JSON text ([`canonical`]); the store knows only `(table, key, text)`,
//! so that every database holds the same bytes and digests compare. [`Config::from_rows`] turns rows into these types and
//! [`Config::apply`] folds a committed change in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    calendar::Calendar,
    ids::{CalendarId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId, UserId},
    time::Wall,
};

/// A replicated configuration table. The order is the order in which a snapshot is sent and applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// [`Setting`]: site-wide values such as the multicast settings' defaults.
    Settings,
    /// [`Server`].
    Servers,
    /// [`PriorityGroup`].
    PriorityGroups,
    /// [`Driver`]: the plugin set.
    Drivers,
    /// [`Endpoint`].
    Endpoints,
    /// [`Trigger`].
    Triggers,
    /// [`Notification`].
    Notifications,
    /// [`Calendar`].
    Calendars,
    /// [`User`].
    Users,
}

impl Table {
    /// Every table, in snapshot order.
    pub const ALL: [Table; 9] = [
        Table::Settings,
        Table::Servers,
        Table::PriorityGroups,
        Table::Drivers,
        Table::Endpoints,
        Table::Triggers,
        Table::Notifications,
        Table::Calendars,
        Table::Users,
    ];

    /// The table's name in the database and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Settings => "settings",
            Table::Servers => "servers",
            Table::PriorityGroups => "priority_groups",
            Table::Drivers => "drivers",
            Table::Endpoints => "endpoints",
            Table::Triggers => "triggers",
            Table::Notifications => "notifications",
            Table::Calendars => "calendars",
            Table::Users => "users",
        }
    }

    /// The table of that name.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// One write to one row, as the change log carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which table.
    pub table: Table,
    /// The row's key.
    pub key: String,
    /// The row's canonical JSON text after the change; `None` deletes the row.
    pub row: Option<String>,
}

impl Change {
    /// The change that inserts or replaces `row` under `key`.
    pub fn put<T: Serialize>(table: Table, key: &str, row: &T) -> Change {
        Change { table, key: key.to_owned(), row: Some(canonical(row)) }
    }
    /// The change that deletes the row under `key`.
    pub fn delete(table: Table, key: &str) -> Change {
        Change { table, key: key.to_owned(), row: None }
    }
}

/// The one text form of a row: JSON without spaces, object keys in byte order.
///
/// The same value gives the same bytes on every server and from every database, which is what the digests rest on.
pub fn canonical<T: Serialize>(row: &T) -> String {
    // Through `Value`, whose objects are ordered maps: field order in the Rust type then does not matter.
    let value = serde_json::to_value(row).expect("configuration rows are plain data with text keys");
    value.to_string()
}

/// What this server is in the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds the publisher database: accepts configuration.
    Primary,
    /// Holds a subscriber database: read-only, sends when it is its turn.
    Secondary,
}

/// A server of the installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its drawn id; also the row key, as text.
    pub id: ServerId,
    /// Display name; the host name unless edited.
    pub name: String,
    /// Primary or secondary.
    pub role: Role,
    /// `address:port` where its peers reach it.
    pub mesh: String,
    /// Base URL of its pages, such as `https://10.0.0.11`.
    pub web: String,
    /// SHA-256 of its certificate's public key, as hexadecimal digits: who it must be when it calls.
    pub key_sha256: String,
    /// When it was installed or joined.
    pub enrolled: Wall,
    /// Removed for good; it may not send.
    #[serde(default)]
    pub deprovisioned: bool,
}

/// An ordered list of servers: the first that is up sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorityGroup {
    /// Row key. `DEFAULT` exists always and cannot be renamed or removed.
    pub id: GroupId,
    /// Unique name on the page.
    pub name: String,
    /// First = tried first.
    pub servers: Vec<ServerId>,
}

/// The key of the priority group that always exists.
pub const DEFAULT_GROUP: &str = "DEFAULT";

/// An enabled or known driver: a row of the plugin set, the same on all servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    /// Reverse-DNS id; also the row key.
    pub id: DriverId,
    /// Name for people, from the manifest.
    pub name: String,
    /// The version in use.
    pub version: semver::Version,
    /// SHA-256 of the library file in use, as hexadecimal digits.
    pub sha256: String,
    /// Whether a worker runs for it.
    pub enabled: bool,
    /// Settings as the driver's schema describes them.
    #[serde(default)]
    pub settings: Value,
}

/// A device or address that receives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Row key.
    pub id: EndpointId,
    /// Name for people.
    pub name: String,
    /// The driver that reaches it.
    pub driver: DriverId,
    /// Where and how, as the driver's endpoint schema describes it.
    #[serde(default)]
    pub address: Value,
    /// Where it hangs, free text.
    #[serde(default)]
    pub location: String,
}

/// What a trigger does to the notifications that name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Starts them.
    #[default]
    Start,
    /// Stops those that run.
    Stop,
}

/// One concrete cause. Carries the priority group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Row key.
    pub id: TriggerId,
    /// Name for people.
    pub name: String,
    /// The driver that watches for it; `None` for a trigger that only pages and the API set off.
    #[serde(default)]
    pub driver: Option<DriverId>,
    /// What to watch for, as the driver's trigger schema describes it.
    #[serde(default)]
    pub settings: Value,
    /// Which servers send, in which order.
    pub group: GroupId,
    /// Start or stop.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// Later than this after it was due it is not sent but recorded as missed, in milliseconds. `None`: never too late.
    #[serde(default)]
    pub late_limit_ms: Option<u64>,
}

/// How urgent a notification is. Drivers map it to the device's own scale; a higher one replaces a lower one on the
/// endpoints they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Background music.
    Music,
    /// Bells and timers.
    Bell,
    /// Ordinary pages.
    #[default]
    Page,
    /// Weather and other warnings.
    Alert,
    /// Lockdown, evacuation: nothing replaces it.
    Emergency,
}

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Audio {
    /// Nothing: text, strobe or relay only.
    #[default]
    None,
    /// A built-in tone by name, such as `chime`.
    Tone {
        /// The tone's name.
        name: String,
    },
    /// The title and body, spoken, after a short tone.
    Speech,
    /// A WAV file of the server's audio folder.
    File {
        /// File name without folder.
        name: String,
    },
}

/// What is said and shown. Title and body may hold variables in braces, such as `{activatorTitle}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Message {
    /// One line.
    #[serde(default)]
    pub title: String,
    /// The text.
    #[serde(default)]
    pub body: String,
    /// The sound.
    #[serde(default)]
    pub audio: Audio,
    /// How many times the audio is played; at least 1.
    #[serde(default = "one")]
    pub repeats: u32,
    /// How long displays and strobes stay on at least, in seconds. They stay on while audio plays anyway.
    #[serde(default = "ten")]
    pub hold_seconds: u32,
}

fn one() -> u32 {
    1
}

fn ten() -> u32 {
    10
}

/// What a successor does with audio that the dead owner had begun (redundancy sheet, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTakeover {
    /// From the beginning: alarms.
    #[default]
    Replay,
    /// Not again where it had begun: bells.
    SkipStarted,
    /// From where it stopped.
    Resume,
}

/// The saved plan: what is sent to whom when one of its triggers happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Row key.
    pub id: NotificationId,
    /// Name for people.
    pub name: String,
    /// How urgent.
    #[serde(default)]
    pub priority: Priority,
    /// Which triggers start it.
    #[serde(default)]
    pub triggers: Vec<TriggerId>,
    /// Which endpoints receive it.
    #[serde(default)]
    pub endpoints: Vec<EndpointId>,
    /// What they receive.
    #[serde(default)]
    pub message: Message,
    /// What a successor does with audio already begun.
    #[serde(default)]
    pub on_takeover: OnTakeover,
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Looks.
    Viewer,
    /// Sends existing notifications.
    Sender,
    /// Also edits notifications and schedules.
    Editor,
    /// Everything.
    Admin,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Login name in lower case; also the row key.
    pub id: UserId,
    /// Name for people.
    pub name: String,
    /// What the user may do.
    pub role: UserRole,
    /// Argon2id in PHC text form.
    pub password_hash: String,
    /// An account is made inactive rather than deleted.
    pub active: bool,
}

/// A site-wide value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name; also the row key.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A row that cannot be read as its table's type.
#[derive(Debug, thiserror::Error)]
#[error("{} {key:?}: {reason}", table.noun())]
pub struct BadRow {
    /// Which table.
    pub table: Table,
    /// Which row.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The whole configuration at one position. Reading never waits: the shell keeps it behind a shared pointer and swaps it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Site-wide values by name.
    pub settings: BTreeMap<String, Setting>,
    /// Servers by id.
    pub servers: BTreeMap<ServerId, Server>,
    /// Priority groups by key.
    pub groups: BTreeMap<GroupId, PriorityGroup>,
    /// Drivers by id.
    pub drivers: BTreeMap<DriverId, Driver>,
    /// Endpoints by key.
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    /// Triggers by key.
    pub triggers: BTreeMap<TriggerId, Trigger>,
    /// Notifications by key.
    pub notifications: BTreeMap<NotificationId, Notification>,
    /// Calendars by key.
    pub calendars: BTreeMap<CalendarId, Calendar>,
    /// Users by login name.
    pub users: BTreeMap<UserId, User>,
}

impl Config {
    /// The configuration that these rows make.
    ///
    /// # Errors
    /// The first row that cannot be read as its table's type.
    pub fn from_rows(rows: impl IntoIterator<Item = (Table, String, String)>) -> Result<Config, BadRow> {
        let mut config = Config::default();
        for (table, key, row) in rows {
            config.apply(&Change { table, key, row: Some(row) })?;
        }
        Ok(config)
    }

    /// Folds one committed change in.
    ///
    /// # Errors
    /// The row cannot be read as its table's type, or its id differs from its key; the configuration is unchanged then.
    pub fn apply(&mut self, change: &Change) -> Result<(), BadRow> {
        match change.table {
            Table::Settings => fold(&mut self.settings, change, |row: &Setting| row.name.clone()),
            Table::Servers => fold(&mut self.servers, change, |row: &Server| row.id),
            Table::PriorityGroups => fold(&mut self.groups, change, |row: &PriorityGroup| row.id.clone()),
            Table::Drivers => fold(&mut self.drivers, change, |row: &Driver| row.id.clone()),
            Table::Endpoints => fold(&mut self.endpoints, change, |row: &Endpoint| row.id.clone()),
            Table::Triggers => fold(&mut self.triggers, change, |row: &Trigger| row.id.clone()),
            Table::Notifications => fold(&mut self.notifications, change, |row: &Notification| row.id.clone()),
            Table::Calendars => fold(&mut self.calendars, change, |row: &Calendar| row.id.clone()),
            Table::Users => fold(&mut self.users, change, |row: &User| row.id.clone()),
        }
    }

    /// The primary, if the configuration names one.
    pub fn primary(&self) -> Option<&Server> {
        self.servers.values().find(|server| server.role == Role::Primary)
    }
}

fn fold<K, T>(rows: &mut BTreeMap<K, T>, change: &Change, key_of: impl Fn(&T) -> K) -> Result<(), BadRow>
where
    K: Ord + ToString,
    T: DeserializeOwned,
{
    let bad = |reason: String| BadRow { table: change.table, key: change.key.clone(), reason };
    match &change.row {
        None => rows.retain(|key, _| key.to_string() != change.key),
        Some(text) => {
            let row: T = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
            let key = key_of(&row);
            if key.to_string() != change.key {
                return Err(bad(format!("the row says it is {:?}", key.to_string())));
            }
            rows.insert(key, row);
        }
    }
    Ok(())
}
