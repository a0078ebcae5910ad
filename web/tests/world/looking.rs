//! What the world shows of itself: its versions, what was sent and by whom.

use std::collections::BTreeMap;

use onealert_core::{config::Role, version::VersionSet};
use onealert_web::needs::*;

use super::{GONE, Inner};

pub fn versions(state: &Inner) -> ServerVersions {
    let Identity { id, name, role, .. } = state.identity.clone();
    let one = || "1.0.0".parse().expect("a version");
    ServerVersions {
        id,
        name,
        role,
        versions: VersionSet {
            product: one(),
            schema: 1,
            protocol: 1,
            platform: "x86_64-linux".to_owned(),
            plugin_api: one(),
            drivers: BTreeMap::new(),
        },
        enabled: BTreeMap::new(),
        epoch: "1".to_owned(),
        position: 1,
        sync: State::Ok,
        sync_text: String::new(),
        others: Vec::new(),
    }
}

pub fn sent(state: &Inner, query: &SentQuery) -> SentPage {
    let text = query.text.to_lowercase();
    let fits = |row: &&SentRow| {
        query.server.is_none_or(|server| row.sent_by.iter().any(|part| part.server == server))
            && query.outcome.is_none_or(|outcome| row.outcome == outcome)
            && (row.name.to_lowercase().contains(&text) || row.source.to_lowercase().contains(&text))
    };
    let all: Vec<SentRow> = state.sent.iter().map(|detail| &detail.row).filter(fits).cloned().collect();
    let start = match &query.after {
        None => 0,
        Some(after) => all.iter().position(|row| row.activation.to_string() == *after).map_or(all.len(), |at| at + 1),
    };
    let rows: Vec<SentRow> = all.iter().skip(start).take(query.limit as usize).cloned().collect();
    let more = all.len() > start + rows.len();
    let next = rows.last().filter(|_| more).map(|row| row.activation.to_string());
    let missing = state.status.servers.iter().filter(|server| server.state == State::Bad && !server.this);
    SentPage { rows, next, missing: missing.map(|server| server.name.clone()).collect() }
}

pub fn senders(state: &Inner) -> Vec<Sender> {
    if state.identity.role == Role::Secondary {
        let (id, name) = (state.identity.id, state.identity.name.clone());
        return vec![Sender { id, name, gone: false }];
    }
    let sender = |server: &ServerStatus| Sender { id: server.id, name: server.name.clone(), gone: false };
    let mut all: Vec<Sender> = state.status.servers.iter().map(sender).collect();
    if all.len() > 1 {
        all.push(Sender { id: GONE, name: "pc-1".to_owned(), gone: true });
    }
    all
}
