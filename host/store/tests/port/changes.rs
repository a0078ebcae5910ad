//! Commits, the change log, generations, the audit log, backups.

use onealert_core::{
    config::{Change, Table, User, UserRole},
    ids::EpochId,
    replicate::{Digests, Epoch},
    time::Wall,
};
use onealert_store::{
    Notes, StoreError,
    change::{AuditEntry, Commit, MAX_ROW_BYTES},
    log::TrimRule,
};

use super::bench::{Bench, FIRST, NOW, SECOND, digests_of, joined, loaded, primary, replay, setting};

pub fn an_empty_store_says_so(bench: &dyn Bench) {
    let store = bench.open("empty");
    assert_eq!(store.load().expect("readable"), None);
    assert_eq!(store.position().expect("readable"), None);
    let commit = store.commit(&Commit::new(NOW, vec![setting("a", "1")]));
    assert!(matches!(commit, Err(StoreError::Empty { .. })), "{commit:?}");
    assert!(matches!(store.snapshot().err(), Some(StoreError::Empty { .. })));
    assert!(matches!(store.stage_finish(), Err(StoreError::NoSnapshot)));

    let position = store.install(FIRST).expect("an empty store can be installed");
    assert_eq!((position.epoch, position.lsn, position.digests), (FIRST, 0, Digests::default()));
    let again = store.install(SECOND).expect_err("a configuration is not thrown away by installing again");
    assert!(again.to_string().contains(&FIRST.to_string()), "{again}");
}

pub fn a_commit_is_gapless_and_survives_reopening(bench: &dyn Bench) {
    let store = primary(bench);
    let first = vec![setting("a", "1"), setting("b", "1"), setting("a", "2")];
    let committed = store.commit(&Commit::new(NOW, first)).expect("it commits");
    let numbers: Vec<(u64, u64)> = committed.records.iter().map(|record| (record.lsn, record.tx)).collect();
    assert_eq!(numbers, [(1, 3), (2, 3), (3, 3)]);

    let nothing = store.commit(&Commit::new(NOW, vec![setting("b", "1"), Change::delete(Table::Users, "nobody")]));
    let nothing = nothing.expect("it commits");
    assert!(nothing.records.is_empty(), "what changes nothing must not wake every secondary: {nothing:?}");
    let second = store.commit(&Commit::new(NOW, vec![Change::delete(Table::Settings, "b")])).expect("it commits");
    assert_eq!(second.records[0].lsn, 4);
    drop(store);

    let all = loaded(&*bench.open("primary"));
    assert_eq!(all.rows, [(Table::Settings, String::from("a"), setting("a", "2").row.expect("a row"))]);
    assert_eq!(all.position, second.position);
    assert_eq!(all.position.digests, digests_of(&all.rows));
    assert_eq!(all.epochs, [Epoch { id: FIRST, parent: None, fork: 0 }]);
}

pub fn two_editors_cannot_overwrite_each_other(bench: &dyn Bench) {
    let store = primary(bench);
    let old = setting("volume", "5");
    store.commit(&Commit::new(NOW, vec![old.clone()])).expect("it commits");
    let edit = |value: &str| {
        Commit::new(NOW, vec![setting("other", value), setting("volume", value)]).expecting(
            Table::Settings,
            "volume",
            old.row.clone(),
        )
    };
    let won = store.commit(&edit("7")).expect("the first editor wins");
    let lost = store.commit(&edit("9")).expect_err("the second saw an old row");
    assert!(matches!(&lost, StoreError::Conflict { found, .. } if *found == setting("volume", "7").row), "{lost:?}");
    assert!(lost.to_string().contains("setting \"volume\""), "{lost}");
    assert_eq!(store.position().expect("readable"), Some(won.position), "nothing of the second edit is in");
    let absent = Commit::new(NOW, vec![setting("volume", "1")]).expecting(Table::Settings, "volume", None);
    assert!(matches!(store.commit(&absent), Err(StoreError::Conflict { .. })));
}

