//! The ways in which an alert reaches the site, each told line by line: what the driver made of it, and what was sent for it.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use harness::wait_for;
use jiff::Timestamp;
use plugin_cap::wire::{self, Hint};
use tokio::time::sleep;

use crate::{
    address,
    options::Options,
    retime::retime,
    show::{Shown, Verdict},
    site::{PATIENCE, Site, now_ms},
};

/// How many lines of its driver a server shows.
const LINES: usize = 50;
/// How many verdicts are printed.
const PRINTED: usize = 15;

impl Site {
    /// Puts a file where every server looks, and shows what came of it on one of them.
    pub async fn file(&self, name: &str, bytes: &[u8], server: usize) -> Shown {
        let before = self.quiet().await;
        let verdicts = self.judged(name, bytes, server).await;
        self.outcome(server, &before, Verdict::sending(&verdicts)).await
    }

    /// A file of somebody else's: first as it is, and if all that it lacks is that it is not over, a copy that is not.
    pub async fn foreign_file(&self, file: &Path) -> Shown {
        let name = file.file_name().map_or_else(|| "alert".to_owned(), |name| name.to_string_lossy().into_owned());
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                println!("   it cannot be read: {error}");
                return Shown::default();
            }
        };
        let before = self.quiet().await;
        let mut verdicts = self.judged(&name, &bytes, 0).await;
        self.if_over(&name, &bytes, &mut verdicts).await;
        self.come_of_it(&before, &verdicts).await
    }

    /// What stands at an address, fetched by the driver of every server.
    pub async fn address(&self, options: &Options, url: &str) -> Shown {
        let before = self.quiet().await;
        let begun = now_ms();
        self.watch(options, url).await;
        let mut lines = wait_for("the driver says something of the address", PATIENCE, || async {
            let lines = self.driver_lines(0, begun).await;
            (!lines.is_empty()).then_some(lines)
        })
        .await;
        // How many alerts there are is known to the driver only; it has said all when it says nothing more for a while.
        loop {
            sleep(Duration::from_secs(2)).await;
            let more = self.driver_lines(0, begun).await;
            if more == lines {
                break;
            }
            lines = more;
        }
        let mut verdicts = Verdict::read(&lines);
        print(&verdicts, verdicts.len());
        // Brought again rather than kept from before: what stands there may have changed since.
        if let Ok(bytes) = address::fetch(url).await {
            self.if_over("alerts.xml", &bytes, &mut verdicts).await;
        }
        self.come_of_it(&before, &verdicts).await
    }

    /// Where all that an alert lacks is that it is not over, a copy that is not is judged in its place.
    async fn if_over(&self, name: &str, bytes: &[u8], verdicts: &mut Vec<Verdict>) {
        let over = Verdict::sending(verdicts) == 0 && verdicts.iter().any(|verdict| verdict.word == "expired");
        if over && let Some(copy) = retime(bytes, now_ms()) {
            println!(
                "   It is over: its newest alert was sent {}. A copy follows in which every time is {} days later,",
                Timestamp::from_millisecond(copy.newest_ms).map_or_else(|_| "?".to_owned(), |time| time.to_string()),
                copy.by_ms / 86_400_000,
            );
            println!("   as if it were sent at this moment:");
            *verdicts = self.judged(&format!("current-{name}"), &copy.bytes, 0).await;
        }
    }

    /// What was sent for these verdicts.
    async fn come_of_it(&self, before: &BTreeSet<String>, verdicts: &[Verdict]) -> Shown {
        let sending = Verdict::sending(verdicts);
        if sending == 0 {
            println!("   Nothing is sent for it; the lines above say why.");
            return Shown::default();
        }
        self.outcome(0, before, sending).await
    }

    /// Puts a file where every server looks, and prints what the driver of one of them makes of it.
    async fn judged(&self, name: &str, bytes: &[u8], server: usize) -> Vec<Verdict> {
        let held = wire::read(bytes, Hint::default()).map_or(0, |document| document.messages.len());
        let messages = held.max(1);
        let begun = now_ms();
        self.put(name, bytes);
        let lines = wait_for("the CAP driver has judged the file", PATIENCE, || async {
            let lines = self.driver_lines(server, begun).await;
            (lines.len() >= messages.min(LINES)).then_some(lines)
        })
        .await;
        let holds = match held {
            0 => "no alert in it".to_owned(),
            1 => "one alert".to_owned(),
            many => format!("{many} alerts"),
        };
        println!("   {name}: {holds}; what {}'s CAP driver says:", self.fleet.servers[server].name);
        let verdicts = Verdict::read(&lines);
        print(&verdicts, messages);
        verdicts
    }

    /// Waits until nothing runs, and forgets what the devices saw. Gives the activations so far.
    pub async fn quiet(&self) -> BTreeSet<String> {
        let server = self.first_up();
        let api = self.fleet.api(server);
        wait_for("nothing runs", PATIENCE, || async {
            api.get("/api/v1/running").await.as_array()?.is_empty().then_some(())
        })
        .await;
        self.speaker.clear();
        self.strobe.clear();
        self.sent(server).await.iter().filter_map(|row| Some(row["activation"].as_str()?.to_owned())).collect()
    }

    fn first_up(&self) -> usize {
        self.fleet.servers.iter().position(harness::Server::runs).expect("a server runs")
    }
}

fn print(verdicts: &[Verdict], of: usize) {
    for verdict in verdicts.iter().take(PRINTED) {
        println!("     {verdict}");
    }
    let rest = of.saturating_sub(PRINTED.min(verdicts.len()));
    if rest > 0 {
        println!("     ... and {rest} more. The server's page of the driver shows the newest {LINES} lines.");
    }
}
