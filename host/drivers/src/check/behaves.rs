//! Level 2: the driver does what the contract says.

use std::{fs, time::Duration};

use onealert_plugin_api::{
    capability,
    document::{Call, Failure, Outcome, Problem, ToDriver, ToHost},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use super::{CALL, Check, Finding, GRACE, Kit, Subject, check, pass, sample, skip};
use crate::process::Said;

const SHORT: Duration = Duration::from_secs(30);
/// Long enough that nobody waits for it.
const LONG: u64 = 60_000;
/// How often a driver is opened to see whether it leaks.
const OPENS: usize = 1000;

/// Whether the settings open the driver; without that nothing else can be asked.
pub(super) async fn opens(kit: &Kit, given: bool, checks: &mut Vec<Check>) -> bool {
    check(checks, "opens", "It opens with settings that it takes, and passes its self test.", SHORT, async {
        let subject = match kit.open().await {
            Ok(subject) => subject,
            Err(why) if !given => return Ok(Finding::Skip(format!("{why}; give right settings by --settings FILE"))),
            Err(why) => return Err(why),
        };
        if kit.can(capability::SELF_TEST) {
            subject.call("self_test", Value::Null).await.map_err(|failure| format!("self test: {failure}"))?;
        }
        pass()
    })
    .await;
    matches!(checks.last(), Some(Check { finding: Finding::Pass(_), .. }))
}

pub(super) async fn checks(kit: &Kit, checks: &mut Vec<Check>) {
    check(checks, "wrong-settings", "Each setting that is wrong is refused with its path.", SHORT * 2, wrong(kit))
        .await;
    check(
        checks,
        "unknown-operation",
        "An operation that it does not know is answered with unsupported.",
        SHORT,
        async {
            let subject = kit.open().await?;
            match subject.call("of.a.later.version", json!({"a": 1})).await {
                Err(failure) if failure.code == "unsupported" => pass(),
                other => Err(format!("answered {other:?}")),
            }
        },
    )
    .await;
    check(checks, "unknown-fields", "Fields and documents that it does not know are ignored.", SHORT, async {
        let subject = kit.open().await?;
        let body = json!({"endpoints": [], "triggers": [], "of a later version": {"deep": [1, 2]}});
        subject.call("desired", body).await.map_err(|failure| format!("desired with one more field: {failure}"))?;
        subject.worker.send(&ToDriver::Other);
        subject.still_serves().await?;
        pass()
    })
    .await;
    check(checks, "panic", "A panic in a call is an error reply, and the next call works.", SHORT, async {
        let subject = kit.open().await?;
        match subject.call("$panic", Value::Null).await {
            Err(failure) if failure.code == "panicked" => {}
            Err(failure) if failure.code == "restarted" => {
                return Err(format!("{failure}; remove panic = \"abort\" from the profile it is built with"));
            }
            other => return Err(format!("answered {other:?}")),
        }
        subject.still_serves().await?;
        pass()
    })
    .await;
    check(checks, "overlap", "A call is answered while another one is under way.", SHORT, async {
        let subject = kit.open().await?;
        let (_, waiting) = start_waiting(&subject)?;
        subject.still_serves().await?;
        drop(waiting);
        pass()
    })
    .await;
    check(checks, "cancel", "A call that is cancelled ends at once.", SHORT, async {
        let subject = kit.open().await?;
        let (id, waiting) = start_waiting(&subject)?;
        subject.worker.send(&ToDriver::Cancel { id });
        match timeout(GRACE, waiting).await {
            Ok(Ok(Outcome::Err(failure))) if failure.code == "cancelled" => pass(),
            other => Err(format!("answered {other:?}")),
        }
    })
    .await;
    check(checks, "deadline", "A call that is not done by its deadline is answered with timeout.", SHORT, async {
        let subject = kit.open().await?;
        let since = Instant::now();
        let deadline = Duration::from_millis(200);
        let answer = subject.worker.call("$wait", None, deadline, GRACE, json!({"ms": LONG})).await;
        match answer {
            Err(failure) if failure.code == "timeout" && since.elapsed() < deadline + GRACE => pass(),
            other => Err(format!("answered {other:?} after {} ms", since.elapsed().as_millis())),
        }
    })
    .await;
    check(checks, "wrong-address", "An endpoint whose address cannot be read fails alone.", SHORT, wrong_address(kit))
        .await;
    check(checks, "twice", "The same begin twice is answered alike.", SHORT * 2, twice(kit)).await;
    check(checks, "stop", "Stopped, it finishes what runs and ends within 30 s.", SHORT * 2, async {
        let subject = kit.open().await?;
        let (_, running) = start(&subject, "$wait", json!({"ms": 300}))?;
        subject.worker.finish(Duration::from_secs(30)).await;
        match running.await {
            Ok(Outcome::Ok(_)) => {}
            other => return Err(format!("the call that was running was answered {other:?}")),
        }
        match subject.worker.ended().await.as_str() {
            "finished" => pass(),
            other => Err(other.to_owned()),
        }
    })
    .await;
    check(checks, "logs", "What it traces arrives in the server's log.", SHORT, async {
        let mut subject = kit.open().await?;
        subject.call("$log", json!("mark")).await.map_err(|failure| failure.to_string())?;
        let until = Instant::now() + CALL;
        loop {
            match timeout_at(until, subject.heard.recv()).await {
                Ok(Some(Said::Document(ToHost::Log { message, .. }))) if message.contains("$log") => return pass(),
                Ok(Some(_)) => {}
                _ => return Err("the line did not arrive; remove the subscriber that the driver installs".to_owned()),
            }
        }
    })
    .await;
    check(checks, "leaks", "Opened 1000 times, it keeps no threads, files or memory.", SHORT * 2, leaks(kit)).await;
    check(checks, "idle", "With nothing to look after it says nothing for 10 s.", SHORT, idle(kit)).await;
}

/// Sends a call and gives its number and its answer to come.
fn start(subject: &Subject, op: &str, body: Value) -> Result<(u64, tokio::sync::oneshot::Receiver<Outcome>), String> {
    let id = subject.worker.number();
    let call = Call { id, op: op.to_owned(), activation: None, deadline_ms: LONG, body };
    let answer = subject.worker.expect(id, op, &ToDriver::Call(call));
    answer.map(|answer| (id, answer)).map_err(|failure: Failure| failure.to_string())
}

fn start_waiting(subject: &Subject) -> Result<(u64, tokio::sync::oneshot::Receiver<Outcome>), String> {
    start(subject, "$wait", json!({"ms": LONG}))
}

async fn wrong(kit: &Kit) -> Result<Finding, String> {
    let schema = kit.description.as_ref().map(|description| &description.settings_schema).unwrap_or(&Value::Null);
    let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    if fields.is_empty() {
        return skip("it has no settings");
    }
    let judge = kit.load().await?;
    judge.open(None).await.map_err(|failure| format!("open without settings: {failure}"))?;
    for (name, inner) in &fields {
        let mut settings = kit.settings.clone();
        let map = settings.as_object_mut().ok_or("the settings given are not an object")?;
        map.insert(name.clone(), sample::wrong(schema, inner));
        let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let answer = judge.call("settings.check", json!({"settings": settings})).await;
        let problems: Vec<Problem> = answer
            .and_then(|answer| serde_json::from_value(answer).map_err(|e| Failure::new("bad_document", e.to_string())))
            .map_err(|failure| format!("settings.check with a wrong {name}: {failure}"))?;
        if !problems.iter().any(|problem| problem.path.starts_with(&path)) {
            return Err(format!("settings.check says {problems:?} of a wrong {name}, and nothing at {path}"));
        }
        match kit.load().await?.open(Some(settings)).await {
            Err(failure) if failure.message.contains(name.as_str()) => {}
            Err(failure) => return Err(format!("open with a wrong {name} does not name it: {failure}")),
            Ok(()) => return Err(format!("it opens with a wrong {name}")),
        }
    }
    Ok(Finding::Pass(format!("{} settings", fields.len())))
}

/// The document of `prepare` and `begin` for one right endpoint and the given others.
pub(super) fn activation(kit: &Kit, id: &str, port: u16, more: Vec<Value>) -> Option<Value> {
    let schema = kit.description.as_ref().map(|description| &description.endpoint_schema)?;
    if schema.is_null() {
        return None;
    }
    let mut endpoints =
        vec![json!({"endpoint": "right", "name": "Right", "address": sample::right(schema, schema, port)})];
    endpoints.extend(more);
    Some(json!({"id": id, "title": "Check", "body": "This is a check.", "endpoints": endpoints}))
}

async fn wrong_address(kit: &Kit) -> Result<Finding, String> {
    let wrong = json!({"endpoint": "wrong", "name": "Wrong", "address": [["not an address"]]});
    let Some(activation) = activation(kit, "00000000000000000000000000000c01", 9, vec![wrong]) else {
        return skip("it has no endpoints");
    };
    let subject = kit.open().await?;
    let ops = [("prepare", capability::PREPARE), ("begin", capability::DELIVER)];
    for (op, _) in ops.into_iter().filter(|(_, word)| kit.can(word)) {
        let answer = subject.call(op, activation.clone()).await;
        let answer = answer.map_err(|failure| format!("{op} failed as a whole: {failure}"))?;
        let of = |key: &str| answer.as_array().into_iter().flatten().find(|one| one["endpoint"] == key).cloned();
        match of("wrong") {
            Some(one) if one["state"] == "failed" && one["reason"].as_str().is_some_and(|why| !why.is_empty()) => {}
            other => return Err(format!("{op} says {other:?} of an endpoint whose address cannot be read")),
        }
        if of("right").is_none() {
            return Err(format!("{op} says nothing of the endpoint beside it"));
        }
    }
    pass()
}

async fn twice(kit: &Kit) -> Result<Finding, String> {
    let Some(activation) = activation(kit, "00000000000000000000000000000c02", 9, Vec::new()) else {
        return skip("it has no endpoints");
    };
    if !kit.can(capability::DELIVER) {
        return skip("it does not deliver");
    }
    let subject = kit.open().await?;
    let mut answers = Vec::new();
    for time in ["first", "second"] {
        let answer = subject.call("begin", activation.clone()).await;
        answers.push(answer.map_err(|failure| format!("{time} begin: {failure}"))?);
    }
    let states = |answer: &Value| -> Vec<Value> {
        answer.as_array().into_iter().flatten().map(|one| json!([one["endpoint"], one["state"]])).collect()
    };
    if states(&answers[0]) == states(&answers[1]) {
        pass()
    } else {
        Err(format!("first {}, then {}", answers[0], answers[1]))
    }
}

/// What a process holds: memory in KiB, threads, open files.
fn holds(pid: u32) -> Result<(u64, u64, u64), String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
    let number = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| error.to_string())?.count() as u64;
    Ok((number("VmRSS:"), number("Threads:"), files))
}

