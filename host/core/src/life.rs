//! What a server is allowed to do, by its role and by where it stands in its own life (redundancy sheet, sections 3.5, 7
//! and 9).
//!
//! One table answers every question of this kind: [`Place::may`]. Pages, API, joining, synchronisation and the delivery all
//! ask it, so that a server cannot be read-only in one room and writable in the next.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    config::Role,
    ids::{EpochId, ServerId},
    time::{Mono, Span},
};

/// Where a server stands in its own life. Kept by the server itself, apart from the configuration and from every backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "life")]
pub enum Life {
    /// A primary that has just started and waits to hear its secondaries, so that it learns of a promotion that it missed
    /// before it takes configuration. See [`Opening`].
    Opening,
    /// In order.
    #[default]
    Active,
    /// A primary that has met a later generation of its own configuration: another server was promoted. It sends what it
    /// owns and takes no configuration, until an operator joins it to the primary.
    Fenced {
        /// The later generation.
        by: EpochId,
    },
    /// A primary whose configuration database is older than what a secondary has of the same generation: the database was set
    /// back to an earlier moment. It sends what it owns and takes no configuration, until an operator has it take what is
    /// missing and begin a generation, or promotes the secondary instead.
    SetBack,
    /// Its configuration came out of a backup and nobody has promoted it: it may be old, and its primary may live.
    Restored,
    /// A secondary that the licence leaves out: it sends nothing until the licence covers it, and follows the configuration
    /// meanwhile.
    Unlicensed,
    /// It was deprovisioned: it sends nothing until it joins again.
    Inert,
}

/// What a server may be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// Change the configuration: rows, passwords, contacts, registrations.
    Configure,
    /// Accept an activation, keep its copy, deliver it, take it over.
    Send,
    /// Hand its configuration to secondaries and take their records.
    Publish,
    /// Let another server join.
    Enrol,
    /// Take configuration from a primary.
    Follow,
    /// Become the primary by an operator's word.
    BePromoted,
    /// Join a primary, giving up what it is.
    Join,
}

impl Deed {
    /// Every deed.
    pub const ALL: [Deed; 7] =
        [Deed::Configure, Deed::Send, Deed::Publish, Deed::Enrol, Deed::Follow, Deed::BePromoted, Deed::Join];
}

/// Why a deed is not done here, in words for the person who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Configuration on a secondary whose primary is there.
    #[error(
        "This is a secondary server. Configuration is changed on the primary and copied here; notifications can be sent \
         from here."
    )]
    Secondary,
    /// Configuration on a secondary whose primary cannot be heard.
    #[error(
        "This is a secondary server and its primary cannot be reached. Until it is back, or another server is promoted, nobody can change the \
         configuration, reset a password, change a contact or register a mobile device. Notifications can be sent from here."
    )]
    PrimaryAway,
    /// A primary that has just started.
    #[error("This primary has just started and waits up to 3 s to hear its secondaries. Repeat in a moment.")]
    Opening,
    /// Another server was promoted.
    #[error(
        "This primary is fenced: another server was promoted while it was away, and configuration is changed there. \
         Notifications can be sent from here. Join this server to the new primary: onealert join"
    )]
    Fenced,
    /// The database is older than what a secondary has.
    #[error(
        "The configuration database of this primary was set back: a secondary has changes that are not here. Notifications can be \
         sent from here. To take these changes and go on as the primary, run here: onealert promote"
    )]
    SetBack,
    /// Restored and not promoted.
    #[error(
        "This server was restored from a backup and not promoted. Nothing is configured or sent from here until it is: \
         onealert promote"
    )]
    Restored,
    /// Left out by the licence.
    #[error(
        "The licence allows fewer secondaries than there are and leaves this server out. It sends nothing. Raise the licence on the \
         primary (onealert licence --secondaries) or deprovision another server; this one then goes on by itself."
    )]
    Unlicensed,
    /// Deprovisioned.
    #[error(
        "This server was deprovisioned. It sends nothing and holds no configuration. To use it again, join it with fresh \
         credentials: onealert join"
    )]
    Inert,
    /// Asked of a primary, and only a secondary does it.
    #[error("This server is the primary.")]
    Primary,
}

/// A server's role, its life, and whether it hears its primary: all that decides what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Primary or secondary.
    pub role: Role,
    /// Where it stands in its own life.
    pub life: Life,
    /// On a secondary: whether its primary is heard. Changes no permission, only what is said.
    pub primary_heard: bool,
}

