//! Snapshots: read while others write, received beside the live tables, resumed, refused.

use std::sync::atomic::{AtomicBool, Ordering};

use onealert_core::config::{Change, Setting, Table};
use onealert_store::{
    ConfigStore, StoreError,
    change::Commit,
    snapshot::{CHUNK_BYTES, Chunk},
};

use super::bench::{Bench, FIRST, NOW, SECOND, joined, loaded, primary, replay, setting, transfer};

/// Enough rows for a handful of pieces, with texts that grow in JSON.
fn fill(store: &dyn ConfigStore) {
    let text = "\"quoted\" \\ and a line end\n".repeat(40);
    for tens in 0..20 {
        let changes = (0..10).map(|n| {
            let key = format!("row {tens} {n}");
            match n % 2 {
                0 => setting(&key, &text),
                _ => Change { table: Table::Users, key, row: Some(format!("\"{tens}\"")) },
            }
        });
        store.commit(&Commit::new(NOW, changes.collect())).expect("it commits");
    }
}

fn chunks(store: &dyn ConfigStore) -> Vec<Chunk> {
    let mut reader = store.snapshot().expect("readable");
    std::iter::from_fn(|| reader.next_chunk().expect("it goes on")).collect()
}

pub fn a_snapshot_under_writes_is_the_state_at_one_lsn(bench: &dyn Bench) {
    let store = primary(bench);
    fill(&*store);
    let long = Setting { name: "long".into(), value: "y".repeat(3 * CHUNK_BYTES).into() };
    store.commit(&Commit::new(NOW, vec![Change::put(Table::Settings, "long", &long)])).expect("it commits");
    let copy = bench.open("copy");
    let mut reader = store.snapshot().expect("readable");
    copy.stage_begin(reader.header()).expect("it can be received");
    let stop = AtomicBool::new(false);
    let mut pieces = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0_u32;
            while !stop.load(Ordering::Relaxed) && n < 2000 {
                let row = format!("row {} {}", n % 20, n % 10);
                let changes = vec![setting(&row, &n.to_string()), setting(&format!("more {n}"), "1")];
                store.commit(&Commit::new(NOW, changes)).expect("a snapshot does not stop writers");
                n += 1;
            }
            n
        });
        let begun = store.position().expect("readable").expect("installed").lsn;
        while let Some(chunk) = reader.next_chunk().expect("it goes on") {
            // Every piece is read after at least one more commit.
            let last = begun + pieces;
            while store.position().expect("readable").expect("installed").lsn <= last && !writer.is_finished() {
                std::thread::yield_now();
            }
            let size = serde_json::to_string(&chunk).expect("plain data").len();
            assert!(size <= CHUNK_BYTES || chunk.rows.len() == 1, "piece {} has {size} bytes", chunk.number);
            copy.stage_chunk(&chunk).expect("the piece fits");
            pieces += 1;
        }
        stop.store(true, Ordering::Relaxed);
        assert!(writer.join().expect("the writer ends") > 0);
    });
    assert!(pieces > 3, "the rows fill several pieces: {pieces}");
    let swapped = copy.stage_finish().expect("the digests fit");
    assert_eq!(swapped.before, None);
    let all = loaded(&*copy);
    assert_eq!((all.rows.len() as u64, &all.position), (reader.header().rows, &reader.header().position));
    let mut log = store.log_after(0, usize::MAX).expect("nothing was trimmed").records;
    assert!(log.len() as u64 > all.position.lsn, "others wrote meanwhile");
    log.retain(|record| record.lsn <= all.position.lsn);
    assert_eq!(all.rows, replay(&log));

    let rest = store.log_after(all.position.lsn, usize::MAX).expect("the log goes on from there");
    copy.apply(NOW, &rest.records, store.position().expect("readable").as_ref()).expect("the tail follows");
    assert_eq!(loaded(&*copy), loaded(&*store));
}

