//! Drivers: files found, versions and health on each server, settings, requests of devices.

use std::{collections::BTreeMap, net::IpAddr};

use bytes::Bytes;
use onealert_core::{
    ids::{DriverId, ServerId},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DriverKey, DriverPin, LogLine, State};

/// Everything about drivers that is shown in the list.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Drivers {
    /// Drivers that are enabled, known, or found and acceptable; by name.
    pub drivers: Vec<DriverView>,
    /// Every file found in the driver folder, refused ones too.
    pub files: Vec<FoundFile>,
    /// Keys that may sign driver files.
    pub keys: Vec<DriverKey>,
    /// Files that were pinned.
    pub pins: Vec<DriverPin>,
}

/// A file of the driver folder, as judged without running its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FoundFile {
    /// The file's name.
    pub file: String,
    /// The driver it holds, when that could be read.
    #[schema(value_type = Option<String>)]
    pub driver: Option<DriverId>,
    /// Its version, when that could be read.
    pub version: Option<String>,
    /// SHA-256 of its bytes, once it was read.
    pub sha256: Option<String>,
    /// Nobody vouches for it, and an administrator may pin it.
    pub may_be_pinned: bool,
    /// Ok: can be used. Warning: waits for its end, or for trust. Bad: refused.
    pub state: State,
    /// The verdict: what it is, or what was expected, what was found, and what to do.
    pub text: String,
}

/// A driver.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DriverView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DriverId,
    /// Its name for people.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// Part of the server: it has no file, no settings and no endpoints, and triggers are made of it as of a driver.
    pub built_in: bool,
    /// A worker runs for it.
    pub enabled: bool,
    /// The version in use, or the version found when it is not enabled.
    pub version: Option<String>,
    /// Who vouches for its file: a key, or who pinned it.
    pub trust: String,
    /// The newest version found in the driver folder, when it is higher than the one in use.
    pub update: Option<String>,
    /// The versions in the driver folder that can be used in place of the one in use, the newest first.
    pub other_versions: Vec<String>,
    /// Worst state of all servers; [`State::Ok`] when not enabled.
    pub state: State,
    /// The state in words.
    pub text: String,
    /// How many endpoints it has.
    pub endpoints: u32,
    /// How many triggers it has.
    pub triggers: u32,
    /// It can have endpoints.
    pub reaches: bool,
    /// It can have triggers.
    pub watches: bool,
    /// The driver on each server.
    pub servers: Vec<DriverOnServer>,
}

/// A driver on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DriverOnServer {
    /// The server.
    #[schema(value_type = String)]
    pub server: ServerId,
    /// Its name.
    pub server_name: String,
    /// The version there; `None` where it is missing.
    pub version: Option<String>,
    /// Version and file equal the primary's.
    pub matches: bool,
    /// How well it is there.
    pub state: State,
    /// The state in words, with the last error.
    pub text: String,
    /// Since when.
    #[schema(value_type = Option<i64>)]
    pub since: Option<Wall>,
    /// How often its worker was started again, if known: each server counts its own.
    pub restarts: Option<u32>,
}

/// A driver with its forms and what happened to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriverDetail {
    /// The line of the list.
    pub view: DriverView,
    /// JSON Schema of the settings; null when it is not known (the driver was never loaded).
    pub settings_schema: Value,
    /// JSON Schema of an endpoint's address; null for a driver without endpoints.
    pub endpoint_schema: Value,
    /// JSON Schema of a trigger's settings; null for a driver without triggers.
    pub trigger_schema: Value,
    /// The settings, secrets blanked.
    pub settings: Value,
    /// Names the stored row; empty when there is none yet.
    pub etag: String,
    /// The last things that happened, newest first, 50 at most.
    pub events: Vec<LogLine>,
}

/// Which version of a driver to use from here on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DriverSwitch {
    /// The version, one of `other_versions`.
    pub version: String,
    /// It may be older than the one in use.
    #[serde(default)]
    pub confirm_downgrade: bool,
}

/// A request that a device or feed made under a driver's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below the driver's own, starting with `/`.
    pub path: String,
    /// The query without the question mark.
    pub query: String,
    /// Names in lower case. Credentials of users are not among them.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// The caller's address.
    pub peer: IpAddr,
}

/// The driver's answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAnswer {
    /// The status code.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}
