//! A server that is asked to end does end, at whatever moment of its life it is asked.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use harness::{Addresses, PASSWORD, Server, wait_for};
use tempfile::TempDir;

/// Nothing takes this long on a machine that also builds; what has not happened by then does not.
const PATIENCE: Duration = Duration::from_secs(60);
/// The bit of SIGTERM in the mask of signals that a process blocks.
const SIGTERM_BIT: u64 = 1 << 14;

/// A server alone.
fn server(folder: &TempDir, addresses: &Addresses) -> Server {
    let address = format!("{}.1", addresses.prefix());
    let config = format!(
        "name = \"alone\"\ndata = \"data\"\n[listen]\nmesh = \"{address}:7400\"\nhttp = \"{address}:8080\"\n\
         https = \"{address}:8443\"\n"
    );
    Server::new("alone", folder.path(), &address, &config, &[("ONEALERT_ADMIN_PASSWORD", PASSWORD)])
}

/// Whether the process has come far enough to hear SIGTERM at all: before that the system ends it.
fn hears_sigterm(server: &Server) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    blocked.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & SIGTERM_BIT != 0)
}

async fn ends_well(server: &mut Server, when: &str) {
    let status = wait_for(&format!("it ends, asked {when}"), PATIENCE, || {
        let ended = server.ended();
        async move { ended }
    })
    .await;
    assert_eq!(status.code(), Some(0), "asked {when}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_end_while_it_starts_ends_well_whenever_that_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let addresses = Addresses::claim();
    let mut server = server(&folder, &addresses);
    for step in 0..50 {
        let after = Duration::from_millis(step * 20);
        let said = server.begin();
        wait_for("it hears", PATIENCE, || async { hears_sigterm(&server).then_some(()) }).await;
        tokio::time::sleep(after).await;
        server.terminate();
        ends_well(&mut server, &format!("{after:?} after it began to hear")).await;
        drop(said);
    }
}

/// Seen once after a restored backup was promoted: the server was about to start anew, and went on as what it became.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_end_while_it_starts_anew_does_not_go_on_as_what_it_becomes() {
    let folder = tempfile::tempdir().expect("a folder");
    let addresses = Addresses::claim();
    let mut server = server(&folder, &addresses);
    for step in 0..25 {
        let after = Duration::from_millis(step * 40);
        server.start();
        let mut control = wait_for("it takes orders", PATIENCE, || async {
            UnixStream::connect(folder.path().join("data/control")).ok()
        })
        .await;
        control.write_all(b"\"start_anew\"\n").expect("an order");
        let mut answer = String::new();
        BufReader::new(control).read_line(&mut answer).expect("an answer");
        assert!(answer.contains("done"), "{answer}");
        tokio::time::sleep(after).await;
        server.terminate();
        ends_well(&mut server, &format!("{after:?} after it was told to start anew")).await;
    }
}
