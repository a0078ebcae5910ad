//! `cargo demo`: three servers, a simulated speaker and a simulated strobe, a tornado warning, and a server that dies.
//!
//! The warning comes as a CAP alert through the CAP driver: one of our own in the form that the National Weather Service sends,
//! or with `--cap` whatever a file, a folder or an address holds. With `--once` it ends when all of that has happened, with
//! exit status 0 only then. Otherwise the site stays up for the browser until Ctrl-C.

mod address;
mod alerts;
mod options;
mod retime;
mod show;
mod site;

use std::{process::ExitCode, time::Instant};

use options::{Options, Source, USAGE};
use plugin_cap::samples;
use site::{PATIENCE, Site, now_ms};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("demo: {reason}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if options.help {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if let Source::Address(url) = &options.source
        && let Err(reason) = address::fetch(url).await
    {
        eprintln!("demo: {reason}");
        return ExitCode::FAILURE;
    }
    println!("building the server and its drivers (the first time takes some minutes) ...");
    let mut site = Site::start(&options).await;
    site.introduce();
    let sent = first(&site, &options).await;
    kill(&mut site).await;
    while_dead(&site).await;
    come_back(&mut site).await;
    let all = sent > 0;
    if all {
        println!("\nAll of it happened.");
    } else {
        println!(
            "\nAll of it happened but the first: no alert of what was named with --cap set anything off; 1. says why."
        );
    }
    if !options.once {
        println!("The site stays up for your browser. Ctrl-C ends it.");
        let _ = tokio::signal::ctrl_c().await;
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The alerts that the demo is about, with all servers up. Says how many notifications were sent for them.
async fn first(site: &Site, options: &Options) -> usize {
    match &options.source {
        Source::Sample => {
            println!("\n1. A tornado warning comes as a CAP file, all servers up");
            println!("   Each server's CAP driver sees the file; they agree on who sends.");
            let shown = site.file("tornado-warning-1.xml", samples::warning(1, now_ms()).as_bytes(), 0).await;
            assert_eq!(shown.sent, 1, "our own warning is sent");
            assert_eq!(shown.flashes, 1, "three servers saw the file, and the strobe was started once");
            shown.sent
        }
        Source::Files(files) => {
            println!("\n1. The alerts of {} file(s), all servers up", files.len());
            let mut sent = 0;
            for (number, file) in files.iter().enumerate() {
                println!("\n   {} of {}: {}", number + 1, files.len(), file.display());
                sent += site.foreign_file(file).await.sent;
            }
            sent
        }
        Source::Address(url) => {
            println!("\n1. The alerts at {url}, all servers up");
            site.address(options, url).await.sent
        }
    }
}

/// Kills the primary while a warning runs that only it has heard of, and shows the next server carrying on.
async fn kill(site: &mut Site) {
    println!("\n2. The primary is killed (SIGKILL) at the moment it has accepted a warning");
    println!("   The warning is posted to the primary only, so that no other server's driver knows it.");
    let before = site.quiet().await;
    let begun = now_ms();
    site.post(0, samples::warning(2, begun).as_bytes()).await;
    let by_the_owner = site.flashes();
    let killed = Instant::now();
    site.fleet.servers[0].kill();
    println!("   posted, answered 200 (safe on two servers), killed");
    let took = site.contacted(by_the_owner, killed).await;
    match took {
        Some(took) => {
            println!("   takeover: the next server started the strobe {} ms after the kill", took.as_millis())
        }
        None => println!("   the dying server had reached the strobe already; the next server does the rest"),
    }
    let shown = site.outcome(1, &before, 1).await;
    assert_eq!(shown.sent, 1, "the warning was sent by the next server");
}

/// Another warning, while the primary is dead.
async fn while_dead(site: &Site) {
    println!("\n3. Another warning while the primary is dead");
    let shown = site.file("tornado-warning-3.xml", samples::warning(3, now_ms()).as_bytes(), 1).await;
    assert_eq!((shown.sent, shown.flashes), (1, 1), "sent once by the next server");
}

/// Starts the primary again; it finds the others' records, and the file that it missed.
async fn come_back(site: &mut Site) {
    println!("\n4. The primary comes back");
    site.strobe.clear();
    let (begun, said) = (now_ms(), site.fleet.servers[0].log().len());
    let took = site.fleet.servers[0].start();
    println!("   ready after {} ms", took.as_millis());
    site.records_of_the_others().await;
    let line = harness::wait_for("the primary's CAP driver finds the file that it missed", PATIENCE, || async {
        site.driver_lines(0, begun).await.into_iter().find(|line| line.contains("sample.0003"))
    })
    .await;
    println!("   its CAP driver finds the file that it missed:");
    println!("     {line}");
    harness::wait_for("the primary has answered its driver", PATIENCE, || async {
        site.fleet.servers[0].log()[said..].contains("alert taken by the server").then_some(())
    })
    .await;
    site.nothing_more().await;
    println!("   the others have sent that already, so nothing is sent again");
}
