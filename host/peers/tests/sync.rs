//! Configuration on its way from a primary to a secondary, over real sockets, TLS and stores.

mod common;

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use common::{
    HEARTBEAT, PATIENCE, Site,
    proxy::Proxy,
    sync::{Primary, Secondary, setting, settings, until},
};
use onealert_core::{
    config::{Change, Table},
    ids::{EpochId, ServerId},
    replicate::SyncAnswer,
};
use onealert_core::{ids::Incarnation, time::Wall};
use onealert_peers::{SyncEvent, files::FetchError, sync::PROTOCOL};
use onealert_store::{
    ConfigStore,
    change::Commit,
    history::{Activity, ENDED},
    local,
};
use sha2::{Digest, Sha256};

fn pair(site: &Site) -> (Primary, Secondary) {
    let primary = Primary::start(&site.servers[0], site.roster());
    let secondary = Secondary::start(&site.servers[1], site.roster(), "1.0.0", primary.address());
    (primary, secondary)
}

#[tokio::test]
async fn a_commit_is_durable_on_the_secondary_and_acknowledged_within_milliseconds() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    secondary.in_sync_at(0).await;
    let mut times = Vec::new();
    for n in 1..=40 {
        let begun = Instant::now();
        let position = primary.commit(vec![setting("volume", &n.to_string())]);
        let changes = secondary
            .next("applied", |event| match event {
                SyncEvent::Applied { position: at, changes } if *at == position => Some(changes.clone()),
                _ => None,
            })
            .await;
        times.push(begun.elapsed());
        assert_eq!(changes, [setting("volume", &n.to_string())]);
    }
    times.sort();
    println!("commit to durable on the secondary: p50 {:?}, max {:?}", times[20], times[39]);
    until("the primary knows it", || {
        let status = primary.publisher.status();
        status.len() == 1
            && status[0].acknowledged == primary.store.position().expect("readable")
            && status[0].connected
    })
    .await;
    assert_eq!(secondary.rows(), primary.store.load().expect("readable").expect("installed").rows);
}

#[tokio::test]
async fn a_transaction_larger_than_many_frames_is_applied_whole() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    secondary.in_sync_at(0).await;
    let mut changes = settings(3000);
    // One row is longer than many frames and than the credit for bulk.
    changes.push(setting("long", &"y".repeat(3 << 20)));
    primary.commit(changes);
    let applied = secondary
        .next("applied", |event| match event {
            SyncEvent::Applied { changes, .. } => Some(changes.len()),
            _ => None,
        })
        .await;
    assert_eq!(applied, 3001, "a part of a transaction must never be seen");
    secondary.in_sync_at(3001).await;
}

#[tokio::test]
async fn a_secondary_that_was_away_follows_the_log_and_one_without_a_copy_gets_a_snapshot() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    primary.commit(settings(10));
    secondary.in_sync_at(10).await;
    secondary.subscriber.set_primary(None);
    primary.commit(vec![setting("while away", "1"), Change::delete(Table::Settings, "name 000003")]);
    let mut secondary = secondary.restart(primary.address());
    let first = secondary
        .next("changes", |event| match event {
            SyncEvent::Applied { changes, .. } => Some(format!("{} changes", changes.len())),
            SyncEvent::Replaced { .. } => Some("a snapshot".into()),
            _ => None,
        })
        .await;
    assert_eq!(first, "2 changes", "a short absence costs no snapshot");
    secondary.in_sync_at(12).await;
    assert_eq!(secondary.rows(), primary.store.load().expect("readable").expect("installed").rows);
}

#[tokio::test]
async fn a_snapshot_cut_in_the_middle_is_continued_where_it_was() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], site.roster());
    primary.commit(settings(20_000));
    let proxy = Proxy::start(primary.address().address, 1 << 20).await;
    let mut secondary = Secondary::start(&site.servers[1], site.roster(), "1.0.0", proxy.address());
    let begun = |event: &SyncEvent| match event {
        SyncEvent::SnapshotBegun { from_piece, rows, .. } => Some((*from_piece, *rows)),
        _ => None,
    };
    assert_eq!(secondary.next("a snapshot", begun).await, (0, 20_000));
    secondary.next("the cut", |event| matches!(event, SyncEvent::Disconnected { .. }).then_some(())).await;
    assert!(secondary.store.load().expect("readable").is_none(), "half a copy must not be used");
    let second = Instant::now();
    let (from, _) = secondary.next("the second try", begun).await;
    assert!(from > 0, "pieces that came must not be sent again");
    secondary.next("the copy", |event| matches!(event, SyncEvent::Replaced { .. }).then_some(())).await;
    secondary.in_sync_at(20_000).await;
    println!("cut to in sync with 20,000 rows, from piece {from} on: {:?}", second.elapsed());
    // And the live tail goes on behind it.
    primary.commit(vec![setting("after", "1")]);
    secondary.in_sync_at(20_001).await;
    assert_eq!(secondary.rows(), primary.store.load().expect("readable").expect("installed").rows);
}

