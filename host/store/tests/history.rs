//! The activity log: every record once, none unnoticed, Sent Notifications merged by activation.

use onealert_core::{
    activation::Content,
    config::{OnTakeover, Priority},
    effect::{Ended, Outcome},
    ids::{ActivationId, Incarnation, ServerId},
    time::Wall,
};
use onealert_store::{
    HistoryStore, StoreError,
    history::{Activity, ActivityRecord, ENDED, GAP, Gap, Limits, Mark, SentFilter},
    local::Identity,
};
use tempfile::TempDir;

const A: ServerId = ServerId(0xA);
const B: ServerId = ServerId(0xB);

fn me(server: ServerId, incarnation: u64) -> Identity {
    Identity { server, incarnation: Incarnation(incarnation) }
}
fn mark(incarnation: u64, seq: u64) -> Mark {
    Mark { incarnation: Incarnation(incarnation), seq }
}
fn note(at: i64) -> Activity {
    Activity { at: Wall(at), kind: String::from("note"), document: format!("{{\"n\":{at}}}") }
}
fn notes(count: i64) -> Vec<Activity> {
    (1..=count).map(note).collect()
}
fn numbers(records: &[ActivityRecord]) -> Vec<(u64, u64)> {
    records.iter().map(|record| (record.incarnation.0, record.seq)).collect()
}

fn ended(id: u128, server: ServerId, attempt: u32, outcome: Outcome) -> Activity {
    let content = Content {
        id: ActivationId(id),
        key: "bell".into(),
        notification: "n".into(),
        name: String::from("Bell"),
        priority: Priority::Bell,
        group: vec![A, B],
        endpoints: Vec::new(),
        needs: Default::default(),
        accepted: Wall((id / 2) as i64),
        due: None,
        expires: None,
        on_takeover: OnTakeover::Replay,
        payload: "{}".into(),
        drill: None,
    };
    let record = Ended {
        content,
        server,
        attempt,
        outcome,
        states: Vec::new(),
        ended: Wall(9),
        degraded: false,
        after_ms: Vec::new(),
    };
    let document = serde_json::to_string(&record).expect("plain data");
    Activity { at: Wall(9), kind: ENDED.to_owned(), document }
}

struct Site {
    folder: TempDir,
}
impl Site {
    fn new() -> Site {
        Site { folder: tempfile::tempdir().expect("a folder") }
    }
    fn open(&self, name: &str) -> HistoryStore {
        HistoryStore::open(&self.folder.path().join(name)).expect("opens")
    }
}

#[test]
fn records_flow_up_once_however_often_they_are_sent() {
    let site = Site::new();
    let (origin, primary) = (site.open("origin.db"), site.open("primary.db"));
    origin.append(me(A, 1), &notes(10)).expect("appends");
    primary.append(me(B, 1), &notes(2)).expect("appends");
    let mut rounds = 0;
    loop {
        let have = primary.have().expect("readable").get(&A).copied();
        let batch = origin.after(A, have, 400).expect("readable");
        if batch.is_empty() {
            break;
        }
        assert_eq!(primary.insert(&batch).expect("inserts"), batch.len());
        assert_eq!(primary.insert(&batch).expect("inserts"), 0, "a repeated delivery changes nothing");
        rounds += 1;
    }
    assert!(rounds > 2, "the byte limit cuts batches: {rounds}");
    assert_eq!(
        primary.after(A, None, usize::MAX).expect("readable"),
        origin.after(A, None, usize::MAX).expect("readable")
    );
    let have = primary.have().expect("readable");
    assert_eq!((have[&A], have[&B]), (mark(1, 10), mark(1, 2)));

    let more = origin.append(me(A, 1), &notes(3)).expect("appends");
    let hole = primary.insert(&more[1..]).expect_err("record 11 is missing");
    assert!(matches!(hole, StoreError::Gap { expected: 11, found: 12 }), "{hole}");
    assert_eq!(primary.have().expect("readable")[&A], mark(1, 10), "nothing of the batch was taken");
}

