//! What servers say to each other around a promotion, and a copy that is rebuilt, over real sockets, TLS and stores.

mod common;

use std::sync::{Arc, atomic::Ordering};

use common::{
    HEARTBEAT, Site,
    proxy::Proxy,
    sync::{Primary, Secondary, SecondaryHost, setting, settings, versions},
};
use onealert_core::{
    ids::{EpochId, Incarnation, ServerId},
    lineage::Generation,
    replicate::SyncHello,
    time::Wall,
};
use onealert_peers::{
    Asker, Identity, Login, OwnRecords, PeerAddress, Roster, Subscriber, SubscriberConfig, SyncEvent,
};
use onealert_store::{ConfigStore, change::Commit};
use tempfile::TempDir;

fn asker(identity: &Arc<Identity>, roster: Arc<Roster>, password: Option<&str>) -> Asker {
    let login = |password: &str| Login { user: "admin".to_owned(), password: password.to_owned() };
    Asker {
        identity: identity.clone(),
        roster,
        hello: SyncHello {
            server: identity.server(),
            incarnation: Incarnation(1),
            versions: versions("1.0.0"),
            position: None,
            lineage: Vec::new(),
            newest: Vec::new(),
        },
        login: password.map(login),
        heartbeat: HEARTBEAT,
    }
}

/// A server of the site that stands in nobody's configuration.
fn restored(site: &Site) -> (TempDir, Arc<Identity>) {
    let dir = TempDir::new().expect("folder");
    let keys = site.servers[1].site_keys().expect("whoever has joined holds the site's key");
    let identity = Identity::create_from(dir.path(), &keys, ServerId(9), &[]).expect("made from the site's keys");
    (dir, Arc::new(identity))
}

/// A primary with five changes, and a secondary that has them.
async fn in_sync(site: &Site) -> (Primary, Secondary) {
    let primary = Primary::start(&site.servers[0], site.roster());
    primary.commit(settings(5));
    let mut secondary = Secondary::start(&site.servers[1], site.roster(), "1.0.0", primary.address());
    secondary.in_sync_at(5).await;
    (primary, secondary)
}

/// What only the secondary had was told, from change 5 on; its copy is the primary's.
fn came_back(secondary: &Secondary, primary: &Primary) {
    assert_eq!(*secondary.host.superseded.lock().expect("no panic"), [5]);
    assert_eq!(secondary.rows(), primary.store.load().expect("readable").expect("installed").rows);
}

#[tokio::test]
async fn a_known_server_is_told_where_another_stands() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], site.roster());
    primary.commit(settings(5));
    let told = asker(&site.servers[1], site.roster(), None).ask(&primary.address()).await.expect("it answers");
    assert_eq!((told.server, told.position), (ServerId(1), primary.store.position().expect("readable")));
    assert_eq!(told.lineage.len(), 1);
}

#[tokio::test]
async fn a_restored_server_is_let_in_by_an_administrators_login_and_by_nothing_else() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], site.roster());
    let (_dir, stranger) = restored(&site);
    let generation = Generation::default();
    for wrong in [None, Some("wrong")] {
        let asker = asker(&stranger, site.roster(), wrong);
        asker.ask(&primary.address()).await.expect_err("a certificate of the site is not enough");
        asker.announce(&primary.address(), &generation).await.expect_err("nor for following");
    }
    assert!(primary.followed.lock().expect("no panic").is_empty());
    let asker = asker(&stranger, site.roster(), Some("right"));
    asker.ask(&primary.address()).await.expect("an administrator vouches for it");
    assert_eq!(asker.announce(&primary.address(), &generation).await, Ok(true));
    assert_eq!(*primary.followed.lock().expect("no panic"), [generation]);
}