#[tokio::test]
async fn rows_edited_by_hand_are_repaired_by_their_groups_alone() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    primary.commit(settings(500));
    secondary.in_sync_at(500).await;
    let sql = rusqlite::Connection::open(secondary.dir.path().join("config.db")).expect("the file");
    sql.busy_timeout(PATIENCE).expect("set");
    sql.execute(
        "UPDATE row_settings SET row = '{\"name\":\"name 000007\",\"value\":\"hacked\"}' WHERE key = 'name 000007'",
        [],
    )
    .expect("edited");
    sql.execute("DELETE FROM row_settings WHERE key = 'name 000100'", []).expect("edited");
    let report = secondary.store.scrub(&mut || ()).expect("readable");
    assert_eq!(report.faults.len(), 1, "the scrub finds it");
    secondary.subscriber.check(vec![Table::Settings]);
    let (keys, agrees) = secondary
        .next("repaired", |event| match event {
            SyncEvent::Repaired { keys, agrees, .. } => Some((keys.clone(), *agrees)),
            SyncEvent::SnapshotBegun { .. } => panic!("two rows are not worth a snapshot"),
            _ => None,
        })
        .await;
    assert_eq!((keys.len(), agrees), (2, true), "{keys:?}");
    assert_eq!(secondary.rows(), primary.store.load().expect("readable").expect("installed").rows);
}

#[tokio::test]
async fn a_wrong_digest_at_the_same_position_is_found_within_a_heartbeat_and_repaired() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    primary.commit(settings(100));
    secondary.in_sync_at(100).await;
    // As a defect in the bookkeeping would leave it: row, hash and digest all wrong together.
    let sql = rusqlite::Connection::open(secondary.dir.path().join("config.db")).expect("the file");
    sql.busy_timeout(PATIENCE).expect("set");
    sql.execute("UPDATE digests SET digest = zeroblob(16) WHERE tbl = 'settings'", []).expect("edited");
    sql.execute("DELETE FROM row_settings WHERE key = 'name 000001'", []).expect("edited");
    primary.commit(vec![setting("next", "1")]);
    secondary
        .next("found", |event| match event {
            SyncEvent::Diverged { tables } => {
                assert_eq!(*tables, [Table::Settings]);
                Some(())
            }
            _ => None,
        })
        .await;
    secondary
        .next("repaired", |event| match event {
            SyncEvent::Repaired { agrees, .. } => {
                assert!(agrees);
                Some(())
            }
            SyncEvent::Disconnected { reason, .. } => panic!("never by reconnecting: {reason}"),
            _ => None,
        })
        .await;
    secondary.in_sync_at(101).await;
    assert_eq!(secondary.store.position().expect("readable"), primary.store.position().expect("readable"));
    assert_eq!(secondary.rows(), primary.store.load().expect("readable").expect("installed").rows);
}

#[tokio::test]
async fn other_versions_wait_on_the_connection_and_follow_once_they_match() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], site.roster());
    primary.commit(settings(5));
    let proxy = Proxy::start(primary.address().address, 0).await;
    let mut secondary = Secondary::start(&site.servers[1], site.roster(), "1.1.0", proxy.address());
    let words = secondary
        .next("withheld", |event| match event {
            SyncEvent::Withheld { answer, .. } if matches!(**answer, SyncAnswer::VersionMismatch { .. }) => {
                Some(event.to_string())
            }
            _ => None,
        })
        .await;
    assert!(words.contains("1.0.0") && words.contains("1.1.0"), "both sides are named: {words}");
    // The connection stays through several heartbeats, with commits going on.
    let calls = proxy.calls.load(Ordering::Relaxed);
    primary.commit(vec![setting("meanwhile", "1")]);
    let passed = proxy.passed.load(Ordering::Relaxed);
    until("several heartbeats", || proxy.passed.load(Ordering::Relaxed) > passed + 3).await;
    assert!(secondary.events.try_recv().is_err(), "it waits, and does not take what is committed");
    assert_eq!(proxy.calls.load(Ordering::Relaxed), calls, "it waits, and does not call again and again");
    *secondary.host.product.lock().expect("no panic") = "1.0.0".into();
    secondary.subscriber.call_again();
    secondary.in_sync_at(6).await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "this thread, and with it both servers, is meant to stand still")]
