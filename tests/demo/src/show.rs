//! What is shown of a delivery: who sent it, which endpoints were reached, what the devices saw and heard.

use std::{collections::BTreeSet, fmt};

use harness::wait_for;
use serde_json::Value;

use crate::site::{PATIENCE, Site};

/// How many sent notifications are printed in one line each.
const PRINTED: usize = 10;

/// What a driver says of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which alert.
    pub subject: String,
    /// What became of it, in the driver's word.
    pub word: String,
    /// Why.
    pub reason: String,
}

impl Verdict {
    /// From the driver's lines `SUBJECT: WORD, REASON`; other lines are left out.
    pub fn read(lines: &[String]) -> Vec<Verdict> {
        let one = |line: &String| {
            // A subject may hold a colon: the word stands before the first comma.
            let (head, reason) = line.split_once(", ")?;
            let (subject, word) = head.rsplit_once(": ").unwrap_or(("", head));
            Some(Verdict { subject: subject.to_owned(), word: word.to_owned(), reason: reason.to_owned() })
        };
        lines.iter().filter_map(one).collect()
    }

    /// How many of them set off a notification.
    pub fn sending(verdicts: &[Verdict]) -> usize {
        verdicts.iter().filter(|it| matches!(it.word.as_str(), "fired" | "updated")).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matched = if matches!(self.word.as_str(), "fired" | "updated") { "matched, " } else { "" };
        let Verdict { subject, word, reason } = self;
        let reason = match reason.char_indices().nth(200) {
            Some((end, _)) => format!("{} ...", &reason[..end]),
            None => reason.clone(),
        };
        if subject.is_empty() {
            write!(f, "{matched}{word}: {reason}")
        } else {
            write!(f, "{matched}{word}: {subject}: {reason}")
        }
    }
}

/// What a section came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// Notifications that reached every endpoint, or as far as a newer one let them.
    pub sent: usize,
    /// How often the strobe was started.
    pub flashes: usize,
}

impl Site {
    /// The newest of Sent Notifications on a server.
    pub async fn sent(&self, server: usize) -> Vec<Value> {
        let page = self.fleet.api(server).get("/api/v1/sent?limit=200").await;
        page["rows"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until as many notifications as expected were sent since `before` by this server, and shows them.
    pub async fn outcome(&self, server: usize, before: &BTreeSet<String>, expected: usize) -> Shown {
        let name = self.fleet.servers[server].name.as_str();
        let api = self.fleet.api(server);
        let rows =
            wait_for("the notification is in Sent Notifications and nothing runs any more", PATIENCE * 3, || async {
                let mut rows = self.sent(server).await;
                rows.retain(|row| row["activation"].as_str().is_some_and(|activation| !before.contains(activation)));
                let running = api.get("/api/v1/running").await;
                (rows.len() >= expected.min(200) && running.as_array()?.is_empty()).then_some(rows)
            })
            .await;
        if rows.len() > 1 {
            println!(
                "   {} notifications came of it at once; each newer one took the devices from the one before:",
                rows.len()
            );
            for row in rows.iter().rev().take(PRINTED) {
                println!(
                    "     {} by {}: reached {} of {}, {}",
                    text(row, "name"),
                    text(row, "server_name"),
                    row["reached"],
                    row["meant"],
                    text(row, "outcome")
                );
            }
            if rows.len() > PRINTED {
                println!("     ... and {} more", rows.len() - PRINTED);
            }
        }
        let whole: Vec<&Value> = rows.iter().filter(|row| row["outcome"] == "success").collect();
        let Some(shown) = whole.first() else {
            println!("   none of it reached every endpoint; Sent Notifications says why");
            return Shown::default();
        };
        let record = api.get(&format!("/api/v1/sent/{}", text(shown, "activation"))).await;
        println!("   accepted: {:?}, {}", text(&record, "title"), copies(&record["row"]));
        println!("   owner: {}{}", text(&record["row"], "server_name"), taken_over(&record["row"]));
        assert_eq!(record["row"]["server_name"], name, "{record}");
        for endpoint in record["endpoints"].as_array().expect("endpoints") {
            let after =
                endpoint["after_ms"].as_u64().map_or_else(String::new, |ms| format!(" {ms} ms after acceptance"));
            println!(
                "   {:<13} {}{after}: {}",
                text(endpoint, "name"),
                text(endpoint, "text").to_lowercase(),
                text(endpoint, "note")
            );
            assert_eq!(endpoint["state"], "ok", "{record}");
        }
        self.heard();
        let flashes = self.flashes();
        println!("   the strobe was started {flashes} time(s)");
        assert!(flashes >= 1, "the strobe flashed");
        Shown { sent: rows.len(), flashes }
    }

    /// Waits until everything has settled, and checks that no device was told anything.
    pub async fn nothing_more(&self) {
        self.fleet.in_step().await;
        let running = self.fleet.api(0).get("/api/v1/running").await;
        assert_eq!((self.flashes(), running), (0, Value::Array(Vec::new())), "what was sent is not sent again");
    }

    /// Shows what the speaker played.
    fn heard(&self) {
        let heard = self.speaker.heard();
        let heard = heard.get(&1).expect("the speaker's zone");
        println!(
            "   the speaker heard {} ms of audio at {:.1} dBFS, {} packets missing",
            heard.ms, heard.rms_dbfs, heard.gaps
        );
        assert!(heard.ms > 500 && heard.rms_dbfs > -40.0, "audio was heard");
    }

    /// Waits until the primary has what the others sent, and shows its Sent Notifications.
    pub async fn records_of_the_others(&self) {
        let rows = wait_for("the secondary's records are on the primary", PATIENCE, || async {
            let rows = self.sent(0).await;
            (rows.iter().filter(|row| row["server_name"] == "pa-2").count() >= 2).then_some(rows)
        })
        .await;
        println!("   Sent Notifications on the primary:");
        for row in rows.iter().take(PRINTED) {
            println!(
                "     {:<18} server {:<6} outcome {:<10} reached {} of {}",
                text(row, "name"),
                text(row, "server_name"),
                text(row, "outcome"),
                row["reached"],
                row["meant"]
            );
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn copies(row: &Value) -> &'static str {
    if row["degraded"] == true { "one copy only" } else { "safe on two servers" }
}

fn taken_over(row: &Value) -> String {
    match row["attempt"].as_u64() {
        None | Some(0) => String::new(),
        Some(attempt) => format!(" (taken over, attempt {})", attempt + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_s_line_becomes_a_verdict() {
        let lines =
            ["urn:oid:2.49.0: expired, expired on arrival: it ended 2013, in May".to_owned(), "noise".to_owned()];
        let verdicts = Verdict::read(&lines);
        assert_eq!(verdicts.len(), 1);
        assert_eq!((verdicts[0].subject.as_str(), verdicts[0].word.as_str()), ("urn:oid:2.49.0", "expired"));
        assert_eq!(verdicts[0].to_string(), "expired: urn:oid:2.49.0: expired on arrival: it ended 2013, in May");
        assert_eq!(Verdict::sending(&verdicts), 0);
    }
}
