//! A network with a cable for every server: one namespace each, joined by a bridge on which this process sits too.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// How many networks there are to choose from, and how many of them are tried.
const NETWORKS: u32 = 128 * 250;
const TRIES: u32 = 20;

/// The network. Gone when dropped.
#[derive(Debug)]
pub struct Lan {
    /// The first three numbers of every address.
    network: String,
    /// What all its names begin with; short, because a network interface's name has 15 letters at most.
    mark: String,
    servers: u8,
}

impl Lan {
    /// What is missing on this machine, for a line that says why something is left out.
    pub fn needs() -> Option<&'static str> {
        if !nix::unistd::geteuid().is_root() {
            return Some("root, for network namespaces");
        }
        let works = Command::new("ip").arg("-V").output().is_ok_and(|output| output.status.success());
        (!works).then_some("the program ip (Debian package iproute2)")
    }

    /// Lays the cables.
    ///
    /// # Panics
    /// The system refuses; ask [`Lan::needs`] before.
    pub fn new(servers: u8) -> Lan {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // One whose bridge is there already is another program's, or was left behind by one.
        let mut refused = String::new();
        let lan = (0..TRIES).find_map(|_| {
            let number =
                std::process::id().wrapping_mul(41).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(97));
            // Names and addresses belong together: who has the name has the network.
            let number = number % NETWORKS;
            let network = format!("10.{}.{}", 64 + number / 250, 1 + number % 250);
            let mark = format!("oa{number:05x}");
            match try_ip(&["link", "add", &bridge(&mark), "type", "bridge", "mcast_snooping", "0"]) {
                Ok(()) => Some(Lan { network, mark, servers }),
                Err(text) => {
                    refused = text;
                    None
                }
            }
        });
        let lan = lan.unwrap_or_else(|| panic!("no network of {TRIES} could be laid; the last: {refused}"));
        let bridge = lan.bridge();
        ip(&["address", "add", &format!("{}/24", lan.host()), "dev", &bridge]);
        ip(&["link", "set", &bridge, "up"]);
        for server in 1..=servers {
            let (space, here) = (lan.space(server), lan.plug(server));
            ip(&["netns", "add", &space]);
            let inside = |arguments: &[&str]| ip(&[&["-n", space.as_str()], arguments].concat());
            ip(&["link", "add", &here, "type", "veth", "peer", "name", "eth0", "netns", &space]);
            ip(&["link", "set", &here, "master", &bridge, "up"]);
            inside(&["link", "set", "lo", "up"]);
            inside(&["address", "add", &format!("{}.{server}/24", lan.network), "dev", "eth0"]);
            inside(&["link", "set", "eth0", "up"]);
            inside(&["route", "add", "default", "via", &lan.host()]);
        }
        lan
    }

    /// The first three numbers of every address; a server's last number is its own.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Where this process is reached from the servers.
    pub fn host(&self) -> String {
        format!("{}.254", self.network)
    }

    /// The command by which a server's process gets its end of the cable; servers count from 1.
    pub fn enter(&self, server: u8) -> Vec<String> {
        ["ip", "netns", "exec", &self.space(server)].map(str::to_owned).to_vec()
    }

    /// Pulls a server's cable.
    pub fn pull(&self, server: u8) {
        ip(&["link", "set", &self.plug(server), "down"]);
    }

    /// Puts a server's cable back.
    pub fn plug_in(&self, server: u8) {
        ip(&["link", "set", &self.plug(server), "up"]);
    }

    fn bridge(&self) -> String {
        bridge(&self.mark)
    }

    fn space(&self, server: u8) -> String {
        format!("{}s{server}", self.mark)
    }

    fn plug(&self, server: u8) -> String {
        format!("{}p{server}", self.mark)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for server in 1..=self.servers {
            let _ = Command::new("ip").args(["netns", "delete", &self.space(server)]).output();
            let _ = Command::new("ip").args(["link", "delete", &self.plug(server)]).output();
        }
        let _ = Command::new("ip").args(["link", "delete", &self.bridge()]).output();
    }
}

fn bridge(mark: &str) -> String {
    format!("{mark}br")
}

fn ip(arguments: &[&str]) {
    try_ip(arguments).unwrap_or_else(|text| panic!("{text}"));
}

fn try_ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().expect("the program ip is installed");
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