impl Place {
    /// Whether the server may do that.
    ///
    /// # Errors
    /// It may not, and this is why.
    pub fn may(&self, deed: Deed) -> Result<(), Denial> {
        use Deed::*;
        match (self.life, deed) {
            // Joining gives up what a server was. A primary in order is protected from a typing error.
            (Life::Inert | Life::Fenced { .. } | Life::Restored, Join) => Ok(()),
            (Life::Opening | Life::Active, Join) => Err(self.secondary_or(Denial::Primary)),
            (Life::Inert, _) => Err(Denial::Inert),
            (Life::Restored, BePromoted) => Ok(()),
            (Life::Restored, _) => Err(Denial::Restored),
            (Life::Unlicensed, Follow) => Ok(()),
            (Life::Unlicensed, _) => Err(Denial::Unlicensed),
            (_, Send) | (Life::SetBack, BePromoted) => Ok(()),
            (Life::SetBack, _) => Err(Denial::SetBack),
            (Life::Fenced { .. }, _) => Err(Denial::Fenced),
            (Life::Opening, Configure | Enrol) => Err(Denial::Opening),
            (Life::Opening | Life::Active, _) => match (self.role, deed) {
                (Role::Primary, Configure | Publish | Enrol) | (Role::Secondary, Follow | BePromoted) => Ok(()),
                (Role::Primary, _) => Err(Denial::Primary),
                (Role::Secondary, _) => Err(self.secondary_or(Denial::Secondary)),
            },
        }
    }

    fn secondary_or(&self, otherwise: Denial) -> Denial {
        match (self.role, self.primary_heard) {
            (Role::Secondary, false) => Denial::PrimaryAway,
            (Role::Secondary, true) => Denial::Secondary,
            (Role::Primary, _) => otherwise,
        }
    }
}

/// How long a primary that starts waits to hear its secondaries before it takes configuration.
pub const OPENING: Span = Span::secs(3);

/// A primary's start: who is still to be heard, and until when it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    until: Mono,
    enrolled: usize,
    silent: BTreeSet<ServerId>,
}

/// How a primary's start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It has heard every secondary, or has none.
    AllHeard,
    /// Some did not answer in time.
    SomeSilent,
    /// None answered: it opens all the same, since a lone server must work, and warns.
    Alone,
}

impl Opening {
    /// Begins to wait for these secondaries.
    pub fn new(now: Mono, secondaries: impl IntoIterator<Item = ServerId>) -> Opening {
        let silent: BTreeSet<ServerId> = secondaries.into_iter().collect();
        Opening { until: now + OPENING, enrolled: silent.len(), silent }
    }

    /// A server was heard.
    pub fn heard(&mut self, server: ServerId) {
        self.silent.remove(&server);
    }

    /// When it opens at the latest.
    pub fn until(&self) -> Mono {
        self.until
    }

    /// The secondaries that were not heard yet.
    pub fn silent(&self) -> impl Iterator<Item = ServerId> {
        self.silent.iter().copied()
    }

    /// Whether the wait is over, and how it ended.
    pub fn over(&self, now: Mono) -> Option<Opened> {
        match self.silent.len() {
            0 => Some(Opened::AllHeard),
            _ if now < self.until => None,
            silent if silent == self.enrolled => Some(Opened::Alone),
            _ => Some(Opened::SomeSilent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FENCED: Life = Life::Fenced { by: EpochId(2) };

    fn allowed(role: Role, life: Life) -> Vec<Deed> {
        let place = Place { role, life, primary_heard: true };
        Deed::ALL.into_iter().filter(|deed| place.may(*deed).is_ok()).collect()
    }

    #[test]
    fn the_whole_table() {
        use Deed::*;
        use Role::*;
        for (role, life, deeds) in [
            (Primary, Life::Active, vec![Configure, Send, Publish, Enrol]),
            (Primary, Life::Opening, vec![Send, Publish]),
            (Primary, FENCED, vec![Send, Join]),
            (Primary, Life::SetBack, vec![Send, BePromoted]),
            (Primary, Life::Restored, vec![BePromoted, Join]),
            (Primary, Life::Inert, vec![Join]),
            (Secondary, Life::Active, vec![Send, Follow, BePromoted]),
            (Secondary, Life::Unlicensed, vec![Follow]),
            (Secondary, Life::Inert, vec![Join]),
        ] {
            assert_eq!(allowed(role, life), deeds, "{role:?} {life:?}");
        }
    }

    #[test]
    fn a_secondary_without_its_primary_says_what_cannot_be_done_meanwhile() {
        let place = Place { role: Role::Secondary, life: Life::Active, primary_heard: false };
        let said = place.may(Deed::Configure).expect_err("read-only").to_string();
        for word in ["password", "contact", "mobile", "can be sent"] {
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(place.may(Deed::Send), Ok(()));
    }

    #[test]
    fn a_primary_opens_when_all_are_heard_or_three_seconds_have_passed() {
        let (a, b) = (ServerId(1), ServerId(2));
        let begun = Mono(0);
        let later = begun + OPENING;
        assert_eq!(Opening::new(begun, []).over(begun), Some(Opened::AllHeard));
        let mut opening = Opening::new(begun, [a, b]);
        assert_eq!(opening.over(begun), None);
        assert_eq!(opening.over(later), Some(Opened::Alone));
        opening.heard(a);
        assert_eq!((opening.over(begun), opening.over(later)), (None, Some(Opened::SomeSilent)));
        opening.heard(b);
        assert_eq!(opening.over(begun), Some(Opened::AllHeard));
    }
}
