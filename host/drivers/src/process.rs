//! The host's end of one worker process: starts it, speaks with it, and says in words how it ended.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    os::fd::OwnedFd,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::sys::signal::Signal;
use onealert_plugin_api::document::{Call, Description, Failure, Open, Outcome, ToDriver, ToHost};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    net::{UnixStream, unix::OwnedReadHalf},
    process::{Child, Command},
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};

use crate::{
    frame::{self, CONTROL, DOCUMENT},
    outbox::Outbox,
    worker::{FromWorker, ToWorker},
};

/// Lines of a driver's own output that are passed on in a second; the rest is counted.
const LINES_PER_SECOND: u32 = 20;

/// What a worker says unasked.
#[derive(Debug)]
pub enum Said {
    /// An event, request or log line.
    Document(ToHost),
    /// A line on its standard output or error.
    Printed(String),
}

/// One running worker. Dropping the last handle ends it.
pub struct Worker {
    out: Outbox,
    pending: Arc<Mutex<Pending>>,
    control: tokio::sync::Mutex<mpsc::UnboundedReceiver<FromWorker>>,
    next: AtomicU64,
    pid: u32,
    ended: watch::Receiver<Option<String>>,
    kill: watch::Sender<Option<String>>,
    /// Calls past their deadline in a row that the driver itself did not answer.
    strikes: AtomicU64,
}

/// Calls that wait for an answer.
#[derive(Default)]
struct Pending {
    calls: BTreeMap<u64, (String, oneshot::Sender<Outcome>)>,
    /// It was told to stop and takes no more calls.
    finishing: bool,
    gone: bool,
}