async fn leaks(kit: &Kit) -> Result<Finding, String> {
    let subject = kit.open().await?;
    let mut first = None;
    for time in 0..OPENS {
        subject.open(Some(kit.settings.clone())).await.map_err(|failure| format!("open number {time}: {failure}"))?;
        // The first hundred fill caches and the allocator's arenas.
        if time == OPENS / 10 {
            first = Some(holds(subject.worker.pid())?);
        }
    }
    let (memory, threads, files) = first.unwrap_or_default();
    let (memory_after, threads_after, files_after) = holds(subject.worker.pid())?;
    let grown = memory_after.saturating_sub(memory);
    let text = format!(
        "memory {memory} to {memory_after} KiB, threads {threads} to {threads_after}, files {files} to {files_after}"
    );
    // A thread that was told to end may still be on its way.
    let leaks = grown > 9 << 10 || threads_after > threads + 8 || files_after > files + 8;
    if leaks { Err(text) } else { Ok(Finding::Pass(text)) }
}

async fn idle(kit: &Kit) -> Result<Finding, String> {
    let mut subject = kit.open().await?;
    let nothing = json!({"endpoints": [], "triggers": []});
    subject.call("desired", nothing).await.map_err(|failure| format!("desired with nothing: {failure}"))?;
    // What it says while opening is its own affair.
    while subject.heard.try_recv().is_ok() {}
    let until = Instant::now() + Duration::from_secs(10);
    match timeout_at(until, subject.heard.recv()).await {
        Err(_) => pass(),
        Ok(None) => Err(format!("it ended: {}", subject.worker.ended().await)),
        Ok(Some(said)) => Err(format!("it said {said:?}")),
    }
}
