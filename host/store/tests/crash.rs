//! A process killed in the middle of its writes: what it had reported is there, nothing is there by half.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use onealert_core::{
    activation::Content,
    config::{Change, OnTakeover, Priority, Table},
    effect::{Haste, Record},
    ids::{ActivationId, EpochId, Incarnation, ServerId},
    knowledge::Knowledge,
    time::Wall,
};
use onealert_store::{
    ActivationStore, ConfigStore, HistoryStore, LocalStore, SqliteStore,
    change::{AuditEntry, Commit},
    history::{Activity, Mark},
};

/// Names the folder in which the victim writes; the victim's test does nothing without it.
const FOLDER: &str = "ONEALERT_STORE_CRASH_FOLDER";
const ME: ServerId = ServerId(1);
const ROWS: u64 = 5;

#[test]
fn what_was_reported_before_a_kill_is_there_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = SqliteStore::open(&folder.path().join("config.db")).expect("opens");
    config.install(EpochId(1)).expect("installs");
    LocalStore::open(&folder.path().join("local.db")).and_then(|local| local.establish(ME)).expect("writes");
    drop(config);
    let mut reported = 0;
    for round in 0..6 {
        // Killed at another place in the work each time.
        let last = run_until_killed(folder.path(), 5 + round * 7);
        assert!(last > reported, "round {round} wrote nothing");
        reported = check(folder.path(), last);
    }
}

/// Starts the victim, reads `lines` of its reports, kills it, and returns the last thing it reported.
fn run_until_killed(folder: &Path, lines: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the victim starts");
    let mut output = BufReader::new(child.stdout.take().expect("its reports"));
    let mut last = 0;
    let mut heard = 0;
    let mut line = String::new();
    while heard < lines {
        line.clear();
        assert!(output.read_line(&mut line).expect("readable") > 0, "the victim ended by itself");
        if let Some(number) = line.trim().strip_prefix("done ").and_then(|rest| rest.parse().ok()) {
            last = number;
            heard += 1;
        }
    }
    child.kill().expect("SIGKILL");
    // What it reported between the last line read and its death counts as well.
    for line in output.lines().map_while(Result::ok) {
        if let Some(number) = line.trim().strip_prefix("done ").and_then(|rest| rest.parse().ok()) {
            last = number;
        }
    }
    child.wait().expect("it is gone");
    last
}

/// Holds every store against the last report; returns how far the stores really are.
fn check(folder: &Path, reported: u64) -> u64 {
    let config = SqliteStore::open(&folder.join("config.db")).expect("opens");
    let all = config.load().expect("readable").expect("installed");
    let values: Vec<&str> = all.rows.iter().map(|(_, _, row)| row.as_str()).collect();
    assert_eq!(values.len() as u64, ROWS);
    assert!(values.iter().all(|value| value == &values[0]), "a transaction is there by half: {values:?}");
    let written: u64 = values[0].parse().expect("a number");
    assert!(written >= reported, "commit {reported} was reported, {written} is there");
    assert_eq!(all.position.lsn, written * ROWS, "no record is missing or too many");
    assert_eq!(config.scrub(&mut || ()).expect("readable").faults, []);
    assert_eq!(config.log_after(0, usize::MAX).expect("readable").records.len() as u64, written * ROWS);
    assert_eq!(config.audit(None, 1).expect("readable")[0].seq, written * ROWS, "audit lines come with their rows");
    assert_eq!(config.audit_broken().expect("readable"), None);

    let (_, found) = ActivationStore::open(&folder.join("activations.db")).expect("opens");
    assert!(found.quarantined.is_empty() && found.set_aside.is_none(), "{found:?}");
    let attempt = u64::from(found.knowledge[0].attempt);
    assert!(attempt >= reported, "attempt {reported} was reported, {attempt} is there");

    let history = HistoryStore::open(&folder.join("history.db")).expect("opens");
    let Mark { incarnation, seq } = history.have().expect("readable")[&ME];
    assert!(seq >= reported, "record {reported} was reported, {seq} is there");
    assert_eq!(incarnation, Incarnation(1));
    assert_eq!(history.after(ME, None, usize::MAX).expect("readable").len() as u64, seq);

    let local = LocalStore::open(&folder.join("local.db")).expect("opens");
    let life = local.identity().expect("readable").expect("established").incarnation.0;
    assert!(life > reported, "life {} was reported, {life} is there", reported + 1);
    written.min(attempt).min(seq)
}

/// Not a test by itself: the process that is killed.
#[test]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let config = SqliteStore::open(&folder.join("config.db")).expect("opens");
    let (activations, _) = ActivationStore::open(&folder.join("activations.db")).expect("opens");
    let history = HistoryStore::open(&folder.join("history.db")).expect("opens");
    let local = LocalStore::open(&folder.join("local.db")).expect("opens");
    let me = local.establish(ME).expect("established");
    let mut n = config.position().expect("readable").expect("installed").lsn / ROWS;
    // Bounded, in case nobody kills it.
    for _ in 0..20_000 {
        n += 1;
        let changes =
            (0..ROWS).map(|key| Change { table: Table::Settings, key: key.to_string(), row: Some(n.to_string()) });
        let audit = AuditEntry { who: "victim".into(), origin: "test".into(), what: "counts".into() };
        config.commit(&Commit::new(Wall(0), changes.collect()).audited(audit)).expect("commits");
        let knowledge = Knowledge { attempt: u32::try_from(n).expect("small"), ..unfinished() };
        // What is written without haste survives the end of the process too.
        let haste = if n.is_multiple_of(2) { Haste::Soon } else { Haste::Now };
        activations.write(&[Record::Activation(Box::new(knowledge))], haste).expect("writes");
        let first = onealert_store::local::Identity { incarnation: Incarnation(1), ..me };
        while history.have().expect("readable").get(&ME).is_none_or(|mark| mark.seq < n) {
            let activity = Activity { at: Wall(0), kind: "note".into(), document: n.to_string() };
            history.append(first, &[activity]).expect("appends");
        }
        while local.identity().expect("readable").is_some_and(|known| known.incarnation.0 <= n) {
            local.draw_incarnation(Incarnation(0)).expect("writes");
        }
        let mut out = std::io::stdout();
        writeln!(out, "done {n}").and_then(|()| out.flush()).expect("somebody listens");
    }
}

fn unfinished() -> Knowledge {
    let content = Content {
        id: ActivationId(1),
        key: "bell".into(),
        notification: "n".into(),
        name: String::from("Bell"),
        priority: Priority::Bell,
        group: vec![ME],
        endpoints: Vec::new(),
        needs: Default::default(),
        accepted: Wall(0),
        due: None,
        expires: None,
        on_takeover: OnTakeover::Replay,
        payload: "{}".into(),
        drill: None,
    };
    Knowledge {
        content: Arc::new(content),
        attempt: 0,
        owner: ME,
        started: false,
        fallen: false,
        stopped: false,
        degraded: false,
        states: Vec::new(),
        ended: None,
    }
}