async fn servers_that_stood_still_themselves_do_not_call_each_other_silent() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    primary.commit(settings(5));
    secondary.in_sync_at(5).await;
    std::thread::sleep(HEARTBEAT * 24);
    // What says that they are in step comes with a heartbeat: these are three.
    for lsn in 6..9 {
        primary.commit(vec![setting("after", &lsn.to_string())]);
        secondary
            .next("in sync", |event| match event {
                SyncEvent::InSync { position } if position.lsn == lsn => Some(()),
                SyncEvent::Disconnected { reason, .. } => panic!("they only stood still: {reason}"),
                _ => None,
            })
            .await;
    }
}

#[tokio::test]
async fn a_synchronisation_protocol_one_apart_is_answered_with_both_sides_named_and_follows_once_it_matches() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    primary.commit(settings(5));
    secondary.in_sync_at(5).await;
    secondary.host.protocol.store(PROTOCOL + 1, Ordering::Release);
    secondary.subscriber.call_again();
    let said = secondary
        .next("it is told", |event| match event {
            SyncEvent::Withheld { .. } => Some(event.to_string()),
            _ => None,
        })
        .await;
    let there = format!("sync protocol: {PROTOCOL} there, {} here", PROTOCOL + 1);
    assert!(said.contains(&there) && said.contains("run the same product version on both"), "{said}");
    until("the primary shows it", || {
        let status = &primary.publisher.status()[0];
        matches!(status.answer, SyncAnswer::VersionMismatch { .. }) && status.connected
    })
    .await;
    primary.commit(vec![setting("after", "1")]);
    secondary.host.protocol.store(PROTOCOL, Ordering::Release);
    secondary.subscriber.call_again();
    secondary.in_sync_at(6).await;
}

#[tokio::test]
async fn a_promoted_primary_carries_its_secondary_into_the_next_generation() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    primary.commit(settings(5));
    secondary.in_sync_at(5).await;
    primary.store.promote(EpochId(2), &Commit::new(Wall(0), vec![])).expect("promoted");
    primary.publisher.reconsider();
    secondary
        .next("the next generation", |event| match event {
            SyncEvent::InSync { position } if position.epoch == EpochId(2) => Some(()),
            SyncEvent::SnapshotBegun { .. } => panic!("nothing after the fork: no snapshot is needed"),
            _ => None,
        })
        .await;
    primary.commit(vec![setting("after", "1")]);
    secondary.in_sync_at(6).await;
}

#[tokio::test]
async fn a_deprovisioned_secondary_is_told_at_once_gets_nothing_more_and_delivers_its_records() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    secondary.in_sync_at(0).await;
    let mut entries = site.entries();
    entries[1].deprovisioned = true;
    primary.roster.set(entries);
    secondary
        .next("told", |event| match event {
            SyncEvent::Withheld { answer, .. } => {
                assert_eq!(**answer, SyncAnswer::Deprovisioned);
                Some(())
            }
            _ => None,
        })
        .await;
    primary.commit(vec![setting("secret", "1")]);
    write(&secondary, "last words");
    secondary.next("delivered", |event| matches!(event, SyncEvent::RecordsDelivered { .. }).then_some(())).await;
    assert!(secondary.rows().is_empty(), "configuration went to a removed server");
}

#[tokio::test]
async fn a_server_that_was_never_enrolled_is_told_so() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], onealert_peers::Roster::new([site.entries()[0].clone()]));
    let mut secondary = Secondary::start(&site.servers[1], site.roster(), "1.0.0", primary.address());
    secondary
        .next("told", |event| match event {
            SyncEvent::Withheld { answer, .. } => {
                assert_eq!(**answer, SyncAnswer::UnknownServer);
                Some(())
            }
            _ => None,
        })
        .await;
}