pub fn rows_that_no_secondary_could_take_are_refused(bench: &dyn Bench) {
    let store = primary(bench);
    let row = |key: &str, row: &str| Change { table: Table::Settings, key: key.to_owned(), row: Some(row.to_owned()) };
    let long = format!("\"{}\"", "x".repeat(MAX_ROW_BYTES));
    let bad = [
        (row("", "{}"), "0 bytes"),
        (row(&"k".repeat(1000), "{}"), "1000 bytes"),
        (row("a", "{"), "not JSON"),
        (row("a", "{\"b\": 1}"), "canonical"),
        (row("a", "{\"b\":1,\"a\":1}"), "canonical"),
        (row("a", &long), "allowed are"),
    ];
    for (change, reason) in bad {
        let error = store.commit(&Commit::new(NOW, vec![setting("good", "1"), change])).expect_err(reason);
        assert!(error.to_string().contains(reason) && error.to_string().starts_with("setting \""), "{error}");
    }
    assert_eq!(store.position().expect("readable").expect("installed").lsn, 0);
}

pub fn a_replayed_log_gives_the_same_copy(bench: &dyn Bench) {
    let store = primary(bench);
    let copy = joined(bench, "copy", &*store);
    for n in 0..30 {
        let mut changes = vec![setting(&format!("s{}", n % 7), &n.to_string())];
        if n % 3 == 0 {
            changes.push(Change::delete(Table::Settings, &format!("s{}", (n + 4) % 7)));
        }
        store.commit(&Commit::new(NOW, changes)).expect("it commits");
    }
    let mut at = 0;
    let mut slices = 0;
    loop {
        let slice = store.log_after(at, 500).expect("the log reaches back");
        let Some(last) = slice.records.last() else { break };
        assert_eq!(last.lsn, last.tx, "a slice ends with a whole transaction");
        at = last.lsn;
        slices += 1;
        let position = copy.apply(NOW, &slice.records, None).expect("the records follow");
        assert_eq!(Some(&position.digests), store.digests_at(at).expect("readable").as_ref());
    }
    assert!(slices > 3, "the byte limit cuts the log: {slices}");
    let (ours, theirs) = (loaded(&*copy), loaded(&*store));
    assert_eq!(ours, theirs);
    assert_eq!(
        copy.log_after(0, usize::MAX).expect("it keeps the log"),
        store.log_after(0, usize::MAX).expect("readable")
    );
    let everything = store.log_after(0, usize::MAX).expect("readable").records;
    assert_eq!(replay(&everything), theirs.rows);
}

pub fn records_that_do_not_fit_change_nothing(bench: &dyn Bench) {
    let store = primary(bench);
    let copy = joined(bench, "copy", &*store);
    let one = store.commit(&Commit::new(NOW, vec![setting("a", "1"), setting("b", "1")])).expect("it commits");
    let two = store.commit(&Commit::new(NOW, vec![setting("a", "2")])).expect("it commits");
    let before = loaded(&*copy);
    let mut wrong_row = one.records.clone();
    wrong_row[1].change = setting("b", "bent on the way");
    let mut foreign = one.records.clone();
    foreign.iter_mut().for_each(|record| record.epoch = EpochId(0xF));

    let gap = copy.apply(NOW, &two.records, None).expect_err("records 1 and 2 are missing");
    assert!(matches!(gap, StoreError::Gap { expected: 1, found: 3 }), "{gap}");
    assert!(gap.to_string().contains("start at 3") && gap.to_string().contains("continues at 1"), "{gap}");
    let part = copy.apply(NOW, &one.records[..1], None).expect_err("half a transaction");
    assert!(matches!(part, StoreError::PartTransaction { tx: 2, last: 1 }), "{part}");
    let bent = copy.apply(NOW, &wrong_row, Some(&one.position)).expect_err("the digest tells");
    assert!(matches!(bent, StoreError::DigestDiffers { table: Table::Settings, lsn: 2, .. }), "{bent}");
    let epoch = copy.apply(NOW, &foreign, None).expect_err("another generation");
    assert!(epoch.to_string().contains(&EpochId(0xF).to_string()), "{epoch}");
    assert!(epoch.to_string().contains(&FIRST.to_string()), "{epoch}");
    let elsewhere = copy.apply(NOW, &one.records, Some(&two.position)).expect_err("one record is missing at the end");
    assert!(matches!(elsewhere, StoreError::NotThere { found: 2, expected: 3, .. }), "{elsewhere}");
    assert_eq!(loaded(&*copy), before);

    copy.apply(NOW, &one.records, Some(&one.position)).expect("the right records still fit");
    copy.apply(NOW, &two.records, Some(&two.position)).expect("and the next");
    assert_eq!(loaded(&*copy), loaded(&*store));
}

