//! One server process.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{atomic::Ordering, mpsc},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    build::onealert,
    relay::{ProcessCell, STARTING},
};

/// How long a server may take to say that it is ready.
const READY: Duration = Duration::from_secs(60);

/// How long its threads may take to stop: each needs a processor to stop on.
const STOPS: Duration = Duration::from_secs(30);

/// One server process; killed when dropped.
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its configuration file.
    pub config: PathBuf,
    /// Its loopback address.
    pub address: String,
    /// What it said at its start.
    pub said: Vec<String>,
    child: Option<Child>,
    process: ProcessCell,
    log: PathBuf,
    environment: Vec<(String, String)>,
    within: Vec<String>,
}

impl Server {
    /// A server that is not started yet. `folder` holds its data and its log.
    pub fn new(name: &str, folder: &Path, address: &str, config: &str, environment: &[(&str, &str)]) -> Server {
        fs::create_dir_all(folder).expect("a folder for the server");
        let file = folder.join("onealert.toml");
        fs::write(&file, config).expect("the server's configuration file");
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Server {
            name: name.to_owned(),
            config: file,
            address: address.to_owned(),
            said: Vec::new(),
            child: None,
            process: ProcessCell::default(),
            log: folder.join("log"),
            environment: environment.iter().map(owned).collect(),
            within: Vec::new(),
        }
    }

    /// Sets a variable of its environment from the next start on; `None` takes it away.
    pub fn set_environment(&mut self, name: &str, value: Option<&str>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// The site's fingerprint, as it printed it at its start.
    ///
    /// # Panics
    /// It was not started yet.
    pub fn fingerprint(&self) -> String {
        let line = self.said.iter().find_map(|line| line.split_once("fingerprint "));
        line.unwrap_or_else(|| panic!("{} printed no fingerprint", self.name)).1.trim().to_owned()
    }

    /// Has its commands run by another program, such as one that enters a network namespace. The process stays the
    /// server's own: that program must replace itself by what it is given.
    pub fn run_within(&mut self, program: Vec<String>) {
        self.within = program;
    }

    fn program(&self) -> Command {
        let program = onealert();
        let Some((first, rest)) = self.within.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }

    /// Base URL of its pages.
    pub fn base(&self) -> String {
        format!("http://{}:8080", self.address)
    }

    /// Runs another command of the program with this server's file and waits for it; gives its output.
    ///
    /// # Errors
    /// It failed; the text is what it printed.
    pub fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
        let (status, out, err) = self.verdict(arguments, environment);
        if status == Some(0) { Ok(out + &err) } else { Err(out + &err) }
    }

    /// The same, with its exit status (`None`: a signal ended it), what it printed, and what it said of errors.
    pub fn verdict(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let (first, rest) = arguments.split_first().expect("a command");
        let output = self
            .program()
            .arg(first)
            .arg("--config")
            .arg(&self.config)
            .args(rest)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Starts it and waits until it is ready; says how long that took.
    ///
    /// # Panics
    /// It did not become ready; the text is its log.
    pub fn start(&mut self) -> Duration {
        // Built before the time counts.
        let program = self.program();
        let begun = Instant::now();
        let said = self.begin_with(program);
        loop {
            match said.recv_timeout(READY.saturating_sub(begun.elapsed())) {
                Ok(line) => {
                    let ready = line.starts_with("ready");
                    self.said.push(line);
                    if ready {
                        return begun.elapsed();
                    }
                }
                Err(_) => panic!("{} did not become ready; its log says:\n{}", self.name, self.log()),
            }
        }
    }

    /// Starts it and waits for nothing; what it says comes out of the channel, which has to be kept for as long as it runs.
    pub fn begin(&mut self) -> mpsc::Receiver<String> {
        let program = self.program();
        self.begin_with(program)
    }

    fn begin_with(&mut self, mut program: Command) -> mpsc::Receiver<String> {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).expect("the server's log");
        self.process.store(STARTING, Ordering::Release);
        let mut child = program
            .args(["run", "--config"])
            .arg(&self.config)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let out = child.stdout.take().expect("its output is a pipe");
        let (lines, said) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        self.process.store(child.id() as i32, Ordering::Release);
        self.child = Some(child);
        self.said.clear();
        said
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        Pid::from_raw(child.id() as i32)
    }

    /// Its process, whichever it is at the time.
    pub(crate) fn process(&self) -> ProcessCell {
        self.process.clone()
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        let _ = kill(self.pid(), Signal::SIGKILL);
        self.reap();
    }

    /// Stops its processor time: when this returns it neither answers nor closes anything.
    ///
    /// # Panics
    /// It does not stop.
    pub fn pause(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("the process is ours");
        let until = Instant::now() + STOPS;
        // Seen on a busy machine: one that was told to stop still answered for a moment.
        while !self.stands_still() {
            assert!(Instant::now() < until, "{} was told to stand still {STOPS:?} ago and does not", self.name);
            #[expect(clippy::disallowed_methods, reason = "a moment, and the caller must not go on before")]
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether none of its threads runs.
    fn stands_still(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the process is ours");
        // A thread that ended meanwhile has no state any more.
        let states = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
        states.into_iter().all(|stat| state(&stat).next() == Some("T"))
    }

    /// Lets it run again after a pause.
    pub fn wake(&self) {
        kill(self.pid(), Signal::SIGCONT).expect("the process is ours");
    }

    /// Asks it to stop in good order and waits for its end; says whether it ended well.
    pub fn stop(&mut self) -> bool {
        let _ = kill(self.pid(), Signal::SIGTERM);
        self.reap()
    }

    /// Asks it to stop and waits for nothing.
    pub fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).expect("the process is ours");
    }

    /// Asks every process of the server to stop, its drivers' first, as a service manager does that ends a whole service, or a
    /// terminal in which it runs; waits for nothing.
    ///
    /// # Panics
    /// It does not run.
    pub fn terminate_with_workers(&self) {
        let server = self.pid();
        let processes = fs::read_dir("/proc").expect("the system lists its processes").flatten();
        let all = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for worker in all.map(Pid::from_raw).filter(|process| parent(*process) == Some(server)) {
            // One that has ended meanwhile needs no word.
            let _ = kill(worker, Signal::SIGTERM);
        }
        self.terminate();
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("the process is ours")?;
        self.child = None;
        self.process.store(0, Ordering::Release);
        Some(status)
    }

    fn reap(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return false };
        self.process.store(0, Ordering::Release);
        child.wait().is_ok_and(|status| status.success())
    }
}

/// The state of a process or thread, its parent, and so on, from its `stat` file: what follows the name, which is in brackets
/// and may hold anything.
fn state(stat: &str) -> std::str::SplitAsciiWhitespace<'_> {
    stat.rsplit(") ").next().unwrap_or_default().split_ascii_whitespace()
}

fn parent(process: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    state(&stat).nth(1)?.parse().ok().map(Pid::from_raw)
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- last lines of {}:\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        if self.runs() {
            self.wake();
            self.kill();
        }
    }
}