fn write(secondary: &Secondary, text: &str) {
    let me = local::Identity { server: ServerId(2), incarnation: Incarnation(1) };
    let document = format!("{{\"text\":\"{text}\"}}");
    let activity = Activity { at: Wall(1), kind: format!("not {ENDED}"), document };
    secondary.history.append(me, &[activity]).expect("written");
    secondary.subscriber.records_written();
}

#[tokio::test]
async fn records_arrive_exactly_once_although_either_side_restarts() {
    let site = Site::of(2);
    let (primary, secondary) = pair(&site);
    for n in 0..300 {
        write(&secondary, &format!("before {n}"));
    }
    let own = |secondary: &Secondary| secondary.history.after(ServerId(2), None, usize::MAX).expect("readable");
    let gathered = |primary: &Primary| primary.history.after(ServerId(2), None, usize::MAX).expect("readable");
    let secondary = secondary.restart(primary.address());
    write(&secondary, "after the secondary's restart");
    let primary = primary.restart(&site.servers[0]);
    secondary.subscriber.set_primary(Some(primary.address()));
    write(&secondary, "after the primary's restart");
    until("all records are gathered", || gathered(&primary).len() >= 302).await;
    assert_eq!(gathered(&primary), own(&secondary));
    until("the secondary knows it", || {
        secondary.history.acknowledged().expect("readable").is_some_and(|mark| mark.seq == 302)
    })
    .await;
}

#[tokio::test]
async fn a_driver_file_comes_whole_and_right_or_not_at_all() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    let content: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    let name = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (right, empty, wrong) = (name(&content), name(b""), name(b"something else"));
    let path = primary.dir.path().join("driver.so");
    let nothing = primary.dir.path().join("empty.so");
    std::fs::write(&path, &content).expect("written");
    std::fs::write(&nothing, b"").expect("written");
    primary.files.lock().expect("no panic").extend([
        (right.clone(), path.clone()),
        (wrong.clone(), path),
        (empty.clone(), nothing),
    ]);
    secondary.in_sync_at(0).await;
    let into = secondary.dir.path().join("drivers").join("received.so");
    let hollow = secondary.dir.path().join("drivers").join("empty.so");
    let fetched = tokio::join!(secondary.subscriber.fetch(&right, &into), secondary.subscriber.fetch(&empty, &hollow),);
    assert_eq!(std::fs::read(fetched.0.expect("it is there")).expect("written"), content);
    fetched.1.expect("an empty file is a file");
    let other = secondary.dir.path().join("drivers").join("other.so");
    let error = secondary.subscriber.fetch(&wrong, &other).await.expect_err("other content");
    assert!(matches!(error, FetchError::Differs { .. }), "{error}");
    assert!(!other.exists());
    let error = secondary.subscriber.fetch(&name(b"unknown"), &other).await.expect_err("not there");
    assert!(matches!(error, FetchError::Missing { .. }), "{error}");
    let error = secondary.subscriber.fetch("../../etc/passwd", &other).await.expect_err("not a name");
    assert!(matches!(error, FetchError::BadName(_)), "{error}");
    // The connection has survived all of it.
    primary.commit(vec![setting("after", "1")]);
    secondary.in_sync_at(1).await;
}

#[tokio::test]
async fn a_file_that_nobody_waits_for_any_more_was_written_to_its_end() {
    let site = Site::of(2);
    let (primary, mut secondary) = pair(&site);
    let content = vec![7; 100 << 20];
    let name: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = primary.dir.path().join("driver.so");
    std::fs::write(&path, &content).expect("written");
    primary.files.lock().expect("no panic").insert(name.clone(), path);
    secondary.in_sync_at(0).await;
    let folder = secondary.dir.path().join("drivers");
    let holds = async |some: bool| {
        while !std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some() == some) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let into = folder.join("received.so");
    tokio::select! {
        result = secondary.subscriber.fetch(&name, &into) => panic!("100 MB came before the first was written: {result:?}"),
        () = holds(true) => {}
    }
    // What follows on the same connection comes after it.
    primary.commit(vec![setting("after", "1")]);
    secondary.in_sync_at(1).await;
    tokio::time::timeout(Duration::from_secs(60), holds(false)).await.expect("nothing is left of it");
}
