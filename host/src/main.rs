//! `onealert`: run a server, join it to a primary, promote it, and what else an operator does at its console; or run one
//! driver as its worker.

use std::{
    ffi::OsString,
    io::{IsTerminal, Read, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::{Parser, Subcommand};
use onealert::{
    app::App,
    commands::{self, Login},
    control::{Asked, Order},
    doors::Listening,
    logging, process,
    settings::Settings,
    signals::Signals,
};
use onealert_core::config::Role;
use onealert_web::needs::State;

mod driver_command;

use driver_command::DriverCommand;

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
    ///
    /// The administrator's password is asked for, read from a pipe, or taken from the variable ONEALERT_PASSWORD.
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
    /// Make this server the primary, because the primary is lost. The server may run or be stopped.
    Promote {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// Begin although another server has changes that this one lacks; they go into a conflict report there.
        #[arg(long)]
        leave_missing: bool,
        /// Begin although the primary answers; it is fenced by that.
        #[arg(long)]
        even_though_primary_answers: bool,
        /// After a restore: the login name of an administrator, by which the other servers let this one in.
        #[arg(long)]
        user: Option<String>,
    },
    /// Write a backup of the configuration and the site's key; it does not say which server this is. Keep it safe.
    Backup {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// Lock the site's key in it with a passphrase, which is asked for or read from ONEALERT_PASSPHRASE.
        #[arg(long)]
        passphrase: bool,
        /// The file to write.
        file: PathBuf,
    },
    /// Put a backup into an empty data folder; promote it afterwards.
    Restore {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// The backup was made with a passphrase, which is asked for or read from ONEALERT_PASSPHRASE.
        #[arg(long)]
        passphrase: bool,
        /// The backup.
        file: PathBuf,
    },
    /// List the servers. The server must run.
    Servers {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Remove a server for good. It sends nothing more until it joins again. Run on the primary, which must run.
    Deprovision {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// Its display name or id.
        server: String,
        /// Say that it is meant: this is final.
        #[arg(long)]
        yes: bool,
    },
    /// Have a secondary build its copy of the configuration anew. Run on the primary, which must run.
    Reconfigure {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// Its display name or id.
        server: String,
    },
    /// Rehearse failovers: let each server play dead and time who takes over. Sends nothing to any endpoint. The server must run.
    ///
    /// Exit status: 0 every case is covered; 3 not every endpoint is safe; 4 a case is not covered; 1 no drill was run.
    Drill {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say who would send what, with servers assumed dead. Nothing is done. The server must run.
    ///
    /// Exit status: 0 everything is reached; 3 something is doubtful; 4 endpoints are stranded; 1 the question has no answer.
    WhatIf {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        #[command(flatten)]
        asked: Asked,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a server that came back own activations again, without waiting any longer. Possible on every server, which must run.
    ///
    /// Exit status: 0 it owns again; 3 it was let return and still waits for its configuration or clock; 1 it does not hold back.
    Return {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// Its display name or id.
        server: String,
        /// Print how it is as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show how many secondaries the licence allows, or set it. Set it on the primary, which must run.
    Licence {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
        /// The number to set.
        #[arg(long)]
        secondaries: Option<u32>,
    },
    /// Show the conflict reports of this server: changes that another generation has left behind.
    Conflicts {
        /// The configuration file (TOML).
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Judge a driver's library before it is put into a server's driver folder.
    Driver {
        #[command(subcommand)]
        command: DriverCommand,
    },
}

/// The library that this process is started for as a driver's worker, by the server alone. Looked at before the commands of
/// people are: there is a worker for each driver, and what reads commands need not be in the memory of each.
fn role_of_a_worker(mut arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    (arguments.next()? == "driver-worker").then(|| arguments.next().map(PathBuf::from)).flatten()
}

fn main() -> ExitCode {
    let begun = Instant::now();
    process::give_back_large_pieces();
    if let Some(library) = role_of_a_worker(std::env::args_os().skip(1)) {
        return onealert_drivers::worker::main(&library);
    }
    let arguments = Arguments::parse();
    // First of all: a server may be asked to end while it has hardly begun.
    let signals = match &arguments.command {
        Command::Run { .. } => match Signals::hear() {
            Ok(signals) => Some(signals),
            Err(error) => {
                eprintln!("onealert: signals cannot be heard: {error}");
                return ExitCode::FAILURE;
            }
        },
        _ => None,
    };
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
        return runtime.block_on(driver_command::check(command));
    }
    let done = runtime.block_on(async {
        match &signals {
            Some(signals) => run(settings.unwrap_or_default(), begun, signals).await,
            None => command(arguments.command).await,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(After::End) => ExitCode::SUCCESS,
        Ok(After::Verdict(state)) => ExitCode::from(match state {
            State::Ok => 0,
            State::Warning => 3,
            State::Bad => 4,
        }),
        Ok(After::StartAnew) => match signals.map(Signals::leave) {
            // Who asked it to end meanwhile does not mean the server that it becomes to go on.
            Some(Ok(true)) => ExitCode::SUCCESS,
            // What could not be read still waits, and the image that follows reads it.
            Some(Ok(false) | Err(_)) | None => start_anew(),
        },
        Err(error) => {
            eprintln!("onealert: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What follows a command that went well.
enum After {
    End,
    /// The exit status says how well it stands.
    Verdict(State),
    /// The server is started again in this process's place.
    StartAnew,
}

async fn command(command: Command) -> Result<After, String> {
    let text = match command {
        Command::Join { config, primary, user, fingerprint } => {
            let password = password(&format!("password of {user} on the primary"))?;
            commands::join(config.as_deref(), primary, Login { user, password }, fingerprint).await?
        }
        Command::Promote { config, leave_missing, even_though_primary_answers, user } => {
            let login = match user {
                Some(user) => Some(Login { password: password(&format!("password of {user}"))?, user }),
                None => None,
            };
            commands::promote(config.as_deref(), leave_missing, even_though_primary_answers, login).await?
        }
        Command::Backup { config, passphrase: locked, file } => {
            commands::backup(config.as_deref(), &file, passphrase(locked)?.as_deref())?
        }
        Command::Restore { config, passphrase: locked, file } => {
            commands::restore(config.as_deref(), &file, passphrase(locked)?.as_deref()).await?
        }
        Command::Servers { config } => commands::order(config.as_deref(), Order::Servers).await?,
        Command::Deprovision { server, yes: false, .. } => {
            return Err(format!(
                "deprovisioning {server} is final: it sends nothing more until it joins again with fresh credentials. If \
                 that is meant, repeat with --yes"
            ));
        }
        Command::Deprovision { config, server, yes: true } => {
            commands::order(config.as_deref(), Order::Deprovision { server }).await?
        }
        Command::Reconfigure { config, server } => {
            commands::order(config.as_deref(), Order::Reconfigure { server }).await?
        }
        Command::Drill { config, json } => return judged(config, Order::Drill { json }).await,
        Command::WhatIf { config, asked, json } => return judged(config, Order::WhatIf { asked, json }).await,
        Command::Return { config, server, json } => return judged(config, Order::Return { server, json }).await,
        Command::Licence { config, secondaries } => {
            commands::order(config.as_deref(), Order::Licence { secondaries }).await?
        }
        Command::Conflicts { config } => commands::conflicts(config.as_deref())?,
        Command::Run { .. } | Command::Driver { .. } => return Ok(After::End),
    };
    println!("{text}");
    Ok(After::End)
}

async fn judged(config: Option<PathBuf>, order: Order) -> Result<After, String> {
    let (state, text) = commands::judged(config.as_deref(), order).await?;
    println!("{text}");
    Ok(After::Verdict(state))
}

async fn run(settings: Settings, begun: Instant, signals: &Signals) -> Result<After, String> {
    let data = settings.data.clone();
    let app = App::start(settings).await.map_err(|error| error.to_string())?;
    say(&app.listening, &data, begun);
    let after = tokio::select! {
        why = signals.asked_to_end() => {
            match why {
                Ok(why) => tracing::info!("stopping: {why}"),
                Err(error) => tracing::error!(%error, "stopping: signals can no longer be heard"),
            }
            After::End
        }
        () = app.starts_anew() => {
            tracing::warn!("starting anew: a fresh process takes this one's place");
            After::StartAnew
        }
    };
    app.stop().await;
    Ok(after)
}

/// Replaces this process by a fresh one with the same arguments: nothing of the server that was is left in it, but the
/// signals that wait for it.
fn start_anew() -> ExitCode {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).exec();
    eprintln!("onealert: cannot start anew: {error}");
    ExitCode::FAILURE
}

fn password(prompt: &str) -> Result<String, String> {
    ask("ONEALERT_PASSWORD", prompt)
}

/// The passphrase of a backup, if it has one.
fn passphrase(locked: bool) -> Result<Option<String>, String> {
    if locked { ask("ONEALERT_PASSPHRASE", "passphrase of the backup").map(Some) } else { Ok(None) }
}

/// A secret of a person: from the environment, from a pipe, or typed.
fn ask(variable: &str, prompt: &str) -> Result<String, String> {
    if let Ok(given) = std::env::var(variable) {
        return Ok(given);
    }
    let mut text = String::new();
    if std::io::stdin().is_terminal() {
        eprint!("{prompt} (it is shown while you type): ");
        std::io::stdin().read_line(&mut text).map_err(|error| format!("password: {error}"))?;
    } else {
        std::io::stdin().read_to_string(&mut text).map_err(|error| format!("password: {error}"))?;
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("no {prompt} was given: type it, pipe it in, or set {variable}")),
        given => Ok(given.to_owned()),
    }
}

/// What a person who starts the server has to know. Programs wait for the line that begins with `ready`.
fn say(listening: &Listening, data: &std::path::Path, begun: Instant) {
    let role = match listening.role {
        Role::Primary => "primary",
        Role::Secondary => "secondary",
    };
    let mut lines = vec![format!(
        "onealert {} {} ({role}), data in {}",
        onealert::product::version(),
        listening.name,
        data.display()
    )];
    lines.extend(listening.https.map(|address| format!("pages        https://{address}")));
    lines.extend(listening.http.map(|address| format!("pages        http://{address}")));
    lines.push(format!("other servers {}, site fingerprint {}", listening.mesh, listening.fingerprint));
    lines.extend(
        listening
            .drawn_password
            .as_ref()
            .map(|password| format!("first login  admin / {password}   (shown once; change it on the account page)")),
    );
    lines.push(format!("ready after {} ms", begun.elapsed().as_millis()));
    // Whoever read the first start may have gone since: a server that starts anew does not end for that.
    let mut out = std::io::stdout().lock();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}
