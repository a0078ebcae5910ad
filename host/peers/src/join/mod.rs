//! How a server becomes one of the installation: it shows the admin login once and is given a certificate for a key that it
//! made itself and never shows.
//!
//! [`request()`] is the joining side, [`JoinService`] the primary's. Until it has a certificate the joiner knows the site only
//! by the fingerprint that the primary printed; without one it trusts the site that answers, and says so.

mod request;
mod service;
mod trust;

pub use request::{JoinError, JoinRequest, Joined, fingerprint, request};
pub use service::{Enrol, Enrolled, Enrolment, JoinService};

use onealert_core::{config::Server, ids::ServerId, version::VersionSet};
use serde::{Deserialize, Serialize};

use crate::identity::SiteKeys;

/// What a joining server says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub user: String,
    pub password: String,
    pub name: String,
    pub mesh: String,
    pub web: String,
    /// Certificate request, PEM.
    pub request: String,
    pub versions: VersionSet,
}

/// What the primary answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Joined { server: ServerId, certificate: String, site: SiteKeys, primary: Box<Server> },
    Refused(JoinRefusal),
}

/// Why a server may not join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum JoinRefusal {
    /// No such active administrator, or another password. Which of them is not said.
    #[error("the login is not that of an administrator of the primary; check user name and password")]
    WrongLogin,
    /// Too many wrong logins from this address.
    #[error("too many attempts; try again in {seconds} s")]
    TooManyAttempts {
        /// When to try again.
        seconds: u64,
    },
    /// The licence is used up.
    #[error(
        "the licence allows {limit} secondaries and all are enrolled; raise it on the primary, refresh it, and repeat"
    )]
    NotLicensed {
        /// How many it allows.
        limit: u32,
    },
    /// Another version of the product.
    #[error("versions differ: {0}; install the primary's version and repeat")]
    Versions(String),
    /// The server asked is not the primary.
    #[error("this server is not the primary{}", match .0 { Some(address) => format!("; ask {address}"), None => String::new() })]
    NotPrimary(
        /// Where the primary is, if known.
        Option<String>,
    ),
    /// Something in the request is not usable.
    #[error("{0}")]
    BadRequest(String),
    /// The primary could not carry it out.
    #[error("the primary could not enrol the server: {0}")]
    Fault(String),
}