#[tokio::test]
async fn what_another_server_has_is_taken_from_it_whatever_its_role() {
    let site = Site::of(2);
    let ahead = Primary::start(&site.servers[0], site.roster());
    ahead.commit(settings(40));
    let (dir, stranger) = restored(&site);
    let store = Arc::new(onealert_store::SqliteStore::open(&dir.path().join("config.db")).expect("store"));
    let history = Arc::new(onealert_store::HistoryStore::open(&dir.path().join("history.db")).expect("history"));
    let host = Secondary::start(&site.servers[1], site.roster(), "1.0.0", ahead.address()).host;
    let config = SubscriberConfig {
        identity: stranger.clone(),
        roster: site.roster(),
        store: store.clone(),
        host,
        activity: Arc::new(OwnRecords { server: stranger.server(), history }),
        heartbeat: HEARTBEAT,
    };
    let login = Login { user: "admin".to_owned(), password: "right".to_owned() };
    let (_subscriber, mut events) = Subscriber::take(config, ahead.address(), Some(login)).expect("identity");
    loop {
        match events.recv().await.expect("it runs") {
            SyncEvent::InSync { position } => break assert_eq!(position.lsn, 40),
            _ => continue,
        }
    }
    assert_eq!(store.load().expect("readable"), ahead.store.load().expect("readable"));
    assert!(ahead.publisher.status().is_empty() || ahead.publisher.status().iter().all(|it| it.server != ServerId(9)));
}

#[tokio::test]
async fn a_copy_is_rebuilt_on_request_and_at_the_next_call_when_the_secondary_is_away() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], site.roster());
    primary.commit(settings(5));
    assert!(!primary.publisher.rebuild(ServerId(2)), "it is not there yet");
    let mut secondary = Secondary::start(&site.servers[1], site.roster(), "1.0.0", primary.address());
    secondary.in_sync_at(5).await;
    // The first snapshot was due anyway; whether the wish came before or after it, the copy ends in step.
    connected(&primary).await;
    assert!(primary.publisher.rebuild(ServerId(2)));
    let rebuilt = |event: &SyncEvent| matches!(event, SyncEvent::Replaced { .. }).then_some(());
    secondary.next("rebuilt", rebuilt).await;
    primary.commit(vec![setting("after", "1")]);
    secondary.in_sync_at(6).await;
    let mut secondary = {
        secondary.subscriber.set_primary(None);
        common::sync::until("it has left", || primary.publisher.status().iter().all(|known| !known.connected)).await;
        primary.publisher.rebuild(ServerId(2));
        // Meanwhile it takes good rows for another purpose: that builds nothing anew.
        take_a_copy(&site, &primary, secondary.host.clone()).await;
        secondary.restart(primary.address())
    };
    secondary.next("rebuilt after its return", rebuilt).await;
    secondary.in_sync_at(6).await;
}

async fn connected(primary: &Primary) {
    let connected = || primary.publisher.status().iter().any(|known| known.connected);
    common::sync::until("the secondary is connected", connected).await;
}

/// The second server takes what the primary has into another store.
async fn take_a_copy(site: &Site, primary: &Primary, host: Arc<SecondaryHost>) {
    let dir = TempDir::new().expect("folder");
    let store = Arc::new(onealert_store::SqliteStore::open(&dir.path().join("config.db")).expect("store"));
    let history = Arc::new(onealert_store::HistoryStore::open(&dir.path().join("history.db")).expect("history"));
    let config = SubscriberConfig {
        identity: site.servers[1].clone(),
        roster: site.roster(),
        store,
        host,
        activity: Arc::new(OwnRecords { server: ServerId(2), history }),
        heartbeat: HEARTBEAT,
    };
    let (_subscriber, mut events) = Subscriber::take(config, primary.address(), None).expect("identity");
    while !matches!(events.recv().await.expect("it runs"), SyncEvent::InSync { .. }) {}
}

