//! `onealert-installer`: tooling around an installation. Its first room compares servers for upgrades.

mod ask;
mod plan;
mod report;
mod verdict;

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand};
use http_client::Fingerprint;

use crate::{
    ask::{Address, Asker},
    verdict::{Answered, Comparison, Verdict},
};

/// Exit status for a command line that cannot be used; the others are verdicts.
const USAGE: u8 = 3;
/// How often `--wait` asks again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(name = "onealert-installer", version, about = "Tooling for installing and upgrading OneAlert servers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare what servers run and where their copies of the configuration stand. Exit status: 0 all match, 5 match but one is
    /// behind, 4 a driver or the platform differs, 1 product or schema differ, 2 a server could not be asked, 6 they cannot
    /// work together, 3 wrong command line.
    Check {
        #[command(flatten)]
        whom: Whom,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Ask again until all match and are in step, for this many seconds at most.
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        wait: u64,
    },
    /// Say in which order servers are upgraded, and which one is next. Exit status: 0 nothing left, 1 a server is next, 2 something
    /// is to be cured first, 3 wrong command line.
    UpgradePlan {
        #[command(flatten)]
        whom: Whom,
        /// The version to upgrade to.
        #[arg(long)]
        to: semver::Version,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Whom to ask, and how. The password is taken from ONEALERT_PASSWORD, or read from standard input.
#[derive(Args)]
struct Whom {
    /// A server's pages: host, host:port (https is meant) or https://host:port. http:// to this machine only.
    #[arg(long, required = true, num_args = 1.., value_name = "ADDRESS")]
    server: Vec<Address>,
    /// Also ask every other server that these name.
    #[arg(long)]
    all: bool,
    /// An account of the installation; a Viewer is enough.
    #[arg(long, default_value = "admin")]
    user: String,
    /// The site's fingerprint, as every server prints it at its start.
    #[arg(long, conflicts_with = "ca")]
    fingerprint: Option<Fingerprint>,
    /// The site's certificate: `identity/site-ca.pem` in the data folder of any server of the site.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(text) => {
            // Help and version are no mistakes.
            let status = if text.use_stderr() { USAGE } else { 0 };
            let _ = text.print();
            return ExitCode::from(status);
        }
    };
    match run(arguments.command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("onealert-installer: {error}");
            ExitCode::from(USAGE)
        }
    }
}

fn run(command: Command) -> Result<u8, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime did not start: {error}"))?;
    match command {
        Command::Check { whom, json, wait } => {
            let asker = whom.asker()?;
            let (all, comparison) = runtime.block_on(until_match(&asker, &whom, Duration::from_secs(wait)));
            match json {
                true => print_json(&report::document(&all, &comparison)),
                false => print!("{}", report::text(&all, &comparison)),
            }
            Ok(comparison.verdict.exit_status())
        }
        Command::UpgradePlan { whom, to, json } => {
            let asker = whom.asker()?;
            let (all, comparison) = runtime.block_on(until_match(&asker, &whom, Duration::ZERO));
            let plan = plan::plan(&all, &comparison, to);
            match json {
                true => print_json(&plan),
                false => print!("{}", plan::text(&plan)),
            }
            Ok(plan.exit_status())
        }
    }
}

fn print_json(document: &impl serde::Serialize) {
    println!("{}", serde_json::to_string_pretty(document).expect("plain data with text keys"));
}

impl Whom {
    fn asker(&self) -> Result<Asker, String> {
        let site = match &self.ca {
            Some(file) => Some(ask::fingerprint_of(file)?),
            None => self.fingerprint,
        };
        if site.is_none() && self.server.iter().any(|address| address.to_string().starts_with("https")) {
            return Err(
                "whom to trust? Give --fingerprint (each server prints it at its start) or --ca FILE".to_owned()
            );
        }
        Ok(Asker::new(&self.user, &password(&self.user)?, site))
    }
}

fn password(user: &str) -> Result<String, String> {
    if let Ok(password) = std::env::var("ONEALERT_PASSWORD") {
        return Ok(password);
    }
    let mut text = String::new();
    let read = if std::io::stdin().is_terminal() {
        eprint!("password of {user} (it is shown while you type): ");
        std::io::stdin().read_line(&mut text)
    } else {
        std::io::stdin().read_to_string(&mut text)
    };
    read.map_err(|error| format!("password: {error}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks until everything matches, or the time is over; gives the last answers.
async fn until_match(asker: &Asker, whom: &Whom, wait: Duration) -> (Vec<Answered>, Comparison) {
    let until = Instant::now() + wait;
    loop {
        let all = ask_all(asker, whom).await;
        let comparison = verdict::judge(&all);
        if comparison.verdict == Verdict::Match || Instant::now() >= until {
            return (all, comparison);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Asks every server at once; with `--all` then those that they name.
async fn ask_all(asker: &Asker, whom: &Whom) -> Vec<Answered> {
    let mut all = ask_these(asker, &whom.server).await;
    if whom.all {
        let more: Vec<Address> =
            verdict::judge(&all).unasked.iter().filter_map(|other| other.web.parse().ok()).collect();
        all.extend(ask_these(asker, &more).await);
    }
    all
}

async fn ask_these(asker: &Asker, addresses: &[Address]) -> Vec<Answered> {
    let one = async |address: &Address| Answered { address: address.to_string(), answer: asker.ask(address).await };
    futures_util::future::join_all(addresses.iter().map(one)).await
}
