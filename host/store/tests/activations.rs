//! Activations in flight: what was confirmed is found again, whatever happened to the file.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, mpsc::channel},
};

use onealert_core::{
    activation::{Content, EndpointState},
    config::{OnTakeover, Priority},
    effect::{Haste, Record, Ticket},
    ids::{ActivationId, ServerId},
    knowledge::Knowledge,
    time::Wall,
};
use onealert_store::{ActivationStore, ActivationWriter};

fn knowledge(n: u128) -> Knowledge {
    let content = Content {
        id: ActivationId(n),
        key: "bell".into(),
        notification: "n".into(),
        name: String::from("Bell"),
        priority: Priority::Bell,
        group: vec![ServerId(1), ServerId(2)],
        endpoints: vec!["e1".into(), "e2".into()],
        needs: Default::default(),
        accepted: Wall(0),
        due: None,
        expires: None,
        on_takeover: OnTakeover::Replay,
        payload: "x".repeat(600).into(),
        drill: None,
    };
    let failed = EndpointState::Failed { reason: "no \"answer\"\nat all".into() };
    Knowledge {
        content: Arc::new(content),
        attempt: 0,
        owner: ServerId(1),
        started: true,
        fallen: false,
        stopped: false,
        degraded: false,
        states: vec![EndpointState::Pending, failed],
        ended: None,
    }
}

fn record(n: u128) -> Record {
    Record::Activation(Box::new(knowledge(n)))
}

fn ids(found: &[Knowledge]) -> BTreeSet<u128> {
    found.iter().map(|knowledge| knowledge.content.id.0).collect()
}

fn filled(path: &Path, count: u128) {
    let (store, _) = ActivationStore::open(path).expect("opens");
    store.write(&(1..=count).map(record).collect::<Vec<_>>(), Haste::Now).expect("writes");
}

fn by_hand(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).and_then(|file| file.execute_batch(sql)).expect("the hand edit runs");
}

#[test]
fn the_last_write_of_an_activation_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("activations.db");
    filled(&path, 3);
    let (store, found) = ActivationStore::open(&path).expect("opens");
    assert_eq!((ids(&found.knowledge), found.quarantined.len()), (BTreeSet::from([1, 2, 3]), 0));
    let mut second = knowledge(2);
    second.attempt = 1;
    second.stopped = true;
    let burst = [record(2), Record::Activation(Box::new(second.clone())), Record::Forget(ActivationId(1))];
    store.write(&burst, Haste::Now).expect("writes");
    drop(store);
    let (_, found) = ActivationStore::open(&path).expect("opens");
    assert_eq!(ids(&found.knowledge), BTreeSet::from([2, 3]));
    assert!(found.knowledge.contains(&second) && found.knowledge.contains(&knowledge(3)));
}

#[test]
fn every_write_of_a_burst_is_answered_once_in_order_after_it_is_durable() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("activations.db");
    let (store, _) = ActivationStore::open(&path).expect("opens");
    let (answers, answered) = channel();
    let writer = ActivationWriter::start(store, move |written| answers.send(written).expect("the test listens"))
        .expect("starts");
    for n in 1..=600 {
        writer.write(Ticket(n), record(u128::from(n)), Haste::Now).expect("the thread runs");
    }
    drop(writer);
    let order: Vec<u64> =
        answered.iter().map(|written| written.result.map(|()| written.ticket.0).expect("durable")).collect();
    assert_eq!(order, (1..=600).collect::<Vec<_>>());
    let (_, found) = ActivationStore::open(&path).expect("opens");
    assert_eq!(found.knowledge.len(), 600);
}

#[test]
fn torn_rows_go_to_quarantine_and_the_others_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("activations.db");
    filled(&path, 4);
    let id = |n: u128| ActivationId(n).to_string();
    by_hand(&path, &format!("UPDATE activations SET document = substr(document, 1, 50) WHERE id = '{}'", id(2)));
    by_hand(&path, &format!("UPDATE activations SET document = CAST(x'ff00fe' AS TEXT) WHERE id = '{}'", id(3)));
    let (_, found) = ActivationStore::open(&path).expect("a torn row does not keep the server from starting");
    assert_eq!(ids(&found.knowledge), BTreeSet::from([1, 4]));
    let bad: BTreeSet<&str> = found.quarantined.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(bad, BTreeSet::from([id(2).as_str(), id(3).as_str()]));
    assert!(found.quarantined[0].reason.contains("checksum"), "{:?}", found.quarantined);
    let (_, again) = ActivationStore::open(&path).expect("opens");
    assert_eq!((ids(&again.knowledge).len(), again.quarantined.len()), (2, 0), "reported once");
    let kept: i64 = rusqlite::Connection::open(&path)
        .and_then(|file| file.query_row("SELECT COUNT(*) FROM quarantine", [], |row| row.get(0)))
        .expect("readable");
    assert_eq!(kept, 2, "an expert can still look at them");
}

#[test]
fn a_damaged_file_is_set_aside_and_what_can_be_read_is_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("activations.db");
    filled(&path, 200);
    // All is in the file; what the log still has of it would mend it. Then a stretch in the middle is lost.
    std::fs::remove_file(folder.path().join("activations.db-wal")).expect("the log stays after a close");
    let mut bytes = std::fs::read(&path).expect("readable");
    let (from, to) = (bytes.len() / 2, bytes.len() / 2 + 3 * 4096);
    bytes[from..to].fill(0xA5);
    std::fs::write(&path, &bytes).expect("writable");
    let (store, found) = ActivationStore::open(&path).expect("the server starts");
    let aside = found.set_aside.expect("the damaged file is kept");
    assert!(aside.exists() && aside.to_string_lossy().contains("damaged-1"), "{}", aside.display());
    assert!(found.knowledge.len() >= 100, "both ends can be read: {}", found.knowledge.len());
    assert!(!found.quarantined.is_empty(), "the loss is reported");
    store.write(&[record(1000)], Haste::Now).expect("the file in its place works");
    drop(store);
    let (_, again) = ActivationStore::open(&path).expect("opens");
    assert!(again.set_aside.is_none());
    assert_eq!(again.knowledge.len(), found.knowledge.len() + 1);
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("activations.db");
    for round in 1..=2 {
        std::fs::write(&path, "x".repeat(10_000)).expect("writable");
        let (store, found) = ActivationStore::open(&path).expect("the server starts");
        assert_eq!(found.knowledge, []);
        assert!(found.set_aside.expect("kept").ends_with(format!("activations.db.damaged-{round}")));
        drop(store);
        for part in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("activations.db{part}")));
        }
    }
}