impl Worker {
    /// Starts a worker on a library and waits until it has described itself.
    ///
    /// # Errors
    /// It could not be started, refused the library, crashed or took too long; the text completes `plugin <file>: `.
    pub async fn start(
        program: &(std::path::PathBuf, Vec<String>),
        library: &Path,
        within: Duration,
        said: mpsc::UnboundedSender<Said>,
    ) -> Result<(Arc<Worker>, Description), String> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|error| format!("no socket: {error}"))?;
        let mut child = Command::new(&program.0)
            .args(&program.1)
            .arg(library)
            .env_clear()
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the worker {} did not start: {error}", program.0.display()))?;
        ours.set_nonblocking(true).map_err(|error| format!("no socket: {error}"))?;
        let socket = UnixStream::from_std(ours).map_err(|error| format!("no socket: {error}"))?;
        let (reader, writer) = socket.into_split();
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(print(stdout, said.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(print(stderr, said.clone()));
        }
        let pending: Arc<Mutex<Pending>> = Arc::default();
        let (words, control) = mpsc::unbounded_channel();
        let (kill, killed) = watch::channel(None);
        let (end, ended) = watch::channel(None);
        let pid = child.id().unwrap_or_default();
        tokio::spawn(attend(child, reader, pending.clone(), words, said, killed, end));
        let worker = Arc::new(Worker {
            out: Outbox::new(writer),
            pending,
            control: tokio::sync::Mutex::new(control),
            next: AtomicU64::new(1),
            pid,
            ended,
            kill,
            strikes: AtomicU64::new(0),
        });
        let description = match worker.word(within).await {
            Ok(FromWorker::Hello { description }) => serde_json::from_value(description)
                .map_err(|error| format!("describe() gave no description: {error}"))?,
            Ok(FromWorker::Fatal { message, .. }) => return Err(message),
            Ok(FromWorker::Ready) => return Err("said ready before hello".to_owned()),
            Err(Some(end)) => return Err(format!("crashed while loading ({end})")),
            Err(None) => {
                worker.kill("did not load in time");
                return Err(format!("did not load within {} s", within.as_secs_f32()));
            }
        };
        Ok((worker, description))
    }

    /// The next word of the worker itself; its end in words, or nothing when it said nothing in time.
    async fn word(&self, within: Duration) -> Result<FromWorker, Option<String>> {
        let mut control = self.control.lock().await;
        match timeout(within, control.recv()).await {
            Ok(Some(word)) => Ok(word),
            Ok(None) => {
                drop(control);
                Err(Some(self.ended().await))
            }
            Err(_) => Err(None),
        }
    }

    /// Opens the driver.
    ///
    /// # Errors
    /// It refused the settings, crashed or took too long.
    pub async fn open(&self, open: Open, within: Duration) -> Result<(), Failure> {
        let body = serde_json::to_vec(&ToWorker::Open(open)).expect("an open document is plain data");
        self.out.send(frame::encode(CONTROL, &body));
        match self.word(within).await {
            Ok(FromWorker::Ready) => Ok(()),
            Ok(FromWorker::Fatal { code, message }) => Err(Failure { code, message }),
            Ok(FromWorker::Hello { .. }) => Err(Failure::new("protocol", "said hello twice")),
            Err(Some(end)) => Err(Failure::new("crashed", format!("crashed while opening ({end})"))),
            Err(None) => {
                self.kill("did not open in time");
                Err(Failure::new("timeout", format!("did not open within {} s", within.as_secs_f32())))
            }
        }
    }

    /// Asks the driver for something.
    ///
    /// # Errors
    /// The driver's own failure; `timeout` when it did not answer in time; `restarted` when its process ended under the call;
    /// `gone` or `stopping` when the process was not asked, because it has ended or takes no more calls.
    pub async fn call(
        &self,
        op: &str,
        activation: Option<String>,
        deadline: Duration,
        grace: Duration,
        body: Value,
    ) -> Result<Value, Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let deadline_ms = deadline.as_millis() as u64;
        let call = ToDriver::Call(Call { id, op: op.to_owned(), activation, deadline_ms, body });
        let answer = self.expect(id, op, &call)?;
        match timeout(deadline + grace, answer).await {
            Ok(Ok(outcome)) => {
                self.strikes.store(0, Ordering::Relaxed);
                match outcome {
                    Outcome::Ok(value) => Ok(value),
                    Outcome::Err(failure) => Err(failure),
                }
            }
            Ok(Err(_)) => Err(self.restarted().await),
            Err(_) => {
                self.pending.lock().unwrap_or_else(PoisonError::into_inner).calls.remove(&id);
                self.send(&ToDriver::Cancel { id });
                if self.strikes.fetch_add(1, Ordering::Relaxed) >= 1 {
                    self.kill(&format!("{op} was not answered twice"));
                }
                Err(Failure::new("timeout", format!("{op} was not answered within {deadline_ms} ms")))
            }
        }
    }

    /// A number for a call, request or ping that was not given out before.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the driver's own threads answer.
    pub async fn ping(&self, within: Duration) -> bool {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let Ok(answer) = self.expect(id, "ping", &ToDriver::Ping { id }) else { return false };
        let alive = timeout(within, answer).await.is_ok_and(|answer| answer.is_ok());
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).calls.remove(&id);
        alive
    }

    pub(crate) fn expect(&self, id: u64, op: &str, document: &ToDriver) -> Result<oneshot::Receiver<Outcome>, Failure> {
        let body = serde_json::to_vec(document).expect("documents are plain data with text keys");
        if body.len() >= frame::LIMIT {
            let text = format!("{op}: {} bytes are above the limit of {} for one call", body.len(), frame::LIMIT);
            return Err(Failure::new("too_long", text));
        }
        let (answer, answered) = oneshot::channel();
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.gone {
                return Err(Failure::new("gone", "the driver's process had ended before it was asked"));
            }
            if pending.finishing {
                return Err(Failure::new("stopping", "the driver's process takes no more calls"));
            }
            pending.calls.insert(id, (op.to_owned(), answer));
            // Sent while nobody else may say stop, so that no call follows it.
            self.out.send(frame::encode(DOCUMENT, &body));
        }
        Ok(answered)
    }

    async fn restarted(&self) -> Failure {
        Failure::new("restarted", format!("the driver's process ended: {}", self.ended().await))
    }

    /// Answers a driver's request.
    pub fn answer(&self, id: u64, outcome: Outcome) {
        self.send(&ToDriver::Answer { id, outcome });
    }

    /// Lets it finish what runs, then ends it.
    pub async fn finish(&self, within: Duration) {
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.finishing = true;
            self.send(&ToDriver::Stop);
        }
        let mut ended = self.ended.clone();
        if timeout(within, ended.wait_for(Option::is_some)).await.is_err() {
            self.kill("did not finish in time");
        }
    }

    pub(crate) fn send(&self, document: &ToDriver) {
        let body = serde_json::to_vec(document).expect("documents are plain data with text keys");
        self.out.send(frame::encode(DOCUMENT, &body));
    }

    /// Ends it at once, for this reason.
    pub fn kill(&self, why: &str) {
        self.kill.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    /// Waits for its end and says in words how it came.
    pub async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        end.ok().and_then(|end| end.clone()).unwrap_or_else(|| "no reason known".to_owned())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How much memory it uses, in bytes.
    pub fn memory(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?;
        let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * 4096)
    }
}

