//! Orders from the command line to the server that runs on the same data folder: a Unix socket in the folder, which only the
//! service's user can open. One JSON line in, one JSON line out.

use std::{
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use onealert_core::{config::UserRole, ids::UserId};
use onealert_web::needs::{Actor, Needs, Password, Problem, PromoteRequest, ServerRow, State};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::watch,
};

use crate::{answers::Answers, rehearsal};

/// The socket's name in the data folder.
const SOCKET: &str = "control";
/// An order is at most this long.
const LONGEST: usize = 64 << 10;
/// Promotion waits for servers that do not answer and for records; everything else is quick.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the command line may order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// List the servers.
    Servers,
    /// Take a server out for good.
    Deprovision {
        /// Its display name or id.
        server: String,
    },
    /// Have a secondary build its copy anew.
    Reconfigure {
        /// Its display name or id.
        server: String,
    },
    /// Make this server the primary.
    Promote {
        /// Begin although another server has more.
        leave_missing: bool,
        /// Begin although a primary answers.
        even_though_primary_answers: bool,
        /// An administrator's login name.
        user: Option<String>,
        /// The password that belongs to it.
        password: Option<String>,
    },
    /// Rehearse failovers and keep the report where the page shows it.
    Drill {
        /// Answer with the report as JSON.
        json: bool,
    },
    /// Say who would send what, with servers assumed dead.
    WhatIf {
        /// What happens, and when, and who is dead.
        asked: Asked,
        /// Answer with the document as JSON.
        json: bool,
    },
    /// Let a server that came back own again.
    Return {
        /// Its display name or id.
        server: String,
        /// Answer with how it is now as JSON.
        json: bool,
    },
    /// How many secondaries the licence allows, or set it.
    Licence {
        /// The number to set.
        secondaries: Option<u32>,
    },
    /// Start the program anew in its place: what is in the data folder has changed.
    StartAnew,
}

/// A question of what would happen, in the words of whoever asks. Servers, triggers, notifications and calendars are meant by
/// name or id.
#[derive(Debug, Clone, Default, Serialize, Deserialize, clap::Args)]
#[command(group(clap::ArgGroup::new("cause").required(true)))]
pub struct Asked {
    /// The trigger that goes off: its name or id.
    #[arg(long, group = "cause")]
    pub trigger: Option<String>,
    /// Or the notification that is sent by hand: its name or id.
    #[arg(long, group = "cause")]
    pub notification: Option<String>,
    /// Or the schedule whose bells ring: its name or id.
    #[arg(long, group = "cause")]
    pub calendar: Option<String>,
    /// Or the bells of every schedule.
    #[arg(long, group = "cause")]
    pub calendars: bool,
    /// When the trigger or notification is assumed, like 2026-11-23T10:42; now if left out.
    #[arg(long, conflicts_with_all = ["calendar", "calendars"])]
    pub at: Option<String>,
    /// Which bells, in the schedule's zone: those of a day, like 2026-11-30, or of a minute, like 2026-11-30T08:00 (where nothing
    /// is due in it, what is next after it); the next ones if left out.
    #[arg(long, conflicts_with_all = ["trigger", "notification"])]
    pub on: Option<String>,
    /// A server assumed dead: its display name or id. May be given several times.
    #[arg(long)]
    pub dead: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done; what there is to say.
    Done(String),
    /// Done, and this is the verdict.
    Judged {
        /// How well it stands.
        state: State,
        /// What there is to say.
        text: String,
    },
    /// Not done; why.
    Refused(String),
}

/// Why an order did not reach a server.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No server runs on this data folder.
    #[error("no server runs on {}; start it first", data.display())]
    NotRunning {
        /// The data folder.
        data: PathBuf,
    },
    /// It runs and does not answer.
    #[error("the server on {} does not answer: {reason}", data.display())]
    NoAnswer {
        /// The data folder.
        data: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// The way to the socket of a data folder: the system takes only 107 bytes of a socket's path, and a folder's may be longer, so
/// it is named by way of the opened folder.
struct Way {
    path: PathBuf,
    /// Keeps the way open.
    _folder: std::fs::File,
}

impl Way {
    fn to(data: &Path) -> std::io::Result<Way> {
        let folder = std::fs::File::open(data)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(SOCKET);
        Ok(Way { path, _folder: folder })
    }
}

async fn connect(data: &Path) -> std::io::Result<UnixStream> {
    let way = Way::to(data)?;
    UnixStream::connect(&way.path).await
}

/// Whether a server runs on this data folder.
pub async fn is_running(data: &Path) -> bool {
    connect(data).await.is_ok()
}

/// Gives an order to the server that runs on this data folder.
///
/// # Errors
/// None runs, or it does not answer.
pub async fn order(data: &Path, order: &Order) -> Result<Outcome, ControlError> {
    let not_running = || ControlError::NotRunning { data: data.to_owned() };
    let no_answer = |reason: String| ControlError::NoAnswer { data: data.to_owned(), reason };
    let stream = connect(data).await.map_err(|_| not_running())?;
    let conversation = async {
        let mut stream = BufReader::new(stream);
        let mut line = serde_json::to_string(order).expect("an order is plain data");
        line.push('\n');
        stream.get_mut().write_all(line.as_bytes()).await.map_err(|error| no_answer(error.to_string()))?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await.map_err(|error| no_answer(error.to_string()))?;
        serde_json::from_str(&answer).map_err(|error| no_answer(error.to_string()))
    };
    let answer = tokio::time::timeout(PATIENCE, conversation).await;
    answer.unwrap_or_else(|_| Err(no_answer("it is still at it".to_owned())))
}

/// Where orders come in. To be called before the server says that it is ready: a command line that finds nobody here takes the
/// server for stopped, and works on its files.
pub fn listen(data: &Path) -> Option<UnixListener> {
    let path = data.join(SOCKET);
    // Of a process that is gone: two servers on one folder are prevented by their ports.
    let _ = std::fs::remove_file(&path);
    match Way::to(data).and_then(|way| UnixListener::bind(&way.path)) {
        Ok(listener) => {
            let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600));
            Some(listener)
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the command line cannot give orders to this server");
            None
        }
    }
}

