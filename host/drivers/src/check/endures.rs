//! Level 3: the driver survives what the world does to it.

use std::time::Duration;

use onealert_plugin_api::capability;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{Check, Finding, GRACE, Kit, behaves::activation, check, pass, sample::Random, skip};

/// How many random documents are sent.
const DOCUMENTS: usize = 2000;
/// How many of them are under way at once.
const AT_ONCE: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);
/// Failures that no driver means: its process ended, or it panicked.
const BROKEN: [&str; 3] = ["restarted", "gone", "panicked"];

pub(super) async fn checks(kit: &Kit, checks: &mut Vec<Check>) {
    check(checks, "random-documents", "It answers whatever it is sent, and lives.", MINUTE, random(kit)).await;
    check(checks, "killed", "Killed in the middle of a call, twice, it opens again and serves.", MINUTE, killed(kit))
        .await;
    check(
        checks,
        "bad-device",
        "A device that closes, stalls or talks nonsense costs an answer, nothing else.",
        MINUTE,
        async { bad_device(kit).await },
    )
    .await;
}

async fn random(kit: &Kit) -> Result<Finding, String> {
    let subject = kit.open().await?;
    let mut random = Random::new(kit.seed);
    let right = activation(kit, "00000000000000000000000000000c03", 9, Vec::new());
    let right = right.unwrap_or_else(|| json!({"id": "0c", "endpoints": [], "triggers": []}));
    let desired = json!({"endpoints": right["endpoints"], "triggers": [{"trigger": "t", "settings": {}}]});
    let deadline = Duration::from_secs(2);
    for round in 0..DOCUMENTS / AT_ONCE {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (op, like) = match random.below(8) {
                0 => ("desired", &desired),
                1 => ("prepare", &right),
                2 => ("begin", &right),
                3 => ("update", &right),
                4 => ("end", &right),
                5 => ("probe", &right),
                6 => ("settings.check", &kit.settings),
                _ => ("http", &Value::Null),
            };
            let body = if random.below(4) == 0 { random.value(3) } else { random.damaged(like) };
            let worker = subject.worker.clone();
            calls.spawn(async move {
                let answer = worker.call(op, None, deadline, GRACE, body.clone()).await;
                (op, body, answer)
            });
        }
        while let Some(done) = calls.join_next().await {
            let (op, body, answer) = done.map_err(|error| error.to_string())?;
            // A failure is an answer. What is not: a process that ended, and a panic, which is a fault in the driver.
            if let Err(failure) = answer
                && BROKEN.contains(&failure.code.as_str())
            {
                return Err(format!("seed {}, round {round}: {op} {body}: {failure}", kit.seed));
            }
        }
    }
    subject.still_serves().await?;
    Ok(Finding::Pass(format!("{DOCUMENTS} documents from seed {}", kit.seed)))
}

async fn killed(kit: &Kit) -> Result<Finding, String> {
    for time in ["first", "second"] {
        let subject = kit.open().await?;
        let waiting = subject.call("$wait", json!({"ms": 60_000}));
        tokio::pin!(waiting);
        // Answered in order of arrival: once the echo is back, the driver has the other call.
        tokio::select! {
            answer = &mut waiting => return Err(format!("{time} time: $wait was answered {answer:?}")),
            serves = subject.still_serves() => serves?,
        }
        let process = nix::unistd::Pid::from_raw(subject.worker.pid() as i32);
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).map_err(|error| error.to_string())?;
        match waiting.await {
            Err(failure) if failure.code == "restarted" => {}
            other => return Err(format!("{time} time: the call under way was answered {other:?}")),
        }
    }
    kit.open().await?.still_serves().await?;
    pass()
}

/// How a device misbehaves.
#[derive(Clone, Copy, Debug)]
enum Misbehaves {
    Closes,
    Stalls,
    TalksNonsense,
}

async fn bad_device(kit: &Kit) -> Result<Finding, String> {
    for how in [Misbehaves::Closes, Misbehaves::Stalls, Misbehaves::TalksNonsense] {
        let (port, device) = device(how).await.map_err(|error| format!("no device: {error}"))?;
        let Some(activation) = activation(kit, "00000000000000000000000000000c04", port, Vec::new()) else {
            device.abort();
            return skip("it has no endpoints");
        };
        let subject = kit.open().await?;
        let ops = [
            ("prepare", capability::PREPARE),
            ("probe", capability::PROBE),
            ("begin", capability::DELIVER),
            ("end", capability::DELIVER),
        ];
        for (op, _) in ops.into_iter().filter(|(_, word)| kit.can(word)) {
            let mut body = activation.clone();
            body["reason"] = json!("finished");
            let deadline = Duration::from_secs(3);
            match subject.worker.call(op, None, deadline, GRACE, body).await {
                Err(failure) if BROKEN.contains(&failure.code.as_str()) => {
                    return Err(format!("{op} of a device that {how:?}: {failure}"));
                }
                // Failed, timed out and even acknowledged are answers: nobody knows here what the address means.
                _ => subject.still_serves().await?,
            }
        }
        device.abort();
    }
    pass()
}

async fn device(how: Misbehaves) -> std::io::Result<(u16, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let task = tokio::spawn(async move {
        let mut stalled = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match how {
                Misbehaves::Closes => drop(stream),
                Misbehaves::Stalls => stalled.push(stream),
                Misbehaves::TalksNonsense => {
                    let mut asked = [0; 512];
                    let _ = stream.read(&mut asked).await;
                    let nonsense: Vec<u8> = (0..4096u32).map(|at| (at.wrapping_mul(167) >> 3) as u8).collect();
                    let _ = stream.write_all(&nonsense).await;
                }
            }
        }
    });
    Ok((port, task))
}
