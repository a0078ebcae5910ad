//! `cargo perf`: lists the benchmarks. `cargo perf NAME` runs one: text for people, and as its last line one JSON object
//! `{"bench":NAME,"figures":{...},"goals":{...},"peer":{...}}`.
#![expect(clippy::disallowed_methods, reason = "measures beside programs of others, on threads of its own")]

mod cap;
mod endpoints;
mod failback;
mod failover;
mod first_packet;
mod large;
mod postgres;
mod replication;
mod report;
mod samples;
mod schedules;
mod site;
mod start;
mod status_url;
mod takeover;
mod worker_call;

use std::{pin::Pin, process::ExitCode};

use report::Report;
use takeover::Blow;

/// What a run may be told.
#[derive(Debug, Clone, Copy, Default)]
struct Options {
    /// How many rounds, where a benchmark has rounds; its own number otherwise.
    rounds: Option<usize>,
}

type Running = Pin<Box<dyn Future<Output = Report>>>;

/// One benchmark.
struct Bench {
    name: &'static str,
    what: &'static str,
    run: fn(Options) -> Running,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "takeover",
        what: "the owner is killed: how soon the next server reaches a device",
        run: |options| Box::pin(takeover::run("takeover", Blow::Kill, options)),
    },
    Bench {
        name: "takeover-pause",
        what: "the owner is stopped with SIGSTOP: the same, with the ordinary and the fast profile",
        run: |options| Box::pin(takeover::run("takeover-pause", Blow::Pause, options)),
    },
    Bench {
        name: "takeover-cut",
        what: "the owner's cable is pulled: the same; needs root for network namespaces",
        run: |options| Box::pin(takeover::run("takeover-cut", Blow::Cut, options)),
    },
    Bench {
        name: "first-packet",
        what: "a trigger over the API: how soon the first RTP packet arrives",
        run: |options| Box::pin(first_packet::run(options)),
    },
    Bench {
        name: "worker-call",
        what: "a call of a driver through its worker process, and how soon a killed worker serves again",
        run: |options| Box::pin(worker_call::run(options)),
    },
    Bench {
        name: "replication",
        what: "a commit on the primary until it is durable on a secondary, 50 a second; beside PostgreSQL",
        run: |options| Box::pin(replication::run(options)),
    },
    Bench {
        name: "snapshot",
        what: "a new secondary until it has 100,000 rows; beside PostgreSQL",
        run: |options| Box::pin(large::snapshot(options)),
    },
    Bench {
        name: "scrub",
        what: "the digests of 100,000 rows computed again",
        run: |options| Box::pin(large::scrub(options)),
    },
    Bench {
        name: "failback",
        what: "the primary returns under ten activations a second: lost, doubled, held",
        run: |options| Box::pin(failback::run(options)),
    },
    Bench {
        name: "failover",
        what: "a short takeover beside VRRP (keepalived) in the same run",
        run: |options| Box::pin(failover::run(options)),
    },
    Bench {
        name: "schedules",
        what: "10,000 schedules of faults in the simulator",
        run: |options| Box::pin(schedules::run(options)),
    },
    Bench {
        name: "endpoints",
        what: "a trigger over the API until 1,000 devices are told over HTTP",
        run: |options| Box::pin(endpoints::run(options)),
    },
    Bench {
        name: "status-url",
        what: "answers a second to a load balancer's question; beside nginx",
        run: |options| Box::pin(status_url::run(options)),
    },
    Bench {
        name: "start",
        what: "process started to ready, and memory when idle",
        run: |options| Box::pin(start::run(options)),
    },
    Bench {
        name: "cap",
        what: "CAP alerts read a second on one core; beside quick-xml",
        run: |options| Box::pin(cap::run(options)),
    },
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, options) = match words.as_slice() {
        [] => return list(),
        [name] => (*name, Options::default()),
        [name, "--rounds", rounds] => match rounds.parse() {
            Ok(rounds) if rounds > 0 => (*name, Options { rounds: Some(rounds) }),
            _ => return wrong(&format!("{rounds:?} is no number of rounds")),
        },
        other => return wrong(&format!("{other:?} is not understood")),
    };
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        return wrong(&format!("there is no benchmark {name:?}"));
    };
    println!("{}: {}", bench.name, bench.what);
    if cfg!(debug_assertions) {
        println!("this is an unoptimised build: the figures are of no use; cargo perf builds optimised ones");
    }
    (bench.run)(options).await.print();
    ExitCode::SUCCESS
}

fn list() -> ExitCode {
    println!("cargo perf NAME [--rounds N]; the last line of the output is a JSON object\n");
    for bench in BENCHES {
        println!("  {:<16} {}", bench.name, bench.what);
    }
    ExitCode::SUCCESS
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("perf: {what}; cargo perf lists the benchmarks");
    ExitCode::FAILURE
}
