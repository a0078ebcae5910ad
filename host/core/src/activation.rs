//! One run of one notification: its frozen content, and what a server knows of it.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    config::{OnTakeover, Priority},
    ids::{ActivationId, DriverId, EndpointId, EventKey, NotificationId, ServerId},
    time::Wall,
    version::DriverVersion,
};

/// The activation that `notification` runs for the event `key`: the same on every server.
pub fn activation_id(key: &EventKey, notification: &NotificationId) -> ActivationId {
    let mut hash = Sha256::new();
    // The length first, so that no two pairs of texts run together to the same bytes.
    hash.update((key.0.len() as u64).to_be_bytes());
    hash.update(key.0.as_bytes());
    hash.update(notification.0.as_bytes());
    let bytes: [u8; 32] = hash.finalize().into();
    ActivationId(u128::from_be_bytes(bytes[..16].try_into().expect("32 bytes hold 16")))
}

/// What is sent, to whom, by whom: fixed when the activation is accepted, so that a configuration change in between cannot
/// make two servers send different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The activation.
    pub id: ActivationId,
    /// What happened.
    pub key: EventKey,
    /// The notification that runs.
    pub notification: NotificationId,
    /// Its name at acceptance, for records and pages.
    pub name: String,
    /// How urgent.
    pub priority: Priority,
    /// The servers of the priority group, first = tried first.
    pub group: Vec<ServerId>,
    /// Who receives. An endpoint's place in this list is its index everywhere else.
    pub endpoints: Vec<EndpointId>,
    /// The drivers that its endpoints need, each with the version and file that the configuration had enabled. A server that
    /// has them owns it before one that does not ([`crate::version::fit`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub needs: BTreeMap<DriverId, DriverVersion>,
    /// When it was accepted, by the ingress server's clock.
    pub accepted: Wall,
    /// For events that every server computes by itself (bells, timers): when it is due. `None`: it came in from outside.
    pub due: Option<Wall>,
    /// Past this it is not sent but recorded as missed. `None`: never too late.
    pub expires: Option<Wall>,
    /// What a successor does with audio already begun.
    pub on_takeover: OnTakeover,
    /// Everything the drivers and the media engine need, as JSON text; the core never looks inside.
    pub payload: Arc<str>,
    /// It is a rehearsal: it has nobody to reach, and no [`Deliverable`] can be made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
}

/// A failover rehearsal. It is accepted, owned, stored, confirmed and taken over like any activation, by the same code; where
/// another would be delivered it ends, or its owner plays dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Servers that play dead for this activation, once one of them has begun it: they confirm nothing and take nothing over.
    pub dead: Vec<ServerId>,
}

impl Content {
    /// A rehearsal for a priority group, which ends by itself when it expires.
    pub fn rehearsal(
        key: EventKey,
        group: Vec<ServerId>,
        dead: Vec<ServerId>,
        accepted: Wall,
        expires: Wall,
    ) -> Content {
        let notification = NotificationId::from("drill");
        Content {
            id: activation_id(&key, &notification),
            key,
            notification,
            name: "Drill".to_owned(),
            priority: Priority::Music,
            group,
            endpoints: Vec::new(),
            needs: BTreeMap::new(),
            accepted,
            due: None,
            expires: Some(expires),
            on_takeover: OnTakeover::SkipStarted,
            payload: "{}".into(),
            drill: Some(Drill { dead }),
        }
    }

    /// Whether a server plays dead in this rehearsal.
    pub fn plays_dead(&self, server: ServerId) -> bool {
        self.drill.as_ref().is_some_and(|drill| drill.dead.contains(&server))
    }
}

/// Content that may be delivered. The one way to make it refuses rehearsals, and an order to deliver needs one: a rehearsal
/// cannot reach an endpoint, whatever else is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliverable(Arc<Content>);

impl Deliverable {
    /// The content as something that may be delivered; `None` for a rehearsal.
    pub fn of(content: &Arc<Content>) -> Option<Deliverable> {
        content.drill.is_none().then(|| Deliverable(content.clone()))
    }

    /// The content.
    pub fn into_content(self) -> Arc<Content> {
        self.0
    }
}

impl std::ops::Deref for Deliverable {
    type Target = Content;
    fn deref(&self) -> &Content {
        &self.0
    }
}

/// What happened at one endpoint. The order is the order of the join: later wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// Nothing was sent to it.
    Pending,
    /// A driver began to send to it; whether it arrived is not known.
    Sent,
    /// It was tried and did not work. A successor tries it again.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// It has it, as far as its interface can prove.
    Acked {
        /// What proves it, for people; empty when the driver says nothing.
        note: String,
    },
}

impl EndpointState {
    /// Whether this attempt has nothing more to do for the endpoint.
    pub fn is_final(&self) -> bool {
        matches!(self, EndpointState::Failed { .. } | EndpointState::Acked { .. })
    }
}