#[tokio::test]
async fn a_rebuild_whose_snapshot_is_cut_is_done_at_the_next_call_and_only_then_forgotten() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], site.roster());
    primary.commit(settings(20_000));
    let proxy = Proxy::start(primary.address().address, 0).await;
    let mut secondary = Secondary::start(&site.servers[1], site.roster(), "1.0.0", proxy.address());
    secondary.in_sync_at(20_000).await;
    connected(&primary).await;
    proxy.cut_after(1 << 20);
    assert!(primary.publisher.rebuild(ServerId(2)), "it is connected");
    let cut = |event: &SyncEvent| matches!(event, SyncEvent::Disconnected { .. }).then_some(());
    secondary.next("the cut", cut).await;
    secondary.next("rebuilt all the same", |event| matches!(event, SyncEvent::Replaced { .. }).then_some(())).await;
    // What was acknowledged after it was said after it.
    let position = primary.commit(vec![setting("after", "1")]);
    common::sync::until("the primary knows it", || {
        primary.publisher.status().iter().any(|known| known.acknowledged.as_ref() == Some(&position))
    })
    .await;
    secondary.in_sync_at(20_001).await;
    secondary.subscriber.call_again();
    secondary
        .next("in step again", |event| match event {
            SyncEvent::InSync { .. } => Some(()),
            SyncEvent::SnapshotBegun { .. } => panic!("it was rebuilt once"),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn records_past_the_fork_are_shown_to_the_host_before_a_snapshot_replaces_them() {
    let site = Site::of(2);
    let (primary, secondary) = in_sync(&site).await;
    secondary.subscriber.stop();
    // It wrote two more in the old generation; the installation went on from 5 in another one.
    let lost = vec![setting("lost", "1"), setting("also lost", "1")];
    secondary.store.commit(&Commit::new(Wall(0), lost)).expect("it commits");
    primary.store.promote(EpochId(2), &Commit::new(Wall(0), vec![setting("kept", "1")])).expect("promoted");
    let mut secondary = secondary.restart(primary.address());
    secondary.next("replaced", |event| matches!(event, SyncEvent::Replaced { .. }).then_some(())).await;
    secondary.in_sync_at(6).await;
    came_back(&secondary, &primary);
}

#[tokio::test]
async fn a_secondary_of_the_branch_that_lost_comes_back_alone_and_keeps_what_only_it_had() {
    let site = Site::of(2);
    let (primary, secondary) = in_sync(&site).await;
    secondary.subscriber.stop();
    // Two were promoted apart: the branch that this one followed kept less than the other.
    primary.commit(vec![setting("before", "1")]);
    primary.store.promote(EpochId(2), &Commit::new(Wall(0), vec![setting("kept", "1")])).expect("promoted");
    let rival = Commit::new(Wall(0), vec![setting("lost", "1"), setting("also lost", "1")]);
    secondary.store.promote(EpochId(7), &rival).expect("promoted");
    let mut secondary = secondary.restart(primary.address());
    let (by, fork) = secondary
        .next("it is told", |event| match event {
            SyncEvent::BranchLost { by, fork, .. } => Some((*by, *fork)),
            SyncEvent::Withheld { .. } => panic!("{event}"),
            _ => None,
        })
        .await;
    assert_eq!((by, fork), (EpochId(2), 5));
    secondary.in_sync_at(7).await;
    came_back(&secondary, &primary);
}

#[tokio::test]
async fn a_copy_is_not_replaced_while_what_only_it_has_cannot_be_kept() {
    let site = Site::of(2);
    let (primary, mut secondary) = in_sync(&site).await;
    secondary.host.disk_is_full.store(true, Ordering::Release);
    secondary.store.commit(&Commit::new(Wall(0), vec![setting("lost", "1")])).expect("it commits");
    primary.store.promote(EpochId(2), &Commit::new(Wall(0), vec![setting("kept", "1")])).expect("promoted");
    primary.publisher.reconsider();
    let fault = |event: &SyncEvent| match event {
        SyncEvent::Fault { reason } => Some(reason.clone()),
        SyncEvent::Replaced { .. } => panic!("nothing has kept the change"),
        _ => None,
    };
    let reason = secondary.next("it says so", fault).await;
    assert!(reason.contains("conflict report") && reason.contains("no space left"), "{reason}");
    assert!(secondary.rows().iter().any(|(_, key, _)| key == "lost"));
    secondary.host.disk_is_full.store(false, Ordering::Release);
    secondary.subscriber.call_again();
    secondary.in_sync_at(6).await;
    assert_eq!(*secondary.host.superseded.lock().expect("no panic"), [5]);
}

#[tokio::test]
async fn a_removed_server_learns_that_nothing_of_it_is_needed_any_more() {
    let site = Site::of(2);
    let primary = Primary::start(&site.servers[0], site.roster());
    let mut secondary = Secondary::start(&site.servers[1], site.roster(), "1.0.0", primary.address());
    secondary.in_sync_at(0).await;
    let mut entries = site.entries();
    entries[1].deprovisioned = true;
    primary.roster.set(entries);
    secondary.next("nothing left", |event| matches!(event, SyncEvent::NothingLeft).then_some(())).await;
    // And again when it calls after a restart.
    let mut secondary = secondary.restart(PeerAddress { id: ServerId(1), ..primary.address() });
    secondary.next("nothing left", |event| matches!(event, SyncEvent::NothingLeft).then_some(())).await;
}
