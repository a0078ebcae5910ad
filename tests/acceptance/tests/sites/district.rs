//! The district of the redundancy guide: an office and two schools, each with a server, a bell of its own, and an order in
//! which the others ring it.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream, UdpSocket},
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use harness::{Api, Fleet, FleetOptions, wait_for};
use serde_json::{Value, json};

const DRIVER: &str = "org.onealert.skeleton";
const LONG: Duration = Duration::from_secs(60);
/// How often a bell is rung before it counts that somebody else rings it.
const TRIES: usize = 5;

/// A site and its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    Office,
    Elementary,
    High,
}

impl Site {
    pub const ALL: [Site; 3] = [Site::Office, Site::Elementary, Site::High];

    /// The display name of its server.
    pub fn name(self) -> &'static str {
        ["DistrictOffice", "Elementary", "HighSchool"][self as usize]
    }
}

pub struct District {
    pub fleet: Fleet,
    ids: Vec<String>,
}

impl District {
    /// Three servers with their names, DEFAULT and a group for each school, three bells.
    pub async fn start() -> District {
        District::start_on(FleetOptions::patient()).await
    }

    /// The same with servers that are made otherwise.
    pub async fn start_on(options: FleetOptions) -> District {
        let options = FleetOptions { drivers: vec!["plugin-skeleton"], ..options };
        let fleet = Fleet::start(options).await;
        let api = fleet.api(0);
        let status = api.get("/api/v1/status").await;
        let ids: Vec<String> = fleet
            .servers
            .iter()
            .map(|server| {
                let found = status["servers"].as_array().expect("servers").iter().find(|it| it["name"] == server.name);
                found.and_then(|it| it["id"].as_str()).expect("every server is in the status").to_owned()
            })
            .collect();
        let district = District { fleet, ids };
        for site in Site::ALL {
            api.put(&format!("/api/v1/servers/{}", district.id(site)), json!({"name": site.name()})).await;
        }
        let [office, elementary, high] = Site::ALL.map(|site| district.id(site));
        let orders = [
            ("DEFAULT", "DEFAULT", [&office, &elementary, &high]),
            ("elementary-group", "ElementaryGroup", [&elementary, &high, &office]),
            ("high-group", "HighSchoolGroup", [&high, &elementary, &office]),
        ];
        for (id, name, servers) in orders {
            api.put(&format!("/api/v1/groups/{id}"), json!({"name": name, "servers": servers})).await;
        }
        api.enable(DRIVER, json!({})).await;
        for (bell, group) in
            [("office-bell", "DEFAULT"), ("elementary-bell", "elementary-group"), ("high-bell", "high-group")]
        {
            district.add_bell(bell, group, json!({"file": format!("{bell}.txt")}), json!({"kind": "none"})).await;
        }
        district.in_order().await;
        district
    }

    async fn add_bell(&self, bell: &str, group: &str, address: Value, audio: Value) {
        let api = self.api(Site::Office);
        api.post("/api/v1/triggers", json!({"id": bell, "name": bell, "group": group})).await;
        api.post("/api/v1/endpoints", json!({"id": bell, "name": bell, "driver": DRIVER, "address": address})).await;
        let message = json!({"title": bell, "hold_seconds": 0, "audio": audio});
        let notification =
            json!({"id": bell, "name": bell, "triggers": [bell], "endpoints": [bell], "message": message});
        api.post("/api/v1/notifications", notification).await;
    }

    /// Waits until every running server is in step and its driver runs.
    async fn in_order(&self) {
        self.fleet.in_step().await;
        for site in Site::ALL.into_iter().filter(|site| self.fleet.servers[*site as usize].runs()) {
            let api = self.api(site);
            wait_for("the driver runs on every server, as every server sees it", LONG, || async {
                let status = api.try_get("/api/v1/status").await?;
                let servers = status["servers"].as_array()?;
                let well = servers.iter().filter(|server| server["drivers"][0]["state"] == "ok").count();
                let running = self.fleet.servers.iter().filter(|server| server.runs()).count();
                (well >= running).then_some(())
            })
            .await;
        }
    }

    pub fn id(&self, site: Site) -> String {
        self.ids[site as usize].clone()
    }
    pub fn api(&self, site: Site) -> Api {
        self.fleet.api(site as usize)
    }
    pub fn address(&self, site: Site) -> String {
        self.fleet.servers[site as usize].address.clone()
    }

    /// Kills a site's server; the others notice by themselves.
    pub fn kill(&mut self, site: Site) {
        self.fleet.servers[site as usize].kill();
    }

    pub async fn start_again(&mut self, site: Site) {
        self.fleet.servers[site as usize].start();
        self.in_order().await;
    }

    /// Presses a bell's button at one site until a certain site's server rings it, alone. On a busy machine an owner that does
    /// not confirm in time is rightly replaced; somebody else every time, or two every time, is a fault.
    pub async fn rung_by(&self, heard: Site, bell: &str, by: Site) {
        let mut rang = Vec::new();
        while rang.len() < TRIES {
            rang.push(self.ring(heard, bell).await);
            if rang.last() == Some(&vec![by]) {
                return;
            }
            println!("{bell} heard by {}: rang on {rang:?}", heard.name());
        }
        panic!("{bell} heard by {} is to ring on {by:?} and rang on {rang:?}", heard.name());
    }

