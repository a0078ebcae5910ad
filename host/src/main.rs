//! `onealert`: run a server, join it to a primary, or run one driver as its worker.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::{Parser, Subcommand};
use onealert::{
    app::{App, Listening},
    install::{self, JoinWith},
    logging,
    settings::Settings,
};
use onealert_core::config::Role;

#[derive(Parser)]
#[command(name = "onealert", version, about = "Mass notification: bells, pages, lockdowns and weather alarms")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server until SIGTERM. Without a file it is a standalone server in a folder of your own.
    Run {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Join this server to a primary, as a secondary. Run it afterwards.
    Join {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// The primary's address for other servers, such as 10.0.0.11:7400.
        #[arg(long)]
        primary: String,
        /// The login name of an administrator of the primary.
        #[arg(long, default_value = "admin")]
        user: String,
        /// The site's fingerprint, as the primary prints it. Without it the primary that answers is trusted.
        #[arg(long)]
        fingerprint: Option<String>,
    },
    /// Judge a driver's library before it is put into a server's driver folder.
    Driver {
        #[command(subcommand)]
        command: DriverCommand,
    },
    /// Run one driver; started by the server.
    #[command(hide = true)]
    DriverWorker {
        /// The driver's library.
        library: PathBuf,
    },
}

#[derive(Subcommand)]
enum DriverCommand {
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

fn main() -> ExitCode {
    let begun = Instant::now();
    let arguments = Arguments::parse();
    if let Command::DriverWorker { library } = &arguments.command {
        return onealert_drivers::worker::main(library);
    }
    // Only a running server writes log files.
    let settings = match &arguments.command {
        Command::Run { config } => match Settings::load(config.as_deref()) {
            Ok(settings) => Some(settings),
            Err(error) => {
                eprintln!("onealert: {error}");
                return ExitCode::FAILURE;
            }
        },
        _ => None,
    };
    if let Err(error) = logging::begin(settings.as_ref().map_or(&[][..], |settings| &settings.log_file)) {
        eprintln!("onealert: {error}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("onealert: the runtime did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Command::Driver { command } = arguments.command {
        return runtime.block_on(check(command));
    }
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Run { .. } => run(settings.unwrap_or_default(), begun).await,
            Command::Join { config, primary, user, fingerprint } => join(config, primary, user, fingerprint).await,
            Command::DriverWorker { .. } | Command::Driver { .. } => Ok(()),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("onealert: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings, begun: Instant) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let data = settings.data.clone();
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let app = App::start(settings).await.map_err(|error| error.to_string())?;
    say(&app.listening, &data, begun);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: asked to terminate"),
        _ = interrupt.recv() => tracing::info!("stopping: interrupted"),
    }
    app.stop().await;
    Ok(())
}

/// What a person who starts the server has to know. Programs wait for the line that begins with `ready`.
fn say(listening: &Listening, data: &std::path::Path, begun: Instant) {
    let role = match listening.role {
        Role::Primary => "primary",
        Role::Secondary => "secondary",
    };
    println!("onealert {} {} ({role}), data in {}", onealert::product::version(), listening.name, data.display());
    if let Some(address) = listening.https {
        println!("pages        https://{address}");
    }
    if let Some(address) = listening.http {
        println!("pages        http://{address}");
    }
    println!("other servers {}, site fingerprint {}", listening.mesh, listening.fingerprint);
    if let Some(password) = &listening.drawn_password {
        println!("first login  admin / {password}   (shown once; change it on the account page)");
    }
    println!("ready after {} ms", begun.elapsed().as_millis());
}

async fn check(command: DriverCommand) -> ExitCode {
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

async fn join(
    config: Option<PathBuf>,
    primary: String,
    user: String,
    fingerprint: Option<String>,
) -> Result<(), String> {
    let settings = Settings::load(config.as_deref()).map_err(|error| error.to_string())?;
    let password = match std::env::var("ONEALERT_PASSWORD") {
        Ok(password) => password,
        Err(_) => {
            if std::io::stdin().is_terminal() {
                eprint!("password of {user} on the primary (it is shown while you type): ");
            }
            let mut text = String::new();
            if std::io::stdin().is_terminal() {
                std::io::stdin().read_line(&mut text).map_err(|error| format!("password: {error}"))?;
            } else {
                std::io::stdin().read_to_string(&mut text).map_err(|error| format!("password: {error}"))?;
            }
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    let with = JoinWith { primary, user, password, fingerprint };
    let joined = install::join(&settings, with).await.map_err(|error| error.to_string())?;
    println!("joined {} ({}) as server {}", joined.primary.name, joined.primary.mesh, joined.server);
    if !joined.verified {
        println!("trusted the site with fingerprint {}", joined.fingerprint);
        println!(
            "compare it with the one that the primary prints at its start; if it differs, remove {} and join again with --fingerprint",
            settings.data.display()
        );
    }
    println!("now run: onealert run");
    Ok(())
}
