//! One type per kind of name, so that a trigger can never be passed where an endpoint is meant.
//!
//! Two kinds exist. *Drawn* ids ([`ServerId`], [`ActivationId`]) are 128-bit numbers written as 32 hexadecimal digits.
//! *Row keys* ([`GroupId`], [`TriggerId`], …) are the primary keys of configuration rows: short printable text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::as_text::as_text;

/// Text that is not the 32 hexadecimal digits of a drawn id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not 32 hexadecimal digits")]
pub struct BadId {
    /// Which kind of id was expected.
    pub kind: &'static str,
    /// The text that was given.
    pub text: String,
}

macro_rules! drawn_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($kind, " {:032x}"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
                match (digits, u128::from_str_radix(text, 16)) {
                    (true, Ok(number)) => Ok(Self(number)),
                    _ => Err(BadId { kind: $kind, text: text.to_owned() }),
                }
            }
        }
        as_text!($name);
    };
}

macro_rules! row_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The key as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

drawn_id! {
    /// A server of the installation; drawn once when it is installed or joined, never reused.
    ServerId, "server"
}
drawn_id! {
    /// One run of one notification. Derived from the event key and the notification (see
    /// [`crate::activation::activation_id`]), so that every server that sees the same event names the same activation.
    ActivationId, "activation"
}
drawn_id! {
    /// A generation of the configuration: made by first installation and by promotion (redundancy sheet, section 3.5).
    EpochId, "epoch"
}

row_key! {
    /// Key of a priority group. The group `DEFAULT` always exists.
    GroupId
}
row_key! {
    /// Key of a trigger.
    TriggerId
}
row_key! {
    /// Key of a notification (the saved plan, not its run).
    NotificationId
}
row_key! {
    /// Key of a calendar.
    CalendarId
}
row_key! {
    /// Key of an endpoint.
    EndpointId
}
row_key! {
    /// A driver's reverse-DNS id, such as `com.algo.speaker`.
    DriverId
}
row_key! {
    /// Key of a user account: the login name in lower case.
    UserId
}
row_key! {
    /// What happened, named the same by every server that could see it (redundancy sheet, section 4.1).
    EventKey
}

/// One life of a server's data folder: grows at every restart from a backup or snapshot, so that numbers given out before
/// cannot be given out again for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_ids_survive_text_and_refuse_what_is_not_one() {
        let id = ServerId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse::<ServerId>(), Ok(id));
        for bad in ["", "12", "+0000000000000000000000000000001", "0000000000000000000000000000000g"] {
            let error = bad.parse::<ServerId>().expect_err(bad);
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
