//! What the stories are about: pages and bells, and what a server says of itself.

use std::collections::BTreeMap;

use onealert_core::{
    activation::{Content, activation_id},
    config::{OnTakeover, Priority},
    ids::{EndpointId, EpochId, EventKey, NotificationId, ServerId},
    peer_message::Standing,
    replicate::{Digests, Position},
    time::{Span, Wall},
    version::VersionSet,
};

use super::{A, B, C, MORNING};

/// A page to `endpoints` endpoints for the group A, B, C.
pub fn page(name: &str, endpoints: usize) -> Content {
    page_for(name, endpoints, &[A, B, C])
}

pub fn page_for(name: &str, endpoints: usize, group: &[ServerId]) -> Content {
    let (key, notification) = (EventKey::from(name), NotificationId::from("lockdown"));
    Content {
        id: activation_id(&key, &notification),
        key,
        notification,
        name: name.to_owned(),
        priority: Priority::Page,
        group: group.to_vec(),
        endpoints: (0..endpoints).map(|index| EndpointId(format!("speaker-{index}"))).collect(),
        needs: Default::default(),
        accepted: Wall(MORNING),
        due: None,
        expires: None,
        on_takeover: OnTakeover::Replay,
        payload: "{}".into(),
        drill: None,
    }
}

/// A bell due `due` milliseconds after the story began, with the late limit of bells.
pub fn bell(name: &str, endpoints: usize, due: i64) -> Content {
    let due = Wall(MORNING + due);
    Content { due: Some(due), expires: Some(due + Span::secs(30)), accepted: due, ..page(name, endpoints) }
}

pub fn standing() -> Standing {
    let version = semver::Version::new(0, 1, 0);
    Standing {
        position: Position { epoch: EpochId(7), lsn: 12, digests: Digests::default() },
        newest_epoch: EpochId(7),
        versions: VersionSet {
            product: version.clone(),
            schema: 1,
            protocol: 1,
            platform: "x86_64-linux-gnu".to_owned(),
            plugin_api: version,
            drivers: BTreeMap::new(),
        },
        started: Wall(MORNING),
        status: String::new(),
        generation: Default::default(),
        health: Default::default(),
    }
}
