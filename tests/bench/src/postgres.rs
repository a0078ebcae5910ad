//! PostgreSQL beside us: a primary and a streaming standby of the installed version, in folders of their own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::samples::Samples;

const PATIENCE: Duration = Duration::from_secs(60);

/// From the answer to a commit until its log is synced on the standby.
///
/// # Errors
/// What is missing on this machine.
pub fn replication(changes: usize, per_second: u32) -> Result<Samples, String> {
    let pair = Pair::start(0)?;
    let mut primary = Shell::open(&pair.primary);
    let mut standby = Shell::open(&pair.standby());
    primary.ask("CREATE TABLE bells (id int PRIMARY KEY, name text)");
    primary.ask("INSERT INTO bells VALUES (1, 'Bell')");
    let mut lag = Samples::default();
    let step = Duration::from_secs(1) / per_second;
    let begun = Instant::now();
    for number in 0..changes {
        std::thread::sleep((begun + step * number as u32).saturating_duration_since(Instant::now()));
        primary.ask(&format!("UPDATE bells SET name = 'Bell {number}' WHERE id = 1"));
        let committed = Instant::now();
        let written = position(&primary.ask("SELECT pg_current_wal_lsn()"));
        while position(&standby.ask("SELECT pg_last_wal_receive_lsn()")) < written {
            assert!(committed.elapsed() < PATIENCE, "the standby follows");
        }
        lag.add(committed.elapsed());
    }
    Ok(lag)
}

/// From the decision to add a standby until it answers from all of `rows` rows.
///
/// # Errors
/// What is missing on this machine.
pub fn new_standby(rows: usize) -> Result<Duration, String> {
    let mut pair = Pair::start(rows)?;
    // The standby of the start was for practice, so that the files are in memory as ours are.
    pair.replace_standby();
    let begun = Instant::now();
    pair.add_standby();
    let mut standby = Shell::open(&pair.standby());
    let count = standby.ask("SELECT count(*) FROM endpoints");
    assert_eq!(count, rows.to_string(), "the standby has all rows");
    Ok(begun.elapsed())
}

/// A position in the log as one number; the text is two hexadecimal numbers with a stroke between them.
fn position(text: &str) -> u64 {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
    text.split_once('/').map_or(0, |(high, low)| number(high) << 32 | number(low))
}

struct Pair {
    folder: TempDir,
    programs: PathBuf,
    primary: Place,
    servers: Vec<Child>,
}

/// Where a server is reached.
#[derive(Clone)]
struct Place {
    folder: PathBuf,
    port: u16,
}

impl Pair {
    fn start(rows: usize) -> Result<Pair, String> {
        let programs = programs().ok_or("PostgreSQL (Debian package postgresql)")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        if nix::unistd::geteuid().is_root() {
            // The server refuses to run as root.
            let owner = format!("{USER}:");
            let given = Command::new("chown").arg(&owner).arg(folder.path()).status();
            if !given.is_ok_and(|status| status.success()) {
                return Err(format!("the user {USER}, since PostgreSQL does not run as root"));
            }
        }
        let primary = Place { folder: folder.path().to_owned(), port: 5432 };
        let mut pair = Pair { folder, programs, primary, servers: Vec::new() };
        pair.tool("initdb", &["-D", &pair.data("primary"), "-U", USER, "-A", "trust"]);
        pair.serve("primary", 5432);
        let mut shell = Shell::open(&pair.primary);
        if rows > 0 {
            shell.ask("CREATE TABLE endpoints (key text PRIMARY KEY, document text)");
            let text = "{\"address\":{\"file\":\"' || n || '.txt\"},\"name\":\"Speaker ' || n || '\"}";
            shell.ask(&format!(
                "INSERT INTO endpoints SELECT 'endpoint-' || n, '{text}' FROM generate_series(1, {rows}) n"
            ));
        }
        drop(shell);
        pair.add_standby();
        Ok(pair)
    }

    fn data(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn standby(&self) -> Place {
        Place { port: 5433, ..self.primary.clone() }
    }

    fn add_standby(&mut self) {
        let (data, socket) = (self.data("standby"), self.primary.folder.display().to_string());
        self.tool("pg_basebackup", &["-D", &data, "-R", "-c", "fast", "-h", &socket, "-p", "5432", "-U", USER]);
        self.serve("standby", 5433);
        Shell::open(&self.standby());
    }

    fn replace_standby(&mut self) {
        end(self.servers.pop().expect("the standby runs"));
        fs::remove_dir_all(self.data("standby")).expect("its folder");
    }

    fn serve(&mut self, name: &str, port: u16) {
        let mut command = self.command("postgres");
        let socket = self.folder.path().display().to_string();
        command.args(["-D", &self.data(name), "-p", &port.to_string(), "-k", &socket, "-c", "listen_addresses="]);
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts");
        self.servers.push(server);
    }

    fn tool(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().expect("the program starts");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = Command::new("setpriv");
        if nix::unistd::geteuid().is_root() {
            command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(path);
        } else {
            command = Command::new(path);
        }
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for server in self.servers.drain(..).rev() {
            end(server);
        }
    }
}

/// Ends a server that we started, at once and in good order.
fn end(mut server: Child) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(server.id() as i32), nix::sys::signal::Signal::SIGINT);
    let _ = server.wait();
}

/// The user that Debian's package makes, and the name of the database's administrator.
const USER: &str = "postgres";

/// The folder of the newest installed version's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let newest = versions.max_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0))?;
    let programs = newest.path().join("bin");
    programs.join("pg_basebackup").exists().then_some(programs)
}

/// A conversation with a server through psql: one question, one line.
struct Shell {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Shell {
    /// Opens one as soon as the server answers.
    fn open(place: &Place) -> Shell {
        let begun = Instant::now();
        loop {
            let mut shell = Shell::spawn(&place.folder, place.port);
            if shell.try_ask("SELECT 1").as_deref() == Some("1") {
                return shell;
            }
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL answers");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn spawn(folder: &Path, port: u16) -> Shell {
        let mut child = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-U", USER, "-d", "postgres", "-p", &port.to_string(), "-h"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql comes with the server");
        let to = child.stdin.take().expect("it is a pipe");
        let from = BufReader::new(child.stdout.take().expect("it is a pipe"));
        Shell { child, to, from }
    }

    /// The last line of the answer before our own mark.
    fn try_ask(&mut self, question: &str) -> Option<String> {
        writeln!(self.to, "{question};\n\\echo done").ok()?;
        self.to.flush().ok()?;
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            match self.from.read_line(&mut line) {
                Ok(0) | Err(_) => return None,
                Ok(_) if line.trim() == "done" => return Some(answer),
                Ok(_) => answer = line.trim().to_owned(),
            }
        }
    }

    fn ask(&mut self, question: &str) -> String {
        self.try_ask(question).unwrap_or_else(|| panic!("PostgreSQL ended during {question}"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_compare_as_numbers() {
        assert!(position("0/9") < position("0/10"));
        assert!(position("0/FFFFFFFF") < position("1/0"));
        assert_eq!(position(""), 0);
    }
}