#[test]
fn numbers_are_never_given_out_twice_in_a_life_and_lives_never_go_back() {
    let site = Site::new();
    let store = site.open("a.db");
    store.append(me(A, 1), &notes(2)).expect("appends");
    drop(store);
    let store = site.open("a.db");
    assert_eq!(numbers(&store.append(me(A, 1), &notes(1)).expect("appends")), [(1, 3)]);
    assert_eq!(numbers(&store.append(me(A, 4), &notes(1)).expect("appends")), [(4, 1)]);
    let back = store.append(me(A, 2), &notes(1)).expect_err("a life that was left");
    assert!(back.to_string().contains("incarnation 4") && back.to_string().contains("a.db"), "{back}");
    assert_eq!(numbers(&store.after(A, Some(mark(1, 2)), usize::MAX).expect("readable")), [(1, 3), (4, 1)]);
}

#[test]
fn acknowledgements_never_go_back() {
    let site = Site::new();
    let store = site.open("a.db");
    assert_eq!(store.acknowledged().expect("readable"), None);
    for (said, kept) in
        [(mark(1, 5), mark(1, 5)), (mark(1, 3), mark(1, 5)), (mark(2, 1), mark(2, 1)), (mark(1, 9), mark(2, 1))]
    {
        store.acknowledge(said).expect("writes");
        assert_eq!(store.acknowledged().expect("readable"), Some(kept));
    }
}

#[test]
fn what_is_deleted_leaves_a_gap_that_the_primary_accepts() {
    let site = Site::new();
    let (origin, primary) = (site.open("origin.db"), site.open("primary.db"));
    origin.append(me(A, 1), &notes(10)).expect("appends");
    primary.insert(&origin.after(A, None, 500).expect("readable")).expect("inserts");
    let has = primary.have().expect("readable")[&A];
    assert!((2..6).contains(&has.seq), "part of it: {has:?}");
    origin.acknowledge(has).expect("writes");

    let limits = Limits { me: Some(A), since: Wall(i64::MIN), keep_bytes: 0, max_bytes: u64::MAX };
    assert_eq!(origin.shrink(&limits).expect("shrinks"), has.seq, "only what the primary has may go");
    assert_eq!(origin.shrink(&limits).expect("shrinks"), 0);
    let one = 120 + note(1).document.len() as u64;
    let gone = origin.shrink(&Limits { max_bytes: 3 * one, ..limits }).expect("shrinks");
    assert!(gone > 0, "the disk limit forces it");
    let left = origin.after(A, None, usize::MAX).expect("readable");
    let last_gone = has.seq + gone;
    assert_eq!((left[0].kind.as_str(), left[0].seq), (GAP, last_gone));
    assert_eq!(serde_json::from_str::<Gap>(&left[0].document).expect("a gap"), Gap { from: 1, to: last_gone });
    assert_eq!(left.len() as u64, 1 + 10 - last_gone, "every number is there or in the gap");

    primary.insert(&origin.after(A, Some(has), usize::MAX).expect("readable")).expect("the gap fills the numbers");
    assert_eq!(primary.have().expect("readable")[&A], mark(1, 10));
    let other = site.open("rebuilt primary.db");
    other.insert(&left).expect("a primary that starts from nothing accepts the gap too");
    assert_eq!(numbers(&origin.append(me(A, 1), &notes(1)).expect("appends")), [(1, 11)]);
    origin.shrink(&Limits { me: None, ..limits }).expect("shrinks");
    assert_eq!(numbers(&origin.append(me(A, 1), &notes(1)).expect("appends")), [(1, 12)], "numbers outlive records");
}

