//! Changes behind the store's back: found, named, repaired.

use onealert_core::config::Table;
use onealert_store::{
    ConfigStore, StoreError,
    change::{AuditEntry, Commit},
};

use super::bench::{Bench, NOW, digests_of, joined, loaded, primary, setting};

fn fill(store: &dyn ConfigStore) {
    let changes = (0..1200).map(|n| setting(&format!("s{n}"), "1"));
    store.commit(&Commit::new(NOW, changes.collect())).expect("it commits");
}

const EDITS: &str = "UPDATE row_settings SET row = '{\"name\":\"s7\",\"value\":\"by hand\"}' WHERE key = 's7';
    DELETE FROM row_settings WHERE key = 's8';
    INSERT INTO row_settings VALUES ('s9000', '{\"name\":\"s9000\",\"value\":\"1\"}', zeroblob(16));";

pub fn a_hand_edit_is_found_and_repaired_from_a_good_copy(bench: &dyn Bench) {
    let store = primary(bench);
    fill(&*store);
    let copy = joined(bench, "copy", &*store);
    let mut pauses = 0;
    let clean = copy.scrub(&mut || pauses += 1).expect("readable");
    assert_eq!((clean.rows, clean.faults.len(), pauses), (1200, 0, 2));
    let good = loaded(&*copy);

    bench.by_hand("copy", EDITS);
    let report = copy.scrub(&mut || ()).expect("readable");
    let [fault] = &report.faults[..] else { panic!("one table was edited: {report:?}") };
    assert_eq!((fault.table, &fault.edited), (Table::Settings, &vec![String::from("s7"), String::from("s9000")]));
    assert_ne!(fault.found, fault.committed);

    let (ours, theirs) = (
        copy.bucket_digests(Table::Settings).expect("readable"),
        store.bucket_digests(Table::Settings).expect("readable"),
    );
    let differing = ours.differing(&theirs);
    assert!((1..=3).contains(&differing.len()), "only the groups of three keys differ: {differing:?}");
    let mut keys = Vec::new();
    for bucket in differing {
        let rows = store.bucket_rows(Table::Settings, bucket).expect("readable");
        assert!(rows.rows.len() < 40, "a group is a small part of the table: {}", rows.rows.len());
        keys.extend(copy.repair(&rows).expect("it can be repaired").keys);
    }
    keys.sort();
    assert_eq!(keys, ["s7", "s8", "s9000"]);
    assert_eq!(copy.scrub(&mut || ()).expect("readable").faults, []);
    assert_eq!(loaded(&*copy), good);

    store.commit(&Commit::new(NOW, vec![setting("later", "1")])).expect("it commits");
    let late = copy.repair(&store.bucket_rows(Table::Settings, 0).expect("readable"));
    assert!(matches!(late, Err(StoreError::NotThere { found: 1200, expected: 1201, .. })), "{late:?}");
}

pub fn a_lone_primary_can_adopt_a_hand_edit(bench: &dyn Bench) {
    let store = primary(bench);
    fill(&*store);
    let copy = joined(bench, "copy", &*store);
    bench.by_hand("primary", EDITS);
    let audit = AuditEntry { who: "anna".into(), origin: "console".into(), what: "adopted hand edits".into() };
    let adopted = store.adopt(NOW, Table::Settings, &audit).expect("it can be adopted");
    assert_eq!(adopted.records.len(), 3);
    assert_eq!(store.scrub(&mut || ()).expect("readable").faults, []);
    let all = loaded(&*store);
    assert_eq!(all.position.digests, digests_of(&all.rows));
    assert_eq!(store.audit(None, 10).expect("readable").len(), 3);
    copy.apply(NOW, &adopted.records, Some(&adopted.position)).expect("secondaries follow by the log");
    assert_eq!(loaded(&*copy), all);
}
