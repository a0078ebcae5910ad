//! The simulated Algo device by itself: that it refuses what a real one refuses, and really hears what is sent to its zones.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use devices::{
    AlgoConfig, AlgoSim,
    algo::{Auth, Call, Http},
};
use http_client::{Client, Method, Options, Request, Response, Trust};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

/// A device that wants no signature, and a client for it.
async fn open(change: impl FnOnce(&mut AlgoConfig), model: &str) -> (AlgoSim, Asker) {
    let mut config = AlgoConfig { auth: Auth::None, ..AlgoConfig::light(model) };
    change(&mut config);
    let sim = AlgoSim::start(config).await.expect("the simulated device starts");
    let client = Client::new(Options { trust: Trust::Anybody, ..Options::default() });
    let url = format!("http://{}", sim.http_addr().expect("it serves http"));
    (sim, Asker { client, url })
}

struct Asker {
    client: Client,
    url: String,
}

impl Asker {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Response, http_client::HttpError> {
        let mut request = Request::new(method, format!("{}{path}", self.url));
        request.body = body.map(|body| body.to_string().into()).unwrap_or_default();
        self.client.send(request).await
    }

    async fn post(&self, path: &str, body: Value) -> u16 {
        let body = (!body.is_null()).then_some(body);
        self.ask(Method::POST, path, body).await.expect("the device answers").status
    }

    async fn status(&self, field: &str) -> Value {
        let answer = self.ask(Method::GET, "/api/info/status", None).await.expect("the device answers");
        assert!(answer.header("date").is_some(), "every answer carries the device's clock");
        serde_json::from_slice::<Value>(&answer.body).expect("the status is JSON")[field].clone()
    }
}

#[tokio::test]
async fn strobes_take_only_their_own_patterns_colours_and_levels() {
    let (sim, asker) = open(|_| (), "8190S").await;
    let start = "/api/controls/strobe/start";
    for (body, status) in [
        (json!({"pattern": 9, "color1": "red", "ledlvl": 3}), 200),
        (json!({"pattern": "9", "color1": "red", "ledlvl": "1"}), 200),
        (json!({"pattern": 10, "color1": "red"}), 400),
        (json!({"pattern": 1, "color1": "pink"}), 400),
        (json!({"pattern": 1, "color1": "red", "ledlvl": 255}), 400),
        (json!({"pattern": 1}), 400),
        (json!({"color1": "red"}), 400),
    ] {
        assert_eq!(asker.post(start, body.clone()).await, status, "{body}");
    }
    assert_eq!(asker.post("/api/controls/strobe/stop", Value::Null).await, 200);
    assert!(sim.state().is_quiet());
}

#[tokio::test]
async fn a_duration_counts_from_5_7_on_and_is_ignored_before() {
    let body = json!({"pattern": 0, "color1": "red", "duration": 0});
    let (new, asker) = open(|_| (), "8128").await;
    assert_eq!(asker.post("/api/controls/strobe/start", body.clone()).await, 200);
    assert!(new.wait_for(LONG, |state| state.strobe.is_none()).await, "it is over at once");
    let (old, asker) = open(|config| config.firmware = "5.6".to_owned(), "8128").await;
    assert_eq!(asker.post("/api/controls/strobe/start", body).await, 200);
    assert_eq!(old.state().strobe.unwrap().until, None);
}

#[tokio::test]
async fn settings_are_checked_and_zones_change_with_the_next_reload() {
    let (sim, asker) = open(|_| (), "8180").await;
    for (parameter, value, status) in [
        ("audio.page.vol", "-6dB", 200),
        ("audio.page.vol", "-7dB", 400),
        ("audio.page.vol", "3dB", 400),
        ("mcast.zone3", "239.1.1.1:6000", 200),
        ("mcast.zone3", "10.0.0.1:6000", 400),
    ] {
        let answer = asker.ask(Method::PUT, "/api/settings", Some(json!({parameter: value}))).await.unwrap();
        assert_eq!(answer.status, status, "{parameter} {value}");
    }
    assert_eq!(sim.state().volume(), "-6dB");
    assert_eq!(asker.post("/api/controls/reload", Value::Null).await, 200);
    assert_eq!(sim.state().restarts, 1);
    assert_eq!(sim.state().settings["mcast.zone3"], "239.1.1.1:6000");
}

