//! Who asks, and which server answers.

use std::net::IpAddr;

use onealert_core::{
    config::{Role, UserRole},
    ids::{ServerId, UserId},
};
use serde::{Deserialize, Serialize};

/// An account that may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Login name in lower case.
    pub user: UserId,
    /// Name for people.
    pub name: String,
    /// What the user may do.
    pub role: UserRole,
}

/// Who asks for a change, and from where: for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Login name.
    pub user: UserId,
    /// The role under which it is done.
    pub role: UserRole,
    /// The caller's address.
    pub peer: IpAddr,
}

/// A password on its way to be checked. Never printed, logged or serialised.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Password {
        Password(text.into())
    }
    /// The password itself, for checking and hashing.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The login that phones obey, without its password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct PhoneLogin {
    /// Its name; empty when there is none.
    pub user: String,
    /// There is one.
    pub set: bool,
}

/// Which server this is. From memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    pub role: Role,
    /// The product's version.
    pub version: String,
    /// The primary's name and base URL, when this is a secondary and it is known.
    pub primary: Option<PrimaryLink>,
    /// Whether configuration may be changed here at present; if not, why, as a sentence for the banner.
    pub can_configure: Result<(), String>,
    /// The banner is a matter for somebody to act on: this primary is fenced.
    pub fenced: bool,
    /// This server is out of service and shows no page but the one that says why: deprovisioned, or restored and not
    /// promoted.
    pub closed: Option<String>,
}

/// Where the primary is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrimaryLink {
    /// Its display name.
    pub name: String,
    /// Base URL of its pages, without a slash at the end.
    pub url: String,
}

/// The answer for a load balancer (redundancy sheet, section 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerStatus {
    /// 200, 404 or 503.
    pub status: u16,
    /// Role and reason in one plain line without line end, such as `Primary Active`.
    pub line: std::borrow::Cow<'static, str>,
}

/// An account as the list of users shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UserView {
    /// Login name.
    #[schema(value_type = String)]
    pub id: UserId,
    /// Name for people.
    pub name: String,
    /// What the user may do.
    #[schema(value_type = String)]
    pub role: UserRole,
    /// May sign in.
    pub active: bool,
}
