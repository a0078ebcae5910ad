//! The role `driver-worker`: the server's own program, with one driver in it and the host at the other end of a socket.

use std::{
    fs::File,
    io::{BufReader, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        resource::{Resource, setrlimit},
        signal::{Signal, kill},
    },
    unistd::{Pid, dup2_stdin},
};
use onealert_plugin_api::{
    abi::{self, HostArc},
    document::{Failure, Open},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    frame::{self, CONTROL, DOCUMENT},
    load::Loaded,
};

/// From the host to the worker itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "t")]
pub enum ToWorker {
    /// Open the driver; answered by `Ready` or `Fatal`.
    Open(Open),
}

/// From the worker itself to the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "t")]
pub enum FromWorker {
    /// The library is loaded and says this of itself.
    Hello {
        /// A description, as the library gave it.
        description: Value,
    },
    /// The driver is open.
    Ready,
    /// It cannot go on.
    Fatal {
        /// `load` or `open`, or the driver's own word.
        code: String,
        /// Why, for people.
        message: String,
    },
}

/// Runs the role. The library's path is the only argument; the socket is the standard input.
#[expect(clippy::print_stderr, reason = "the host reads what a worker says there, and writes it to its log")]
pub fn main(path: &Path) -> ExitCode {
    let socket = match take_socket() {
        Ok(socket) => socket,
        Err(error) => {
            eprintln!("driver-worker: the standard input is not the host's socket: {error}");
            return ExitCode::FAILURE;
        }
    };
    restrict();
    let Ok(reader) = socket.try_clone() else { return ExitCode::FAILURE };
    let mut reader = BufReader::new(reader);
    if let Err(error) = end_with_the_host(&socket) {
        eprintln!("driver-worker: the host cannot be watched: {error}");
        return ExitCode::FAILURE;
    }
    let out = Arc::new(Mutex::new(socket));
    let library = match Loaded::load(path) {
        Ok(library) => library,
        Err(message) => return fatal(&out, "load", message),
    };
    let description = match serde_json::from_slice::<Value>(&library.describe()) {
        Ok(description) => description,
        Err(error) => return fatal(&out, "load", format!("describe() gave no JSON: {error}")),
    };
    // A driver whose own types cannot be described says why in place of a description.
    if description.get("manifest").is_none() {
        if let Ok(failure) = serde_json::from_value::<Failure>(description) {
            return fatal(&out, &failure.code, format!("describe(): {}", failure.message));
        }
        return fatal(&out, "load", "describe() gave no manifest".to_owned());
    }
    say(&out, &FromWorker::Hello { description });
    let mut plugin = None;
    // A host that speaks something else is no host.
    while let Ok(Some((kind, body))) = frame::read(&mut reader) {
        match kind {
            CONTROL => match serde_json::from_slice(&body) {
                Ok(ToWorker::Open(open)) => {
                    let document = serde_json::to_vec(&open).expect("an open document is plain data");
                    match library.open(emitter(out.clone()), document) {
                        Ok(opened) => {
                            plugin = Some(opened);
                            say(&out, &FromWorker::Ready);
                        }
                        Err(failure) => {
                            let failure = serde_json::from_slice(&failure)
                                .unwrap_or_else(|_| Failure::new("open", String::from_utf8_lossy(&failure)));
                            return fatal(&out, &failure.code, failure.message);
                        }
                    }
                }
                Err(error) => return fatal(&out, "protocol", format!("a word of the host cannot be read: {error}")),
            },
            DOCUMENT => {
                if let Some(plugin) = &plugin {
                    abi::handle(plugin, body);
                }
            }
            _ => {}
        }
    }
    end()
}

/// The socket out of the standard input, which reads nothing from then on.
fn take_socket() -> std::io::Result<UnixStream> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    let socket = UnixStream::from(socket);
    socket.local_addr()?;
    Ok(socket)
}

/// What foreign code may not do to the machine, as far as the system lets us say so.
fn restrict() {
    // A core file of a large driver would delay the news of its end.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_no_new_privs();
    // When memory runs out the system takes a driver rather than the server.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

/// Ends this process as soon as the host is gone, whatever the driver is doing: a thread of its own, since the one that hands
/// documents to the driver may be held up by it.
fn end_with_the_host(socket: &UnixStream) -> std::io::Result<()> {
    let watched = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    watched.add(socket, EpollEvent::new(EpollFlags::EPOLLRDHUP, 0))?;
    let watch = move || {
        let mut seen = [EpollEvent::empty()];
        loop {
            match watched.wait(&mut seen, EpollTimeout::NONE) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => end(),
            }
        }
    };
    thread::Builder::new().name("host".to_owned()).spawn(watch).map(|_| ())
}

/// No exit handlers, which might be the driver's and might hang.
#[expect(clippy::disallowed_methods, reason = "a signal that does not arrive must not leave a worker behind")]
fn end() -> ! {
    let _ = kill(Pid::this(), Signal::SIGKILL);
    std::process::abort()
}

fn say(out: &Mutex<UnixStream>, word: &FromWorker) {
    let body = serde_json::to_vec(word).expect("words of the worker are plain data");
    send(out, CONTROL, &body);
}

fn fatal(out: &Mutex<UnixStream>, code: &str, message: String) -> ExitCode {
    say(out, &FromWorker::Fatal { code: code.to_owned(), message });
    ExitCode::FAILURE
}

/// Writes a frame. Without its host a worker has nothing to live for; the reading thread ends it.
fn send(out: &Mutex<UnixStream>, kind: u8, body: &[u8]) {
    let mut socket = out.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = frame::write(&mut *socket, kind, body);
    let _ = socket.flush();
}

/// The driver's way to the host.
fn emitter(out: Arc<Mutex<UnixStream>>) -> HostArc {
    abi::host(move |document: &[u8]| send(&out, DOCUMENT, document))
}
