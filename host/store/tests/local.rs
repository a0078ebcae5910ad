//! What is a server's own never goes backwards.

use onealert_core::ids::{EpochId, Incarnation, ServerId};
use onealert_store::{LocalStore, StoreError, local::MULTICAST_ADDRESS};

#[test]
fn identity_lives_and_epochs_only_go_forward() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("local.db");
    let store = LocalStore::open(&path).expect("opens");
    assert_eq!(store.identity().expect("readable"), None);
    assert!(store.draw_incarnation(Incarnation(0)).is_err(), "nobody has no second life");
    let first = store.establish(ServerId(7)).expect("writes");
    assert_eq!(store.establish(ServerId(7)).expect("the same again"), first);
    let other = store.establish(ServerId(8)).expect_err("the folder has an owner");
    assert!(matches!(other, StoreError::OtherServer { .. }) && other.to_string().contains("local.db"), "{other}");
    let second = store.draw_incarnation(Incarnation(0)).expect("writes");
    assert!(second.incarnation > first.incarnation);
    let heard = store.draw_incarnation(Incarnation(40)).expect("writes");
    assert_eq!(heard.incarnation, Incarnation(41), "above what a peer remembers of us");

    assert_eq!(store.newest_epoch().expect("readable"), None);
    assert!(store.see_epoch(EpochId(1)).expect("writes"));
    assert!(store.see_epoch(EpochId(2)).expect("writes"));
    assert!(!store.see_epoch(EpochId(1)).expect("writes"), "an epoch left behind is not the newest again");
    drop(store);
    let store = LocalStore::open(&path).expect("opens");
    assert_eq!(store.newest_epoch().expect("readable"), Some(EpochId(2)));
    assert_eq!(store.identity().expect("readable"), Some(heard));
    let rejoined = store.rejoin(ServerId(8)).expect("writes");
    assert_eq!((rejoined.server, rejoined.incarnation), (ServerId(8), Incarnation(42)));
}

#[test]
fn local_settings_are_kept_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = LocalStore::open(&folder.path().join("local.db")).expect("opens");
    store.set(MULTICAST_ADDRESS, Some("239.1.1.1")).expect("writes");
    store.set(MULTICAST_ADDRESS, Some("239.2.2.2")).expect("writes");
    assert_eq!(store.settings().expect("readable")[MULTICAST_ADDRESS], "239.2.2.2");
    store.set(MULTICAST_ADDRESS, None).expect("writes");
    assert!(store.settings().expect("readable").is_empty());
}