pub fn generations_continue_only_where_they_began(bench: &dyn Bench) {
    let old = primary(bench);
    let behind = joined(bench, "behind", &*old);
    let level = joined(bench, "level", &*old);
    let ahead = joined(bench, "ahead", &*old);
    let next = joined(bench, "next", &*old);
    let one = old.commit(&Commit::new(NOW, vec![setting("a", "1")])).expect("it commits");
    for copy in [&level, &ahead, &next] {
        copy.apply(NOW, &one.records, Some(&one.position)).expect("it follows");
    }
    let two = old.commit(&Commit::new(NOW, vec![setting("a", "lost")])).expect("it commits");
    ahead.apply(NOW, &two.records, Some(&two.position)).expect("it follows");

    let begun = next.promote(SECOND, &Commit::new(NOW, vec![])).expect("a secondary can be promoted");
    assert_eq!(begun.epoch, Epoch { id: SECOND, parent: Some(FIRST), fork: 1 });
    assert!(
        matches!(next.promote(SECOND, &Commit::new(NOW, vec![])), Err(StoreError::EpochDiffers { .. })),
        "an id is drawn once"
    );
    let three = next.commit(&Commit::new(NOW, vec![setting("b", "1")])).expect("it commits");
    let epochs = next.epochs().expect("readable");
    assert_eq!(epochs.iter().map(|epoch| epoch.id).collect::<Vec<_>>(), [FIRST, SECOND]);

    let unknown = level.apply(NOW, &three.records, None).expect_err("it has not heard of the generation");
    assert!(matches!(unknown, StoreError::WrongEpoch { lsn: 2, .. }), "{unknown}");
    for copy in [&behind, &level, &ahead] {
        copy.learn_epochs(&epochs).expect("they can be learned");
        copy.learn_epochs(&epochs).expect("twice does no harm");
    }
    let whole = next.log_after(0, usize::MAX).expect("the log spans the fork").records;
    behind.apply(NOW, &whole, Some(&three.position)).expect("below the fork it streams on");
    let at_fork = next.digests_at(1).expect("readable").expect("known");
    let entered = onealert_core::replicate::Position { epoch: SECOND, lsn: 1, digests: at_fork };
    assert_eq!(level.apply(NOW, &[], Some(&entered)).expect("at the fork it enters"), entered);
    level.apply(NOW, &three.records, Some(&three.position)).expect("and streams on");
    let fork = ahead.apply(NOW, &three.records, None).expect_err("past the fork it holds other rows");
    assert!(matches!(fork, StoreError::Gap { expected: 3, found: 2 }), "{fork}");
    let four = next.commit(&Commit::new(NOW, vec![setting("b", "2")])).expect("it commits");
    let fork = ahead.apply(NOW, &four.records, None).expect_err("the next number must not hide the fork");
    assert!(matches!(fork, StoreError::WrongEpoch { lsn: 3, at: 2, .. }), "{fork}");
    let other = Epoch { id: SECOND, parent: Some(FIRST), fork: 9 };
    assert!(matches!(level.learn_epochs(&[other]), Err(StoreError::EpochDiffers { .. })));
}

