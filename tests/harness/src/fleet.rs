//! An installation: a primary and secondaries that have joined it, with drivers in a folder that all of them see.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::{Addresses, Api, Lan, Network, Server, library, wait_for};

/// The first administrator of every fleet.
pub const ADMIN: &str = "admin";
/// Its password.
pub const PASSWORD: &str = "Demo-1234";

/// How a fleet is made.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// How many servers, the primary included.
    pub servers: u8,
    /// Packages whose libraries lie in the driver folder.
    pub drivers: Vec<&'static str>,
    /// Whether secondaries look into the same driver folder. If not theirs is empty, and files come from the primary.
    pub drivers_everywhere: bool,
    /// How long a returning server owns nothing, in seconds; 0 switches it off.
    pub hold_down_s: u64,
    /// The heartbeat interval in milliseconds.
    pub heartbeat_ms: u64,
    /// Whether the servers can be cut off from each other, with [`Fleet::network`].
    pub severable: bool,
    /// Whether each server has a network cable of its own, which can be pulled; needs what [`Lan::needs`] says.
    pub cables: bool,
    /// Further sections of every server's configuration file.
    pub sections: &'static str,
}

impl FleetOptions {
    /// For stories in which nobody is slow unless the story says so: the servers give each other four times the usual time. On a
    /// machine that also builds, a disk may take longer than the usual time to sync a file, and an owner that does not confirm
    /// in time is rightly replaced.
    pub fn patient() -> FleetOptions {
        FleetOptions { heartbeat_ms: 1000, ..FleetOptions::default() }
    }
}

impl Default for FleetOptions {
    fn default() -> FleetOptions {
        FleetOptions {
            servers: 3,
            drivers: vec!["plugin-algo", "plugin-cap"],
            drivers_everywhere: true,
            hold_down_s: 0,
            heartbeat_ms: 250,
            severable: false,
            cables: false,
            sections: "",
        }
    }
}

/// An installation.
pub struct Fleet {
    /// The primary first.
    pub servers: Vec<Server>,
    /// Their cables, if they have some.
    pub lan: Option<Lan>,
    /// After the servers, so that it goes after them.
    network: Option<Network>,
    options: FleetOptions,
    /// The first three numbers of the servers' addresses.
    prefix: String,
    /// Keeps other tests off them.
    _addresses: Addresses,
    folder: TempDir,
}

impl Fleet {
    /// Makes and starts an installation; returns when every secondary is in step with the primary.
    pub async fn start(options: FleetOptions) -> Fleet {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let drivers = folder.path().join("drivers");
        fs::create_dir_all(&drivers).expect("the driver folder");
        for package in &options.drivers {
            put_driver(&drivers, &library(package));
        }
        let lan = options.cables.then(|| Lan::new(options.servers));
        let addresses = Addresses::claim();
        let prefix = lan.as_ref().map_or(addresses.prefix(), Lan::network).to_owned();
        let (count, severable) = (options.servers, options.severable);
        let mut fleet =
            Fleet { servers: Vec::new(), lan, network: None, options, prefix, _addresses: addresses, folder };
        for _ in 0..count {
            fleet.add();
        }
        if severable {
            let address = |text: String| text.parse().expect("an address and a port");
            let route = |n: u8| (address(fleet.mesh(n)), address(format!("{}.{n}:7400", fleet.prefix)));
            let processes = fleet.servers.iter().map(Server::process).collect();
            fleet.network = Some(Network::new((1..=count).map(route).collect(), processes).await);
        }
        fleet.servers[0].start();
        for server in 1..fleet.servers.len() {
            fleet.must_join(server);
            fleet.servers[server].start();
        }
        fleet.in_step().await;
        fleet
    }