/// Takes orders until the server stops.
pub async fn serve(answers: Arc<Answers>, listener: UnixListener, mut stop: watch::Receiver<bool>) {
    let path = answers.0.settings.data.join(SOCKET);
    loop {
        tokio::select! {
            call = listener.accept() => if let Ok((stream, _)) = call {
                tokio::spawn(answer(answers.clone(), stream));
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    let _ = std::fs::remove_file(&path);
}

async fn answer(answers: Arc<Answers>, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(tokio::io::AsyncReadExt::take(read, LONGEST as u64));
    if !reader.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        return;
    }
    let outcome = match serde_json::from_str(&line) {
        Ok(order) => carry_out(&answers, order).await,
        Err(error) => Outcome::Refused(format!("the order cannot be read: {error}")),
    };
    let mut text = serde_json::to_string(&outcome).expect("an outcome is plain data");
    text.push('\n');
    let _ = write.write_all(text.as_bytes()).await;
}

async fn carry_out(answers: &Answers, order: Order) -> Outcome {
    let done = match order {
        Order::Servers => servers(answers).await.map(Outcome::Done),
        Order::Deprovision { server } => deprovision(answers, &server).await.map(Outcome::Done),
        Order::Reconfigure { server } => reconfigure(answers, &server).await.map(Outcome::Done),
        Order::Promote { leave_missing, even_though_primary_answers, user, password } => {
            let password = password.map(Password::new);
            let request = PromoteRequest { leave_missing, even_though_primary_answers, user, password };
            answers.promote(console(), request).await.map(|promoted| Outcome::Done(promoted.text()))
        }
        Order::Drill { json } => rehearsal::drill(answers, console(), json).await,
        Order::WhatIf { asked, json } => rehearsal::what_if(answers, &asked, json).await,
        Order::Return { server, json } => rehearsal::let_return(answers, console(), &server, json).await,
        Order::Licence { secondaries } => licence(answers, secondaries).await.map(Outcome::Done),
        Order::StartAnew => {
            answers.0.lives.start_anew();
            Ok(Outcome::Done("starting anew".to_owned()))
        }
    };
    done.unwrap_or_else(|problem| Outcome::Refused(said(&problem)))
}

/// Whoever may open the socket owns the service.
fn console() -> Actor {
    Actor { user: UserId::from("console"), role: UserRole::Admin, peer: std::net::Ipv4Addr::LOCALHOST.into() }
}

fn said(problem: &Problem) -> String {
    let fields = problem.fields.iter().map(|field| format!("{} {}", field.path.trim_start_matches('/'), field.message));
    [problem.detail.clone()].into_iter().chain(fields).collect::<Vec<_>>().join("; ")
}

async fn servers(answers: &Answers) -> Result<String, Problem> {
    let rows = answers.servers().await?;
    let line = |row: &ServerRow| {
        let role =
            if row.deprovisioned { "deprovisioned".to_owned() } else { format!("{:?}", row.role).to_lowercase() };
        format!("{:20} {:13} {:22} {} {}", row.name, role, row.mesh, row.id, row.text)
    };
    Ok(rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

pub(crate) async fn find(answers: &Answers, wanted: &str) -> Result<ServerRow, Problem> {
    let rows = answers.servers().await?;
    let is = |row: &ServerRow| row.id.to_string() == wanted || row.name == wanted;
    // Of two with one name the one that is still in is meant.
    let found = rows.iter().filter(|row| is(row)).min_by_key(|row| row.deprovisioned);
    found.cloned().ok_or_else(|| Problem::not_found("server", wanted))
}

async fn deprovision(answers: &Answers, wanted: &str) -> Result<String, Problem> {
    let row = find(answers, wanted).await?;
    let done = answers.deprovision(console(), row.id, row.name).await?;
    Ok(done.text())
}

async fn reconfigure(answers: &Answers, wanted: &str) -> Result<String, Problem> {
    let row = find(answers, wanted).await?;
    let at_once = answers.reconfigure(console(), row.id).await?;
    Ok(match at_once {
        true => format!("{} rebuilds its copy", row.name),
        false => format!("{} is not connected; it rebuilds its copy when it calls", row.name),
    })
}

async fn licence(answers: &Answers, secondaries: Option<u32>) -> Result<String, Problem> {
    let licence = match secondaries {
        None => answers.licence().await?,
        Some(secondaries) => answers.set_licence(console(), secondaries).await?,
    };
    let are = if licence.enrolled == 1 { "is" } else { "are" };
    Ok(format!("the licence allows {} secondaries, {} {are} enrolled", licence.secondaries, licence.enrolled))
}