    /// Presses a bell's button at one site and says whose servers rang it: their files have it. Of one alone, the record says so
    /// too.
    async fn ring(&self, heard: Site, bell: &str) -> Vec<Site> {
        let api = self.api(heard);
        let answer = api.post(&format!("/api/v1/triggers/{bell}/events"), json!({})).await;
        let activation = answer["activations"][0].as_str().unwrap_or_else(|| panic!("nothing began: {answer}"));
        let rang = wait_for("the bell has rung", LONG, || async {
            let wrote = |site: &Site| self.lines(*site, bell).lines().any(|line| line.contains(activation));
            let by: Vec<Site> = Site::ALL.into_iter().filter(wrote).collect();
            (!by.is_empty()).then_some(by)
        })
        .await;
        let [only] = rang[..] else { return rang };
        let ended = wait_for("the bell is in Sent Notifications", LONG, || async {
            for site in Site::ALL.into_iter().filter(|site| self.fleet.servers[*site as usize].runs()) {
                let record = self.api(site).try_get(&format!("/api/v1/sent/{activation}")).await.unwrap_or_default();
                if record["row"]["outcome"] == "success" {
                    return Site::ALL.into_iter().find(|by| record["row"]["server_name"] == by.name());
                }
            }
            None
        })
        .await;
        // One that stood still after it rang may find that another has ended it.
        if ended == only { rang } else { vec![only, ended] }
    }

    fn lines(&self, site: Site, bell: &str) -> String {
        fs::read_to_string(self.file(site, bell)).unwrap_or_default()
    }

    fn file(&self, site: Site, bell: &str) -> PathBuf {
        let name = &self.fleet.servers[site as usize].name;
        self.fleet.folder().join(name).join("data/driver-state").join(DRIVER).join(format!("{bell}.txt"))
    }

    /// Which servers rang a bell how often, counted at what it reached.
    pub fn rings(&self, bell: &str) -> Vec<(Site, usize)> {
        let begun = |site: &Site| self.lines(*site, bell).lines().filter(|line| line.starts_with("begin ")).count();
        Site::ALL.into_iter().map(|site| (site, begun(&site))).filter(|(_, rings)| *rings > 0).collect()
    }

    /// When a bell's endpoint at a site was last written to, in milliseconds since 1970.
    pub fn last_rung(&self, site: Site, bell: &str) -> i64 {
        let at = fs::metadata(self.file(site, bell)).and_then(|about| about.modified()).expect("it has rung");
        at.duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
    }

    /// A calendar of the office's, an elementary or the high school's group, in UTC, with these events every day.
    pub async fn schedule(&self, bell: &str, group: &str, events: &[(&str, i64)]) {
        let times: Vec<Value> = events
            .iter()
            .map(|(name, due)| json!({"name": name, "at": time_of_day(*due), "notifications": [bell]}))
            .collect();
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let week: serde_json::Map<String, Value> =
            days.into_iter().map(|day| (day.to_owned(), json!("Every day"))).collect();
        let calendar = json!({
            "id": bell, "name": bell, "zone": "UTC", "group": group, "week": week,
            "templates": [{"name": "Every day", "events": times}],
        });
        self.api(Site::Office).post("/api/v1/calendars", calendar).await;
    }

    /// What a server shows in Sent Notifications.
    pub async fn sent(&self, site: Site, query: &str) -> Vec<Value> {
        let page = self.api(site).try_get(&format!("/api/v1/sent{query}")).await.unwrap_or_default();
        page["rows"].as_array().cloned().unwrap_or_default()
    }

    /// Lets a site's server play a tone to an endpoint that listens to the server's own address at this port.
    pub async fn hear(&self, site: Site, port: u16) {
        let group = ["DEFAULT", "elementary-group", "high-group"][site as usize];
        let bell = format!("tone-{port}");
        let address = json!({"file": format!("{bell}.txt"), "audio_port": port});
        self.add_bell(&bell, group, address, json!({"kind": "tone", "name": "chime"})).await;
        self.fleet.in_step().await;
        self.rung_by(site, &bell, site).await;
    }

    /// Asks as a phone does.
    pub fn phone_asks(&self, site: Site, query: &str) -> String {
        let mut stream = TcpStream::connect(format!("{}:8080", self.address(site))).expect("it listens");
        let ask = format!("GET /SA-Announce/PhoneAuthentication?{query} HTTP/1.0\r\n\r\n");
        stream.write_all(ask.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers and closes");
        assert!(text.starts_with("HTTP/1.0 200") || text.starts_with("HTTP/1.1 200"), "{text}");
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }
}

/// A whole second so many seconds from this moment on, in milliseconds since 1970.
pub fn in_seconds(seconds: i64) -> i64 {
    (now() / 1000 + 1 + seconds) * 1000
}

/// This moment, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the stories ask here")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// Waits until a moment is so many milliseconds away, or is past by as many.
pub async fn until(due: i64, ahead_ms: i64) {
    let wait = due - ahead_ms - now();
    tokio::time::sleep(Duration::from_millis(wait.max(0).unsigned_abs())).await;
}

/// A moment of this day as a schedule writes it, in UTC.
pub fn time_of_day(at: i64) -> String {
    let second = at.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Listens to a multicast group on the loopback interface.
pub struct Ear {
    socket: UdpSocket,
    pub port: u16,
}

impl Ear {
    pub fn at(group: &str) -> Ear {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        let group: Ipv4Addr = group.parse().expect("a group");
        socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).expect("loopback takes multicast");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let port = socket.local_addr().expect("bound").port();
        Ear { socket, port }
    }

    /// How many RTP packets came; returns once some did, or the patience is over.
    pub fn packets(&self, patience: Duration) -> usize {
        let (begun, mut packet, mut heard) = (Instant::now(), [0; 2048], 0);
        while begun.elapsed() < patience {
            match self.socket.recv(&mut packet) {
                // Version 2, payload type 0.
                Ok(length) if length > 12 && packet[0] >> 6 == 2 && packet[1] & 0x7f == 0 => heard += 1,
                Ok(_) => {}
                Err(_) if heard > 0 => break,
                Err(_) => {}
            }
        }
        heard
    }
}