/// Reads what a worker says until it ends, then says how.
async fn attend(
    mut child: Child,
    reader: OwnedReadHalf,
    pending: Arc<Mutex<Pending>>,
    words: mpsc::UnboundedSender<FromWorker>,
    said: mpsc::UnboundedSender<Said>,
    mut killed: watch::Receiver<Option<String>>,
    end: watch::Sender<Option<String>>,
) {
    // A task of its own, so that a frame that is half read is not lost when something else happens first.
    let mut hearing = tokio::spawn(hear(reader, pending.clone(), words, said));
    let reason = tokio::select! {
        heard = &mut hearing => heard.unwrap_or_else(|error| Some(format!("reading it ended: {error}"))),
        gone = killed.changed() => match gone {
            Ok(()) => killed.borrow().clone(),
            // Nobody holds the worker any more.
            Err(_) => Some("no longer needed".to_owned()),
        },
    };
    hearing.abort();
    if reason.is_some() {
        let _ = child.start_kill();
    }
    let status = child.wait().await;
    let text = match (reason, status) {
        (Some(reason), _) => reason,
        (None, Ok(status)) => match (status.signal(), status.code()) {
            (Some(signal), _) => match Signal::try_from(signal) {
                Ok(signal) => format!("ended by {signal}"),
                Err(_) => format!("ended by signal {signal}"),
            },
            (None, Some(code)) => format!("exited with status {code}"),
            (None, None) => "ended".to_owned(),
        },
        (None, Err(error)) => format!("ended; {error}"),
    };
    let calls = {
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.gone = true;
        std::mem::take(&mut pending.calls)
    };
    let during = calls.values().map(|(op, _)| op.as_str()).find(|op| *op != "ping");
    let text = during.map_or_else(|| text.clone(), |op| format!("{text} during {op}"));
    end.send_replace(Some(text));
    // Answers are dropped after the end is known, so that those who wait can say it.
    drop(calls);
}

/// Takes in what a worker says, answers to calls at once; says why it has to be ended, or nothing when it went by itself.
async fn hear(
    reader: OwnedReadHalf,
    pending: Arc<Mutex<Pending>>,
    words: mpsc::UnboundedSender<FromWorker>,
    said: mpsc::UnboundedSender<Said>,
) -> Option<String> {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    loop {
        match next(&mut reader).await {
            Ok(Some((DOCUMENT, body))) => match serde_json::from_slice::<ToHost>(&body) {
                Ok(ToHost::Reply { id, outcome }) => {
                    let waiting = pending.lock().unwrap_or_else(PoisonError::into_inner).calls.remove(&id);
                    if let Some((_, answer)) = waiting {
                        // The caller may have given up.
                        let _ = answer.send(outcome);
                    }
                }
                Ok(ToHost::Stopped) => return Some("finished".to_owned()),
                Ok(document) => drop(said.send(Said::Document(document))),
                Err(error) => return Some(format!("sent a document that cannot be read: {error}")),
            },
            Ok(Some((CONTROL, body))) => match serde_json::from_slice(&body) {
                Ok(word) => drop(words.send(word)),
                Err(error) => return Some(format!("sent a word that cannot be read: {error}")),
            },
            Ok(Some(_)) => {}
            Ok(None) => return None,
            // A process that is killed with frames unread resets the connection, or leaves half a frame: how it
            // ended says more.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => return None,
            Err(error) => return Some(format!("its connection failed: {error}")),
        }
    }
}

async fn next(reader: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<(u8, Vec<u8>)>> {
    if reader.fill_buf().await?.is_empty() {
        return Ok(None);
    }
    let mut head = [0; 4];
    reader.read_exact(&mut head).await?;
    let kind = reader.read_u8().await?;
    let mut body = vec![0; frame::length(head)?];
    reader.read_exact(&mut body).await?;
    Ok(Some((kind, body)))
}

/// Passes on lines that the driver prints, a bounded number a second.
async fn print(from: impl AsyncRead + Unpin, said: mpsc::UnboundedSender<Said>) {
    let mut from = BufReader::new(from);
    let (mut second, mut count, mut left_out) = (Instant::now(), 0, 0u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut from).take(4096).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if second.elapsed() >= Duration::from_secs(1) {
            if left_out > 0 {
                let _ = said.send(Said::Printed(format!("{left_out} more lines were left out")));
            }
            (second, count, left_out) = (Instant::now(), 0, 0);
        }
        count += 1;
        if count > LINES_PER_SECOND {
            left_out += 1;
        } else {
            let _ = said.send(Said::Printed(String::from_utf8_lossy(&line).trim_end().to_owned()));
        }
    }
}