#[test]
fn what_is_too_old_or_too_much_goes_in_portions_the_oldest_of_all_servers_first() {
    let site = Site::new();
    let store = site.open("primary.db");
    // One a millisecond, of two servers in turn. The clock of one was set back once: its later record is not older for that.
    let of = |me: Identity, id: u128| {
        let mut activity = ended(id, me.server, 0, Outcome::Success);
        activity.at = Wall(if id == 299 { 3 } else { id as i64 });
        store.append(me, &[activity]).expect("appends");
    };
    for id in 0..300 {
        of(if id % 2 == 0 { me(A, 1) } else { me(B, 1) }, id);
    }
    let left = || {
        let page = store.sent(&SentFilter::default(), None, 1000).expect("readable");
        page.entries.iter().map(|entry| entry.cursor.activation.0).min()
    };
    let all = Limits { me: None, since: Wall(0), keep_bytes: u64::MAX, max_bytes: u64::MAX };
    assert_eq!(store.shrink(&all).expect("shrinks"), 0, "everything is kept");
    let young = Limits { since: Wall(150), ..all };
    let portions: Vec<u64> =
        std::iter::repeat_with(|| store.shrink(&young).expect("shrinks")).take_while(|gone| *gone > 0).collect();
    assert!(portions.len() > 1 && portions.iter().sum::<u64>() == 150, "{portions:?}");
    assert_eq!(left(), Some(150));
    let documents = |origin| store.after(origin, None, usize::MAX).expect("readable");
    for origin in [A, B] {
        let records = documents(origin);
        assert_eq!((records[0].kind.as_str(), records[0].seq, records.len()), (GAP, 75, 76), "one gap for all");
    }
    let bytes: u64 = [A, B].into_iter().flat_map(documents).map(|record| 120 + record.document.len() as u64).sum();
    let small = Limits { keep_bytes: bytes / 2, ..all };
    while store.shrink(&small).expect("shrinks") > 0 {}
    let oldest = left().expect("some are left");
    assert!((220..235).contains(&oldest), "about half of it: {oldest}");
    assert_eq!(store.have().expect("readable")[&B], mark(1, 150), "numbers outlive records");
}

#[test]
fn sent_notifications_are_merged_by_activation_filtered_and_paged() {
    let site = Site::new();
    let store = site.open("primary.db");
    // Activations 0 to 9, two accepted in each millisecond; 4 was sent by both sides of a cut.
    for id in 0..10 {
        let outcome = if id % 3 == 0 { Outcome::Partial } else { Outcome::Success };
        store.append(me(A, 1), &[ended(id, A, 0, outcome)]).expect("appends");
    }
    let from_b = site.open("b.db").append(me(B, 1), &[ended(4, B, 1, Outcome::Success), note(1)]).expect("appends");
    store.insert(&from_b).expect("inserts");
    let strange = Activity { at: Wall(1), kind: ENDED.to_owned(), document: String::from("{\"later\":\"version\"}") };
    store.append(me(A, 1), &[strange]).expect("what cannot be shown is kept");

    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.sent(&SentFilter::default(), before, 3).expect("readable");
        assert!(page.entries.len() <= 3);
        seen.extend(page.entries.iter().map(|entry| (entry.cursor.activation.0, entry.records.len())));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [(9, 1), (8, 1), (7, 1), (6, 1), (5, 1), (4, 2), (3, 1), (2, 1), (1, 1), (0, 1)]);
    let find = |server, outcome| {
        let page = store.sent(&SentFilter { server, outcome }, None, 100).expect("readable");
        page.entries.iter().map(|entry| entry.cursor.activation.0).collect::<Vec<_>>()
    };
    assert_eq!(find(Some(B), None), [4]);
    assert_eq!(find(None, Some(Outcome::Partial)), [9, 6, 3, 0]);
    assert_eq!(find(Some(B), Some(Outcome::Partial)), [] as [u128; 0]);
    let both = store.sent_one(ActivationId(4)).expect("readable").expect("known");
    assert_eq!(both.records.iter().map(|ended| ended.server).collect::<Vec<_>>(), [A, B]);
    assert_eq!(store.sent_one(ActivationId(77)).expect("readable"), None);
    assert_eq!(store.after(A, None, usize::MAX).expect("readable").len(), 11);
}