    /// One more server, neither joined nor started; gives its place in the list.
    pub fn add(&mut self) -> usize {
        let number = self.servers.len() as u8 + 1;
        let name = format!("pa-{number}");
        let address = format!("{}.{number}", self.prefix);
        let interface = if self.lan.is_some() { address.as_str() } else { "127.0.0.1" };
        let FleetOptions { heartbeat_ms, hold_down_s, sections, drivers_everywhere, .. } = self.options;
        let own = self.folder.path().join(&name).join("data/drivers");
        let drivers = if drivers_everywhere || number == 1 { self.drivers() } else { own };
        let config = format!(
            "name = \"{name}\"\ndata = \"data\"\ndrivers = \"{}\"\n\
             [listen]\nmesh = \"{address}:7400\"\nhttp = \"{address}:8080\"\nhttps = \"{address}:8443\"\n\
             allow_http_login = true\n\
             [advertise]\nmesh = \"{}\"\n\
             [media]\ninterface = \"{interface}\"\n\
             [timing]\nheartbeat_ms = {heartbeat_ms}\nhold_down_s = {hold_down_s}\n{sections}\n",
            drivers.display(),
            self.mesh(number),
        );
        let environment = [("ONEALERT_ADMIN_PASSWORD", PASSWORD)];
        let mut server = Server::new(&name, &self.folder.path().join(&name), &address, &config, &environment);
        if let Some(lan) = &self.lan {
            server.run_within(lan.enter(number));
        }
        self.servers.push(server);
        self.servers.len() - 1
    }

    /// Makes one more secondary and joins it to the primary; it is not started yet. Gives its place among the servers.
    ///
    /// # Panics
    /// The primary refuses it.
    pub fn join_another(&mut self) -> usize {
        let server = self.add();
        self.must_join(server);
        server
    }

    /// Joins a server to another one, which should be the primary; gives what the command printed.
    ///
    /// # Errors
    /// It was refused; the text is what the command printed.
    pub fn join(&self, server: usize, primary: usize) -> Result<String, String> {
        let primary = self.mesh(primary as u8 + 1);
        self.servers[server]
            .command(&["join", "--primary", &primary, "--user", ADMIN], &[("ONEALERT_PASSWORD", PASSWORD)])
    }

    fn must_join(&self, server: usize) {
        let name = &self.servers[server].name;
        self.join(server, 0).unwrap_or_else(|text| panic!("{name} could not join: {text}"));
    }

    /// Where the others find a server's mesh: itself, or the relay in front of it.
    fn mesh(&self, number: u8) -> String {
        let last = if self.options.severable { 100 + number } else { number };
        format!("{}.{last}:7400", self.prefix)
    }

    /// A folder for the test's own files, gone with the fleet.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The network between the servers.
    ///
    /// # Panics
    /// The fleet was not made severable.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("a fleet that is made severable")
    }

    /// Where drivers are put.
    pub fn drivers(&self) -> PathBuf {
        self.folder.path().join("drivers")
    }

    /// Asks one server.
    pub fn api(&self, server: usize) -> Api {
        Api::new(self.servers[server].base(), ADMIN, PASSWORD)
    }

    /// Waits until every running server sees every running server up and stands where the primary stands.
    pub async fn in_step(&self) {
        for index in 0..self.servers.len() {
            if !self.servers[index].runs() {
                continue;
            }
            let api = self.api(index);
            let running = self.servers.iter().filter(|server| server.runs()).count();
            wait_for("every server sees the others in step", Duration::from_secs(60), || async {
                let status = api.ask(http_client::Method::GET, "/api/v1/status", None).await.ok()?.json;
                let servers = status["servers"].as_array()?;
                let well = servers.iter().filter(|server| server["state"] == "ok" || server["this"] == true).count();
                let places: std::collections::BTreeSet<Option<u64>> = servers
                    .iter()
                    .filter(|server| server["state"] == "ok")
                    .map(|server| server["position"].as_u64())
                    .collect();
                (well >= running && places.len() == 1 && servers.len() >= running).then_some(())
            })
            .await;
        }
    }
}

/// Puts a library into a driver folder as installers do: another name first, then renamed.
pub fn put_driver(folder: &Path, library: &Path) {
    let name = library.file_name().expect("a file").to_string_lossy().into_owned();
    let unfinished = folder.join(format!(".{name}.tmp"));
    fs::copy(library, &unfinished).expect("copy the driver");
    fs::rename(&unfinished, folder.join(name)).expect("rename the driver");
}
