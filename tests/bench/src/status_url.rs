//! The balancer's question: how many a second one server answers, beside nginx with a file of the same length.
//!
//! Both are asked by the same callers over connections that stand, one after the other in turns, so that both meet the same
//! machine.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use harness::{Fleet, FleetOptions};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    Options,
    report::{Goal, Report},
    site::PATIENCE,
};

const PATH: &str = "/SA-Announce/RevolutionStatus";
const CALLERS: usize = 16;
const TURN: Duration = Duration::from_secs(2);

pub async fn run(options: Options) -> Report {
    let fleet = Fleet::start(FleetOptions { servers: 1, drivers: vec![], ..FleetOptions::default() }).await;
    let address = &fleet.servers[0].address;
    let ours: SocketAddr = format!("{address}:8080").parse().expect("an address");
    let nginx = Nginx::start(address);
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.unwrap_or(3) {
        mine.push(per_second(ours).await);
        if let Ok(nginx) = &nginx {
            theirs.push(per_second(nginx.address).await);
        }
    }
    let mut report = Report::new("status-url");
    report.note(format!("{CALLERS} connections, one question at a time on each; the callers share the processor"));
    let mine = middle(mine);
    report.figure("per_s", mine);
    match nginx {
        Ok(_) => {
            let theirs = middle(theirs);
            report.peer("nginx_per_s", theirs);
            report.judge("ratio", mine / theirs, Goal::AtLeast(0.5));
        }
        Err(missing) => report.skipped("the comparison with nginx", &missing),
    }
    report
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn per_second(address: SocketAddr) -> f64 {
    let (begun, mut callers) = (Instant::now(), JoinSet::new());
    for _ in 0..CALLERS {
        callers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.set_nodelay(true).expect("a TCP option");
            let question = format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            let (mut answers, mut held) = (0_u64, Vec::new());
            while begun.elapsed() < TURN {
                stream.write_all(question.as_bytes()).await.expect("it reads");
                answer(&mut stream, &mut held).await;
                answers += 1;
            }
            answers
        });
    }
    let answers: u64 = callers.join_all().await.into_iter().sum();
    answers as f64 / begun.elapsed().as_secs_f64()
}

/// Reads one whole answer; what was read beyond it stays in `held`.
async fn answer(stream: &mut TcpStream, held: &mut Vec<u8>) {
    loop {
        if let Some(head) = held.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&held[..head]).to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).expect("a length");
            if held.len() >= head + 4 + length {
                held.drain(..head + 4 + length);
                return;
            }
        }
        let read = stream.read_buf(held).await.expect("it answers");
        assert!(read > 0, "the server closed a connection under a question");
    }
}

/// nginx with one file, two worker processes, no log.
struct Nginx {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    fn start(address: &str) -> Result<Nginx, String> {
        let there = Command::new("nginx").arg("-v").output().is_ok_and(|output| output.status.success());
        if !there {
            return Err("nginx (Debian package nginx-light)".to_owned());
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("SA-Announce");
        fs::create_dir_all(&root).expect("a folder for the file");
        fs::write(root.join("RevolutionStatus"), "Primary Active\n").expect("the file");
        let place = folder.path().display();
        let config = format!(
            "daemon off; worker_processes 2; pid {place}/pid; error_log {place}/error.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; default_type text/plain; keepalive_requests 100000000; tcp_nodelay on;\n\
             client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;\n\
             uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
             server {{ listen {address}:8081; root {place}; }} }}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config).expect("its configuration");
        // Its workers run as another user when it is started by root.
        let _ = Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status();
        let process = Command::new("nginx")
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nginx: {error}"))?;
        let address = format!("{address}:8081").parse().expect("an address");
        let nginx = Nginx { process, address, _folder: folder };
        let begun = Instant::now();
        while std::net::TcpStream::connect(nginx.address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx listens");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its main process ends its workers; killing it would leave them.
        let process = nix::unistd::Pid::from_raw(self.process.id() as i32);
        let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
    }
}
