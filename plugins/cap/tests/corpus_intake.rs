//! Every collected file goes the whole way, as a posted alert and as a dry run: none panics, none is lost without a reason.
//! The files are not part of this repository; without them the test is skipped.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use onealert_plugin_api::{
    document::{Desired, Event, HttpRequest, Watch},
    driver::Driver,
    fake_host::FakeHost,
};
use plugin_cap::{
    driver::Cap,
    explain,
    io::Pace,
    settings::{Settings, TriggerSettings},
    wire::{self, Hint, time},
};

const TOKEN: &str = "a token of sixteen or more";

/// The placeholders for times in some files become times around the one given.
fn fill(bytes: Vec<u8>, now_ms: i64) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes.clone()) else { return bytes };
    if !text.contains("\"date:now") {
        return bytes;
    }
    let mut pieces = text.split("\"date:now");
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (offset, rest) = piece.split_once('"').expect("a placeholder ends with a quote");
        let words: Vec<&str> = offset.split_whitespace().collect();
        let amount: i64 = words.first().and_then(|it| it.parse().ok()).unwrap_or(0);
        let unit = match words.get(1).map(|it| it.trim_end_matches('s')) {
            Some("minute") => 60_000,
            Some("hour") => 3_600_000,
            Some("day") => 86_400_000,
            _ => 1000,
        };
        whole.push_str(&format!("\"{}\"", time::canonical(now_ms + amount * unit)));
        whole.push_str(rest);
    }
    whole.into_bytes()
}

#[tokio::test]
async fn every_file_ends_in_recorded_verdicts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cap");
    if !root.is_dir() {
        println!("SKIPPED: {} is not here", root.display());
        return;
    }
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut files = 0;
    for folder in fs::read_dir(&root).expect("the corpus is readable").flatten().filter(|it| it.path().is_dir()) {
        for file in fs::read_dir(folder.path()).expect("a folder is readable").flatten() {
            files += 1;
            one(&file.path(), &mut outcomes).await;
        }
    }
    println!("{files} files: {outcomes:?}");
    assert!(files >= 147, "{files} files");
    assert!(outcomes["fired"] > 100 && outcomes["refused"] > 5, "{outcomes:?}");
}

async fn one(path: &Path, outcomes: &mut BTreeMap<String, usize>) {
    let name = path.display();
    let raw = fs::read(path).expect("a file is readable");
    // The clock stands a minute after the newest message was sent.
    let sent = wire::read(&fill(raw.clone(), 1_795_435_200_000), Hint::default())
        .ok()
        .and_then(|it| it.messages.iter().filter_map(|m| m.alert.sent.as_ref().map(|sent| sent.ms)).max());
    let now_ms = sent.unwrap_or(1_795_435_200_000) + 60_000;
    let bytes = fill(raw, now_ms);
    let messages = wire::read(&bytes, Hint::default()).map(|it| it.messages.len());

    let folder = tempfile::tempdir().expect("a folder");
    let fake = FakeHost::new(folder.path());
    let settings = Settings { post_token: TOKEN.to_owned(), ..Settings::default() };
    // The clock is looked at all the time, so that whatever a look brings is brought while the file is dealt with.
    let pace = Pace { tick: Duration::from_millis(1), ..Pace::default() };
    let driver = Arc::new(Cap::open_with(fake.host(), settings, Arc::new(move || now_ms), pace));
    let trigger =
        TriggerSettings { posted: true, sets: vec![], tests: true, restricted: true, ..TriggerSettings::default() };
    let watch = Watch { trigger: "all".to_owned(), name: String::new(), settings: trigger.clone() };
    driver.clone().desired(Desired { endpoints: vec![], triggers: vec![watch] }).await.expect("is taken");
    let request = HttpRequest {
        method: "POST".to_owned(),
        path: "/alert".to_owned(),
        query: String::new(),
        headers: [("authorization".to_owned(), format!("Bearer {TOKEN}"))].into(),
        body: String::new(),
        body_base64: STANDARD.encode(&bytes),
        peer: "127.0.0.1".to_owned(),
    };
    let answer = driver.clone().http(request).await.expect("is answered");
    let records: Vec<_> = fake
        .events()
        .into_iter()
        .filter_map(|event| if let Event::Record(record) = event { Some(record) } else { None })
        .collect();
    // One verdict a message: while the clock stands still nothing can end. A document without messages is refused as a whole.
    let expected = messages.as_ref().map_or(1, |count| (*count).max(1));
    assert_eq!(records.len(), expected, "{name}: {records:?}");
    assert!(records.iter().all(|record| !record.reason.is_empty() && !record.subject.is_empty()), "{name}");
    let fired = records.iter().filter(|record| matches!(record.verdict.as_str(), "fired" | "updated")).count();
    assert!(
        fake.triggers().len() <= records.len() && (fired == 0) == fake.triggers().is_empty(),
        "{name}: {records:?}"
    );
    assert!(matches!(answer.status, 200 | 400 | 413 | 415), "{name}: {}", answer.status);
    let dry = explain(&bytes, &trigger, now_ms);
    assert!(!dry.is_empty() && dry.iter().all(|verdict| !verdict.reason.is_empty()), "{name}");
    for record in records {
        *outcomes.entry(record.verdict).or_default() += 1;
    }
}
