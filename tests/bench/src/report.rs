//! What a benchmark found: figures, the goals they are held against, and what a peer program did in the same run.

use serde_json::{Map, Value, json};

/// The outcome of one benchmark. Names carry their unit: `median_ms`, `per_s`, `lost`.
pub struct Report {
    bench: &'static str,
    figures: Map<String, Value>,
    goals: Map<String, Value>,
    peer: Map<String, Value>,
    lines: Vec<String>,
}

/// What a goal says of its figure.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// The figure should be no more than this.
    AtMost(f64),
    /// The figure should be no less than this.
    AtLeast(f64),
}

impl Report {
    /// Nothing found yet.
    pub fn new(bench: &'static str) -> Report {
        Report { bench, figures: Map::new(), goals: Map::new(), peer: Map::new(), lines: Vec::new() }
    }

    /// A figure without a goal.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), number(value));
        self.lines.push(format!("  {name:<26} {}", short(value)));
    }

    /// A figure and what it should be.
    pub fn judge(&mut self, name: &str, value: f64, goal: Goal) {
        self.figures.insert(name.to_owned(), number(value));
        let (wanted, sign, met) = match goal {
            Goal::AtMost(most) => (most, "at most", value <= most),
            Goal::AtLeast(least) => (least, "at least", value >= least),
        };
        self.goals.insert(name.to_owned(), number(wanted));
        let verdict = if met { "met" } else { "MISSED" };
        self.lines.push(format!("  {name:<26} {:<12} goal {sign} {}: {verdict}", short(value), short(wanted)));
    }

    /// What another program did in the same run.
    pub fn peer(&mut self, name: &str, value: f64) {
        self.peer.insert(name.to_owned(), number(value));
        self.lines.push(format!("  {name:<26} {}", short(value)));
    }

    /// Something that people should know.
    pub fn note(&mut self, text: impl Into<String>) {
        self.lines.push(format!("  {}", text.into()));
    }

    /// Something that was left out, and why. The line begins as those of tests do.
    pub fn skipped(&mut self, what: &str, why: &str) {
        self.lines.push(format!("SKIPPED {what}: needs {why}"));
    }

    /// Text for people, then one line for programs.
    pub fn print(self) {
        for line in &self.lines {
            println!("{line}");
        }
        println!("  load of this machine at the end: {}", load());
        println!("{}", json!({"bench": self.bench, "figures": self.figures, "goals": self.goals, "peer": self.peer}));
    }
}

/// The average number of running processes over 1, 5 and 15 minutes, and how many can run at a time.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    format!("{} on {cores} cores", averages.join(" "))
}

fn number(value: f64) -> Value {
    // Three digits behind the point: nothing here is measured more finely.
    json!((value * 1000.0).round() / 1000.0)
}

fn short(value: f64) -> String {
    if value == value.trunc() { format!("{value}") } else { format!("{value:.3}") }
}