pub fn the_log_is_trimmed_by_acknowledgement_age_and_size(bench: &dyn Bench) {
    let store = primary(bench);
    for n in 0..20_i64 {
        let changes = vec![setting("a", &n.to_string()), setting("b", &n.to_string())];
        store.commit(&Commit::new(Wall(NOW.0 + n * 1000), changes)).expect("it commits");
    }
    let rule = TrimRule { acknowledged: Some(0), keep: 0, oldest: Wall(0), max_bytes: u64::MAX };
    let tail = |rule: TrimRule| store.trim(&rule).expect("it can be trimmed").tail;
    assert_eq!(tail(rule), 0, "a secondary needs all of it");
    assert_eq!(tail(TrimRule { acknowledged: Some(7), ..rule }), 6, "only whole transactions go");
    assert_eq!(tail(TrimRule { acknowledged: Some(40), keep: 30, ..rule }), 10, "some are kept for short absences");
    assert_eq!(tail(TrimRule { oldest: Wall(NOW.0 + 8000), ..rule }), 16, "age, acknowledged or not");
    let bytes_of_two = 2 * (120 + 1 + setting("a", "19").row.expect("a row").len() as u64);
    assert_eq!(tail(TrimRule { max_bytes: bytes_of_two, ..rule }), 38, "size, acknowledged or not");
    assert_eq!(tail(rule), 38, "the tail never goes back");

    let missing = store.log_after(37, usize::MAX).expect_err("trimmed");
    assert!(matches!(missing, StoreError::NotInLog { asked: 37, tail: 38, head: 40 }), "{missing}");
    assert!(matches!(store.log_after(41, usize::MAX), Err(StoreError::NotInLog { .. })));
    assert_eq!(store.log_after(38, usize::MAX).expect("there").records.len(), 2);
    assert!(store.digests_at(38).expect("readable").is_some(), "who stands at the tail can be judged");
    assert_eq!(store.digests_at(36).expect("readable"), None);
    assert_eq!(tail(TrimRule { acknowledged: None, ..rule }), 40, "nobody needs any of it");
    assert_eq!(store.log_after(40, usize::MAX).expect("nothing follows").records, []);
}

pub fn audit_lines_are_chained_and_show_no_secret(bench: &dyn Bench) {
    let store = primary(bench);
    let who = |what: &str| AuditEntry { who: "anna".into(), origin: "10.0.0.9".into(), what: what.into() };
    let user = |hash: &str| User {
        id: "bob".into(),
        name: "Bob".into(),
        role: UserRole::Editor,
        password_hash: hash.into(),
        active: true,
    };
    let put = |hash: &str| Change::put(Table::Users, "bob", &user(hash));
    store.commit(&Commit::new(NOW, vec![put("$argon2id$one")]).audited(who("created bob"))).expect("it commits");
    let both = Commit::new(NOW, vec![put("$argon2id$two"), setting("a", "1")]).audited(who("changed two things"));
    store.commit(&both).expect("it commits");
    let refused = Commit::new(NOW, vec![setting("a", "2")]).expecting(Table::Settings, "a", None).audited(who("lost"));
    store.commit(&refused).expect_err("the row is there");

    let lines = store.audit(None, 10).expect("readable");
    assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [3, 2, 1], "no line for what was refused");
    assert_eq!((lines[0].before.as_deref(), lines[0].after.clone()), (None, setting("a", "1").row));
    assert_eq!(lines[1].entry, who("changed two things"));
    assert!(lines[1].before.as_deref().is_some_and(|row| row.contains("Bob")), "{:?}", lines[1]);
    assert!(!format!("{lines:?}").contains("argon2id"), "a password's hash is a secret");
    assert_eq!((&lines[0].previous, &lines[1].previous), (&lines[1].hash, &lines[2].hash));
    assert_eq!(store.audit(Some(3), 1).expect("readable"), lines[1..2]);
    assert_eq!(store.audit_broken().expect("readable"), None);
    bench.by_hand("primary", "UPDATE audit SET who = 'carl' WHERE seq = 2");
    assert_eq!(store.audit_broken().expect("readable"), Some(2));
    bench.by_hand("primary", "UPDATE audit SET who = 'anna' WHERE seq = 2; DELETE FROM audit WHERE seq = 1");
    assert_eq!(store.audit_broken().expect("readable"), Some(1));
}

pub fn a_backup_is_whole_and_opens(bench: &dyn Bench) {
    let store = primary(bench);
    let path = bench.folder().join("backup of today");
    std::fs::write(&path, "an older backup").expect("writable");
    std::fs::write(bench.folder().join("backup of today.part"), "cut short").expect("writable");
    store.commit(&Commit::new(NOW, vec![setting("a", "1")])).expect("it commits");
    store.backup(&path, &Notes::new()).expect("it can be written");
    let then = loaded(&*store);
    store.commit(&Commit::new(NOW, vec![setting("a", "2")])).expect("it commits");
    assert!(!bench.folder().join("backup of today.part").exists());
    assert_eq!(loaded(&*bench.open_backup(&path)), then);

    let nowhere = bench.folder().join("no such folder").join("backup");
    let error = store.backup(&nowhere, &Notes::new()).expect_err("there is no such folder").to_string();
    assert!(error.contains("no such folder"), "{error}");
}
