//! What is a server's own never goes backwards.

use onealert_core::{
    ids::{EpochId, Incarnation, ServerId},
    replicate::Epoch,
    time::Wall,
};
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

    let first = Epoch { id: EpochId(1), parent: None, fork: 0 };
    let promoted_at = |id, fork| [first, Epoch { id: EpochId(id), parent: Some(EpochId(1)), fork }];
    assert_eq!(store.newest_lineage().expect("readable"), []);
    assert!(store.see_lineage(&[first]).expect("writes"));
    assert!(store.see_lineage(&promoted_at(2, 50)).expect("writes"));
    assert!(!store.see_lineage(&[first]).expect("writes"), "a generation left behind is not the newest again");
    assert!(!store.see_lineage(&promoted_at(3, 40)).expect("writes"), "nor is a branch that kept less");
    drop(store);
    let store = LocalStore::open(&path).expect("opens");
    assert_eq!(store.newest_lineage().expect("readable"), promoted_at(2, 50));
    assert_eq!(store.identity().expect("readable"), Some(heard));
    let rejoined = store.rejoin(ServerId(8)).expect("writes");
    assert_eq!((rejoined.server, rejoined.incarnation), (ServerId(8), Incarnation(42)));
}

#[test]
fn every_start_has_a_life_of_its_own_also_in_a_folder_that_was_set_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("local.db"), folder.path().join("copy.db"));
    let open = || LocalStore::open(&path).expect("opens");
    let lives = |at| open().begin(Wall(at)).expect("writes").incarnation;
    assert!(open().begin(Wall(1000)).is_err(), "nobody has no life");
    open().establish(ServerId(7)).expect("writes");
    let first = lives(1000);
    assert!(open().identity().expect("readable").is_some_and(|known| known.incarnation == first), "kept");
    assert!(lives(1000) > first && lives(500) > first, "a clock that stands or goes back brings no old life back");
    std::fs::copy(&path, &copy).expect("a copy of the folder");
    let after = [lives(2000), lives(2000)];
    std::fs::copy(&copy, &path).expect("the copy is put back");
    let again = lives(3000);
    assert!(!after.contains(&again) && again > after[1], "{again:?} after {after:?}");
}

#[test]
fn a_life_begins_also_where_the_file_takes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("local.db");
    let store = LocalStore::open(&path).expect("opens");
    store.establish(ServerId(7)).expect("writes");
    let other = rusqlite::Connection::open(&path).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("somebody else holds the file");
    let begun = store.begin(Wall(1000)).expect("a server starts all the same");
    assert_eq!(begun.incarnation, Incarnation(1000));
    assert_eq!(store.identity().expect("readable").map(|known| known.incarnation), Some(Incarnation(1)), "not kept");
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
