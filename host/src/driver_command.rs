//! `onealert driver`: a driver's library judged at the console, before it is put into a server's driver folder.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

/// What can be done with a library.
#[derive(Subcommand)]
pub enum DriverCommand {
    /// Load it, try it, and say what is wrong with it.
    Check {
        /// The library.
        file: PathBuf,
        /// Settings to open it with (JSON); none are `{}`.
        #[arg(long)]
        settings: Option<PathBuf>,
        /// 1: it loads. 2: it behaves. 3: it endures.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=3))]
        level: u8,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
        /// Repeat the random documents of this seed.
        #[arg(long)]
        replay: Option<u64>,
    },
}

/// Judges it; the exit status is the verdict.
pub async fn check(command: DriverCommand) -> ExitCode {
    use onealert_drivers::check;
    let DriverCommand::Check { file, settings, level, json, replay } = command;
    let settings = match settings.map(|path| (std::fs::read_to_string(&path), path)) {
        None => None,
        Some((Ok(text), path)) => match serde_json::from_str(&text) {
            Ok(settings) => Some(settings),
            Err(error) => {
                eprintln!("onealert: settings {}: {error}", path.display());
                return ExitCode::from(2);
            }
        },
        Some((Err(error), path)) => {
            eprintln!("onealert: settings {}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    if !json {
        println!("level {level}, {} s at most", check::longest(level).as_secs());
    }
    let worker = (PathBuf::from("/proc/self/exe"), vec!["driver-worker".to_owned()]);
    let report = match replay {
        Some(seed) => check::replay(&file, settings, level, worker, seed).await,
        None => check::run(&file, settings, level, worker).await,
    };
    if json {
        println!("{}", report.json())
    } else {
        println!("{}", report.text())
    }
    ExitCode::from(report.exit_code())
}