pub fn a_snapshot_goes_on_after_both_sides_restarted(bench: &dyn Bench) {
    let store = primary(bench);
    fill(&*store);
    let copy = bench.open("copy");
    let mut reader = store.snapshot().expect("readable");
    let header = reader.header().clone();
    copy.stage_begin(&header).expect("it can be received");
    let first = reader.next_chunk().expect("it goes on").expect("there are several");
    copy.stage_chunk(&first).expect("the piece fits");
    let again = copy.stage_chunk(&first).expect_err("a piece counts once");
    assert!(matches!(again, StoreError::WrongChunk { expected: 1, found: 0 }), "{again}");
    assert!(matches!(copy.stage_finish(), Err(StoreError::WrongChunk { .. })), "it is not complete");
    assert_eq!(copy.load().expect("readable"), None, "nothing shows before the end");
    drop((reader, copy, store));

    let (store, copy) = (bench.open("primary"), bench.open("copy"));
    let mut reader = store.snapshot().expect("readable");
    assert_eq!(reader.header(), &header, "nobody wrote meanwhile");
    let cursor = copy.stage_begin(reader.header()).expect("it goes on");
    assert_eq!(cursor.next, 1);
    reader.seek(cursor);
    while let Some(chunk) = reader.next_chunk().expect("it goes on") {
        copy.stage_chunk(&chunk).expect("the piece fits");
    }
    copy.stage_finish().expect("the digests fit");
    assert_eq!(loaded(&*copy), loaded(&*store));

    store.commit(&Commit::new(NOW, vec![setting("a", "1")])).expect("it commits");
    let reader = store.snapshot().expect("readable");
    assert_eq!(copy.stage_begin(reader.header()).expect("it begins").next, 0, "another position, another snapshot");
}

pub fn a_falsified_snapshot_changes_nothing(bench: &dyn Bench) {
    let store = primary(bench);
    fill(&*store);
    let copy = joined(bench, "copy", &*store);
    let before = loaded(&*copy);
    store.commit(&Commit::new(NOW, vec![setting("a", "1")])).expect("it commits");
    let header = store.snapshot().expect("readable").header().clone();
    let mut pieces = chunks(&*store);
    pieces[1].rows[0].2 = String::from("\"bent\"");
    copy.stage_begin(&header).expect("it begins");
    for piece in &pieces {
        copy.stage_chunk(piece).expect("a piece cannot be judged alone");
    }
    let error = copy.stage_finish().expect_err("the digest tells");
    assert!(matches!(error, StoreError::DigestDiffers { .. }), "{error}");
    assert_eq!(loaded(&*copy), before);
    assert!(matches!(copy.stage_finish(), Err(StoreError::NoSnapshot)), "what was received is dropped");
    transfer(&*store, &*copy);
    assert_eq!(loaded(&*copy), loaded(&*store));
}

pub fn a_snapshot_replaces_a_copy_past_the_fork(bench: &dyn Bench) {
    let old = primary(bench);
    let next = joined(bench, "next", &*old);
    old.commit(&Commit::new(NOW, vec![setting("lost", "1"), setting("also lost", "1")])).expect("it commits");
    next.promote(SECOND, &Commit::new(NOW, vec![])).expect("it is promoted");
    next.commit(&Commit::new(NOW, vec![setting("kept", "1")])).expect("it commits");
    let conflict = old.log_after(0, usize::MAX).expect("what will be lost can be reported first");
    assert_eq!(conflict.records.len(), 2);
    let mut reader = next.snapshot().expect("readable");
    old.stage_begin(reader.header()).expect("it begins");
    while let Some(chunk) = reader.next_chunk().expect("it goes on") {
        old.stage_chunk(&chunk).expect("the piece fits");
    }
    let swapped = old.stage_finish().expect("the digests fit");
    let before = swapped.before.expect("it held a configuration");
    assert_eq!((before.epoch, before.lsn), (FIRST, 2), "the caller can tell that numbers went back");
    assert_eq!(loaded(&*old), loaded(&*next));
    assert_eq!(old.log_bounds().expect("readable"), onealert_store::log::LogBounds { tail: 1, head: 1 });
}
