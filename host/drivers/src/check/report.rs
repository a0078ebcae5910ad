//! What a check of a driver found, for people and for programs.

use std::{fmt::Write, path::PathBuf, time::Duration};

use serde::Serialize;

/// The result of one named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "why")]
pub enum Finding {
    /// The driver does what the check asks; the text holds figures, if there are any.
    Pass(String),
    /// It does not; the text says what was expected and what was found.
    Fail(String),
    /// The check does not apply, or could not be made; the text says why.
    Skip(String),
}

/// One named check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What it asks of a driver, in one sentence.
    pub asks: &'static str,
    /// How it went.
    #[serde(flatten)]
    pub finding: Finding,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Everything found out about one library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The library.
    pub file: PathBuf,
    /// The level that was asked for.
    pub level: u8,
    /// What random documents were made from.
    pub seed: u64,
    /// Every check of that level and those below.
    pub checks: Vec<Check>,
    /// Why the kit itself could not work; then the checks say nothing about the driver.
    pub kit_failed: Option<String>,
}

impl Report {
    /// Whether no check failed and the kit worked.
    pub fn passed(&self) -> bool {
        self.kit_failed.is_none() && self.failed().next().is_none()
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| matches!(check.finding, Finding::Fail(_)))
    }

    /// The exit status of `onealert driver check`: 0 passed, 1 some check failed, 2 the kit failed.
    pub fn exit_code(&self) -> u8 {
        match (&self.kit_failed, self.passed()) {
            (Some(_), _) => 2,
            (None, true) => 0,
            (None, false) => 1,
        }
    }

    /// The report as one JSON document.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }

    /// The report for people: a line for each check, and what to do about those that failed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |args: std::fmt::Arguments<'_>| {
            let _ = text.write_fmt(args);
            text.push('\n');
        };
        if let Some(why) = &self.kit_failed {
            line(format_args!("the check itself could not work: {why}"));
        }
        for check in &self.checks {
            match &check.finding {
                Finding::Pass(why) if why.is_empty() => line(format_args!("pass  {:<20} {}", check.name, check.asks)),
                Finding::Pass(why) => line(format_args!("pass  {:<20} {} ({why})", check.name, check.asks)),
                Finding::Fail(why) => line(format_args!("FAIL  {:<20} {}\n      {why}", check.name, check.asks)),
                Finding::Skip(why) => line(format_args!("skip  {:<20} {}\n      {why}", check.name, check.asks)),
            }
        }
        let failed = self.failed().count();
        let skipped = self.checks.iter().filter(|check| matches!(check.finding, Finding::Skip(_))).count();
        let passed = self.checks.len() - failed - skipped;
        line(format_args!("{}: {passed} passed, {failed} failed, {skipped} skipped", self.file.display()));
        if self.level >= 3 && !self.passed() {
            line(format_args!("random documents came from seed {0}; --replay {0} sends the same again", self.seed));
        }
        text
    }
}

/// The longest that a check of this level can take.
pub fn longest(level: u8) -> Duration {
    Duration::from_secs(match level {
        0 | 1 => 30,
        2 => 330,
        _ => 480,
    })
}