#[tokio::test]
async fn a_device_that_restarts_is_silent_and_comes_back_at_the_same_address() {
    let (sim, asker) = open(|config| config.reboot = Duration::from_millis(300), "8180").await;
    assert_eq!(asker.post("/api/controls/reboot", Value::Null).await, 200);
    let gone = async {
        while asker.ask(Method::GET, "/api/info/about", None).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("it goes silent");
    let back = async {
        while asker.ask(Method::GET, "/api/info/about", None).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, back).await.expect("it comes back");
    assert_eq!(sim.state().restarts, 1);
}

#[tokio::test]
async fn after_a_factory_reset_nothing_works_until_the_api_is_switched_on() {
    let (sim, asker) = open(|config| config.reboot = Duration::from_millis(1), "8180").await;
    assert_eq!(asker.post("/api/settings/action/restore", Value::Null).await, 200);
    let refused = async {
        loop {
            match asker.ask(Method::GET, "/api/info/about", None).await {
                Ok(answer) => break answer.status,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    assert_eq!(tokio::time::timeout(LONG, refused).await.expect("it comes back"), 404);
    sim.set_api(true);
    // The ports may be closed only after that question: the restart begins when its answer has left.
    let works = async {
        loop {
            match asker.ask(Method::GET, "/api/info/about", None).await {
                Ok(answer) => break answer.status,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    assert_eq!(tokio::time::timeout(LONG, works).await.expect("it comes back"), 200);
}

#[tokio::test]
async fn http_redirects_to_the_devices_own_https() {
    let (sim, asker) = open(|config| (config.https, config.http) = (true, Http::Redirect), "8180").await;
    let answer = asker.ask(Method::GET, "/api/info/about", None).await.unwrap();
    assert_eq!(answer.status, 307);
    let there = format!("https://{}/api/info/about", sim.https_addr().unwrap());
    assert_eq!(answer.header("location"), Some(there.as_str()));
}

#[tokio::test]
async fn a_page_on_a_zone_is_heard_and_the_higher_zone_and_the_call_win() {
    // Ports that nobody else on this machine has: other tests run beside this one.
    let seven = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 7), free_port());
    let nine = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 9), free_port());
    let zones = [(7, seven), (9, nine)].into();
    let (sim, asker) = open(|config| (config.listen, config.zones) = (true, zones), "8180").await;
    assert_eq!(asker.status("Multicast Mode").await, "Receiver (Idle)");

    let socket = UdpSocket::from(sender());
    let mut page = Page { socket, sequence: 0 };
    page.send(seven, 10);
    assert!(sim.wait_for_audio(LONG, |heard| heard[&7].packets == 10).await, "{:?}", sim.heard());
    let heard = &sim.heard()[&7];
    assert_eq!((heard.ms, heard.gaps, heard.ssrcs.len()), (200, 0, 1));
    assert!(heard.rms_dbfs > -20.0, "a loud tone: {} dBFS", heard.rms_dbfs);
    let mut says = String::new();
    // Sent again each time: on a busy machine the stream may count as ended before the question arrives.
    for _ in 0..100 {
        page.send(seven, 2);
        says = asker.status("Multicast Mode").await.as_str().unwrap_or_default().to_owned();
        if says.contains("Active") {
            break;
        }
    }
    assert_eq!(says, "Receiver (Active) Zone 7");
    let both = |page: &mut Page| {
        page.send(seven, 3);
        page.send(nine, 3);
    };
    for _ in 0..100 {
        both(&mut page);
        if sim.playing_zone() == Some(9) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(sim.playing_zone(), Some(9), "priority call wins");
    both(&mut page);
    sim.set_call(Call::Connected);
    assert_eq!(asker.status("Multicast Mode").await, "Receiver (Idle)");
    assert_eq!(asker.status("Call Status").await, "Connected");
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("it is bound").port()
}

/// A socket that sends multicast over loopback.
fn sender() -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).expect("a UDP socket");
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback takes multicast");
    socket.set_multicast_loop_v4(true).expect("it can be heard here");
    socket
}

/// RTP packets of 20 ms with a loud square wave in mu-law.
struct Page {
    socket: UdpSocket,
    sequence: u16,
}

impl Page {
    fn send(&mut self, to: SocketAddrV4, packets: u16) {
        for _ in 0..packets {
            let mut packet = vec![0x80, 0];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
            packet.extend([0x1a, 0x2b, 0x3c, to.ip().octets()[3]]);
            packet.extend((0..160).map(|sample| if sample % 16 < 8 { 0x90 } else { 0x10 }));
            self.socket.send_to(&packet, to).expect("the packet leaves");
            self.sequence += 1;
        }
    }
}
