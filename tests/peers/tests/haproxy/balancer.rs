//! A real HAProxy in front of real servers, with the very configuration files that the guide hands out, and a caller behind it
//! that never stops asking.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use harness::{Fleet, FleetOptions, wait_for};
use tempfile::TempDir;

/// The path that balancers ask. Its one line also says which server answered.
pub const STATUS: &str = "/SA-Announce/RevolutionStatus";
/// A page that every server shows whatever its state.
pub const PAGE: &str = "/login";
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Who looks for the first answer of another server does not wait for one that hangs.
const GLANCE: Duration = Duration::from_millis(500);

/// Two servers behind a balancer.
pub struct Site {
    pub fleet: Fleet,
    pub address: String,
    socket: PathBuf,
    child: Child,
    _folder: TempDir,
}

/// Whether HAProxy can be run here.
pub fn installed() -> bool {
    let found = Command::new("haproxy").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.as_ref().is_ok_and(|status| status.success()) {
        println!("SKIPPED: haproxy is not installed; what a load balancer sees was not tried");
        return false;
    }
    true
}

impl Site {
    /// Starts servers, and HAProxy with one of the guide's files.
    pub async fn start(file: &str) -> Site {
        let options = FleetOptions { servers: 2, drivers: Vec::new(), ..FleetOptions::default() };
        let fleet = Fleet::start(options).await;
        let (first, second) = (&fleet.servers[0].address, &fleet.servers[1].address);
        let address = format!("{}.200", first.rsplit_once('.').expect("an address").0);
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../installer/haproxy").join(file);
        let guide = fs::read_to_string(&guide).expect("the guide's configuration");
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("haproxy.sock");
        // Only addresses and ports differ from what the guide hands out.
        let text = guide
            .replace("PRIMARY:80", &format!("{first}:8080"))
            .replace("SECONDARY:80", &format!("{second}:8080"))
            .replace("PRIMARY:443", &format!("{first}:8443"))
            .replace("SECONDARY:443", &format!("{second}:8443"))
            .replace("bind :80", &format!("bind {address}:8080"))
            .replace("bind :443", &format!("bind {address}:8443"));
        let text = format!("global\n    stats socket {} level admin\n\n{text}", socket.display());
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, text).expect("the balancer's configuration");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("haproxy starts");
        let site = Site { fleet, address, socket, child, _folder: folder };
        for name in ["s1_http", "s2_http", "s1_https", "s2_https"] {
            // A server counts as up before it was asked for the first time.
            wait_for(&format!("haproxy has asked {name}"), PATIENCE, || async {
                site.seen(name)?.1.ends_with("OK").then_some(())
            })
            .await;
        }
        site
    }

    /// What HAProxy thinks of one of its servers: `UP`, `NOLB`, `DOWN`, with what its last check saw.
    pub fn seen(&self, name: &str) -> Option<(String, String)> {
        let [status, check] = self.columns(name, ["status", "check_status"])?;
        // A star says that a check runs while this is asked.
        Some((status.split(' ').next()?.to_owned(), check.trim_start_matches("* ").to_owned()))
    }

    /// How often HAProxy has given up one of its servers.
    pub fn downs(&self, name: &str) -> u32 {
        let [downs] = self.columns(name, ["chkdown"]).expect("haproxy tells how its servers are");
        downs.parse().expect("a number")
    }

    /// What HAProxy's statistics say of one of its servers.
    fn columns<const N: usize>(&self, name: &str, columns: [&str; N]) -> Option<[String; N]> {
        let mut socket = UnixStream::connect(&self.socket).ok()?;
        socket.write_all(b"show stat\n").ok()?;
        let mut text = String::new();
        socket.read_to_string(&mut text).ok()?;
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next()?.trim_start_matches("# ").split(',').collect();
        let column = |name: &str| head.iter().position(|column| *column == name);
        let who = column("svname")?;
        let row: Vec<&str> = lines.map(|line| line.split(',').collect::<Vec<_>>()).find(|row| row[who] == name)?;
        let asked: Option<Vec<String>> = columns.iter().map(|name| Some(row[column(name)?].to_owned())).collect();
        asked?.try_into().ok()
    }

    /// Waits until HAProxy thinks so of a server.
    pub async fn server_is(&self, name: &str, state: &str) {
        wait_for(&format!("haproxy sees {name} {state}"), PATIENCE, || async {
            (self.seen(name)?.0 == state).then_some(())
        })
        .await;
    }

    /// Waits until HTTP is answered by the server whose status line begins so; says how long that took.
    pub async fn answered_by(&self, role: &str) -> Duration {
        let begun = Instant::now();
        wait_for(&format!("answers of the {role}"), PATIENCE, || async {
            said(&format!("{}:8080", self.address))
                .await
                .ok()
                .filter(|(status, body)| *status == 200 && body.starts_with(role))
                .map(drop)
        })
        .await;
        begun.elapsed()
    }

    /// Someone who asks for a page, again and again, until stopped.
    pub fn caller(&self) -> Caller {
        Caller::start(format!("{}:8080", self.address))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the status URL says at an address, asked without much patience.
pub async fn said(address: &str) -> std::io::Result<(u16, String)> {
    let address = address.to_owned();
    tokio::task::spawn_blocking(move || ask(&address, STATUS, GLANCE)).await.expect("asking does not panic")
}

/// One request on a connection of its own.
pub fn ask(address: &str, path: &str, patience: Duration) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((status, text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()))
}

/// Asks without pause.
pub struct Caller {
    stop: Arc<AtomicBool>,
    failed: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<usize>,
}

impl Caller {
    #[expect(clippy::disallowed_methods, reason = "a thread of its own, which asks as a person would")]
    fn start(address: String) -> Caller {
        let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<String>>>::default());
        let (stopped, failures) = (stop.clone(), failed.clone());
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                count += 1;
                let wrong = match ask(&address, PAGE, PATIENCE) {
                    Ok((200, _)) => None,
                    Ok((status, _)) => Some(format!("request {count}: status {status}")),
                    Err(error) => Some(format!("request {count}: {error}")),
                };
                failures.lock().unwrap_or_else(PoisonError::into_inner).extend(wrong);
                std::thread::sleep(Duration::from_millis(5));
            }
            count
        });
        Caller { stop, failed, thread }
    }

    /// How many requests were made, and what became of those that failed.
    pub fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let count = self.thread.join().expect("the caller does not panic");
        (count, std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
