//! The driver on a host that remembers what it was told, and a web server whose pages a test changes.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use onealert_plugin_api::{
    document::{Desired, Event, HttpRequest, HttpResponse, Record, Watch},
    driver::Driver,
    fake_host::FakeHost,
};
use plugin_cap::{
    driver::Cap,
    io::Pace,
    settings::{Settings, TriggerSettings},
};
use tokio::net::TcpListener;

pub const NOW: i64 = 1_795_435_200_000;
pub const TOKEN: &str = "a token of sixteen or more";
pub const SOON: Duration = Duration::from_secs(60);

/// No test leaves a file half for so long, however busy the machine is.
const PATIENT: Duration = Duration::from_secs(600);

fn pace(settle: Duration) -> Pace {
    Pace {
        poll_second: Duration::from_millis(2),
        rescan: Duration::from_millis(50),
        settle,
        tick: Duration::from_millis(20),
    }
}

pub struct Bench {
    pub fake: FakeHost,
    pub driver: Arc<Cap>,
}

impl Bench {
    pub async fn open(state: &Path, triggers: Vec<(&str, TriggerSettings)>) -> Bench {
        Bench::settling(PATIENT, state, triggers).await
    }

    /// On a driver that takes a file for whole once it has not changed for so long.
    pub async fn settling(settle: Duration, state: &Path, triggers: Vec<(&str, TriggerSettings)>) -> Bench {
        let settings =
            Settings { post_token: TOKEN.to_owned(), contact: "ops@example.org".into(), ..Settings::default() };
        let bench = Bench::paced(FakeHost::new(state), settings, settle);
        bench.desire(triggers).await;
        bench
    }

    pub fn on(fake: FakeHost, settings: Settings) -> Bench {
        Bench::paced(fake, settings, PATIENT)
    }

    fn paced(fake: FakeHost, settings: Settings, settle: Duration) -> Bench {
        let driver = Arc::new(Cap::open_with(fake.host(), settings, Arc::new(|| NOW + 1000), pace(settle)));
        Bench { fake, driver }
    }

    pub async fn desire(&self, triggers: Vec<(&str, TriggerSettings)>) {
        let triggers = triggers
            .into_iter()
            .map(|(key, settings)| Watch { trigger: key.to_owned(), name: String::new(), settings })
            .collect();
        self.driver.clone().desired(Desired { endpoints: vec![], triggers }).await.expect("is taken");
    }

    pub async fn triggered(&self, count: usize) {
        let enough = self.fake.wait_for(SOON, |fake| fake.triggers().len() >= count).await;
        assert!(enough, "{} of {count} events; records: {:?}", self.fake.triggers().len(), records(&self.fake));
    }

    pub async fn recorded(&self, verdict: &str, part: &str) {
        let enough = self
            .fake
            .wait_for(SOON, |fake| records(fake).iter().any(|it| it.verdict == verdict && it.reason.contains(part)))
            .await;
        assert!(enough, "no record {verdict} with `{part}`: {:?}", records(&self.fake));
    }

    pub async fn post(&self, body: &str, token: &str) -> HttpResponse {
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: "/alert".to_owned(),
            query: String::new(),
            headers: [("authorization".to_owned(), format!("Bearer {token}"))].into(),
            body: body.to_owned(),
            body_base64: String::new(),
            peer: "127.0.0.1".to_owned(),
        };
        self.driver.clone().http(request).await.expect("is answered")
    }
}

pub fn records(fake: &FakeHost) -> Vec<Record> {
    fake.events()
        .into_iter()
        .filter_map(|it| if let Event::Record(record) = it { Some(record) } else { None })
        .collect()
}

/// A web server whose pages a test changes as it goes.
#[derive(Clone, Default)]
pub struct Web {
    inner: Arc<Mutex<Pages>>,
}

/// Status, headers and body.
type Page = (u16, Vec<(String, String)>, Vec<u8>);

#[derive(Default)]
struct Pages {
    pages: HashMap<String, Page>,
    asked: Vec<Asked>,
}

/// A request, and the status of its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    path: String,
    pub query: String,
    pub headers: HashMap<String, String>,
    pub status: u16,
}

impl Web {
    pub async fn start() -> (Web, String) {
        let web = Web::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("it has an address"));
        let serving = web.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let web = serving.clone();
                let service = service_fn(move |request| {
                    let answer = web.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        (web, address)
    }

    fn answer(&self, request: &Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
        let mut pages = self.inner.lock().expect("no test panicked in here");
        let headers: HashMap<String, String> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let path = request.uri().path().to_owned();
        let (mut status, page_headers, mut body) = pages.pages.get(&path).cloned().unwrap_or((404, vec![], vec![]));
        let etag = page_headers.iter().find(|(name, _)| name == "etag").map(|(_, value)| value);
        if etag.is_some() && headers.get("if-none-match") == etag {
            (status, body) = (304, vec![]);
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        pages.asked.push(Asked { path, query, headers, status });
        let mut response = Response::builder().status(status);
        for (name, value) in page_headers {
            response = response.header(name, value);
        }
        response.body(Full::new(Bytes::from(body))).expect("a plain answer")
    }

    pub fn page(&self, path: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.inner.lock().expect("no panic").pages.insert(path.to_owned(), (status, headers, body.into()));
    }

    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let pages = self.inner.lock().expect("no panic");
        pages.asked.iter().filter(|it| it.path == path).cloned().collect()
    }

    /// Waits until a page was asked for so often.
    pub async fn wait(&self, path: &str, times: usize) {
        let reached = tokio::time::timeout(SOON, async {
            while self.asked(path).len() < times {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(reached.await.is_ok(), "{path} was asked {} of {times} times", self.asked(path).len());
    }
}

pub fn at(url: String) -> TriggerSettings {
    TriggerSettings { url, poll_seconds: 15, ..TriggerSettings::default() }
}

pub fn posted() -> TriggerSettings {
    TriggerSettings { posted: true, ..TriggerSettings::default() }
}
