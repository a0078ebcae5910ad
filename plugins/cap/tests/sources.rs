//! Folders, feeds and posts through the driver itself, with real files and a real HTTP server on this machine.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_compression::tokio::write::GzipEncoder;
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use onealert_plugin_api::{
    document::{Action, Desired, Event, Failure, HttpRequest, HttpResponse, Record, TriggerAnswer, Watch},
    driver::Driver,
    fake_host::FakeHost,
};
use plugin_cap::{
    driver::Cap,
    io::Pace,
    samples,
    settings::{Settings, TriggerSettings},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

const NOW: i64 = 1_795_435_200_000;
const TOKEN: &str = "a token of sixteen or more";
const SOON: Duration = Duration::from_secs(20);

fn pace() -> Pace {
    Pace {
        poll_second: Duration::from_millis(2),
        rescan: Duration::from_millis(50),
        settle: Duration::from_millis(400),
        tick: Duration::from_millis(20),
    }
}

struct Bench {
    fake: FakeHost,
    driver: Arc<Cap>,
}

impl Bench {
    async fn open(state: &Path, triggers: Vec<(&str, TriggerSettings)>) -> Bench {
        let fake = FakeHost::new(state);
        let bench = Bench::on(
            fake,
            Settings { post_token: TOKEN.to_owned(), contact: "ops@example.org".into(), ..Settings::default() },
        );
        bench.desire(triggers).await;
        bench
    }

    fn on(fake: FakeHost, settings: Settings) -> Bench {
        let driver = Arc::new(Cap::open_with(fake.host(), settings, Arc::new(|| NOW + 1000), pace()));
        Bench { fake, driver }
    }

    async fn desire(&self, triggers: Vec<(&str, TriggerSettings)>) {
        let triggers = triggers
            .into_iter()
            .map(|(key, settings)| Watch { trigger: key.to_owned(), name: String::new(), settings })
            .collect();
        self.driver.clone().desired(Desired { endpoints: vec![], triggers }).await.expect("is taken");
    }

    async fn triggered(&self, count: usize) {
        let enough = self.fake.wait_for(SOON, |fake| fake.triggers().len() >= count).await;
        assert!(enough, "{} of {count} events; records: {:?}", self.fake.triggers().len(), records(&self.fake));
    }

    async fn recorded(&self, verdict: &str, part: &str) {
        let enough = self
            .fake
            .wait_for(SOON, |fake| records(fake).iter().any(|it| it.verdict == verdict && it.reason.contains(part)))
            .await;
        assert!(enough, "no record {verdict} with `{part}`: {:?}", records(&self.fake));
    }

    async fn post(&self, body: &str, token: &str) -> HttpResponse {
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

fn records(fake: &FakeHost) -> Vec<Record> {
    fake.events()
        .into_iter()
        .filter_map(|it| if let Event::Record(record) = it { Some(record) } else { None })
        .collect()
}

/// A web server whose pages a test changes as it goes.
#[derive(Clone, Default)]
struct Web {
    inner: Arc<Mutex<Pages>>,
}

/// Status, headers and body.
type Page = (u16, Vec<(String, String)>, Vec<u8>);

#[derive(Default)]
struct Pages {
    pages: HashMap<String, Page>,
    asked: Vec<(String, HashMap<String, String>, u16)>,
}

impl Web {
    async fn start() -> (Web, String) {
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
        pages.asked.push((path, headers, status));
        let mut response = Response::builder().status(status);
        for (name, value) in page_headers {
            response = response.header(name, value);
        }
        response.body(Full::new(Bytes::from(body))).expect("a plain answer")
    }

    fn page(&self, path: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.inner.lock().expect("no panic").pages.insert(path.to_owned(), (status, headers, body.into()));
    }

    fn asked(&self, path: &str) -> Vec<(HashMap<String, String>, u16)> {
        let pages = self.inner.lock().expect("no panic");
        pages.asked.iter().filter(|it| it.0 == path).map(|it| (it.1.clone(), it.2)).collect()
    }

    /// Waits until a page was asked for so often.
    async fn wait(&self, path: &str, times: usize) {
        let reached = tokio::time::timeout(SOON, async {
            while self.asked(path).len() < times {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(reached.await.is_ok(), "{path} was asked {} of {times} times", self.asked(path).len());
    }
}

fn at(url: String) -> TriggerSettings {
    TriggerSettings { url, poll_seconds: 15, ..TriggerSettings::default() }
}

fn posted() -> TriggerSettings {
    TriggerSettings { posted: true, ..TriggerSettings::default() }
}

#[tokio::test]
async fn an_unchanged_feed_is_asked_lightly_and_a_new_trigger_sees_it_all_the_same() {
    let state = tempfile::tempdir().expect("a folder");
    let (web, address) = Web::start().await;
    web.page("/feed", 200, &[("etag", "\"1\""), ("content-type", "application/cap+xml")], samples::warning(1, NOW));
    let url = format!("{address}/feed");
    let bench = Bench::open(state.path(), vec![("one", at(url.clone()))]).await;
    bench.triggered(1).await;
    web.wait("/feed", 4).await;
    let asked = web.asked("/feed");
    assert_eq!(asked[0].1, 200);
    assert!(
        asked[1..].iter().all(|(headers, status)| headers["if-none-match"] == "\"1\"" && *status == 304),
        "{asked:?}"
    );
    assert_eq!(asked[0].0["user-agent"], format!("OneAlert/{} (ops@example.org)", env!("CARGO_PKG_VERSION")));
    assert_eq!(bench.fake.triggers().len(), 1);
    bench.desire(vec![("one", at(url.clone())), ("two", at(url))]).await;
    bench.triggered(2).await;
    assert_eq!(bench.fake.triggers()[1].trigger, "two");
    assert_eq!(bench.fake.triggers()[0].key, bench.fake.triggers()[1].key);
}

#[tokio::test]
async fn an_alert_that_vanishes_from_a_feed_is_not_cancelled_and_does_not_fire_again_when_it_is_back() {
    let state = tempfile::tempdir().expect("a folder");
    let (web, address) = Web::start().await;
    let empty = "<alerts/>";
    web.page("/feed", 200, &[], samples::warning(1, NOW));
    let bench = Bench::open(state.path(), vec![("t", at(format!("{address}/feed")))]).await;
    bench.triggered(1).await;
    for body in [empty.to_owned(), samples::warning(1, NOW), empty.to_owned(), samples::warning(1, NOW)] {
        web.page("/feed", 200, &[], body);
        web.wait("/feed", web.asked("/feed").len() + 2).await;
    }
    assert_eq!(bench.fake.triggers().len(), 1, "{:?}", bench.fake.triggers());
    web.page("/feed", 200, &[], samples::cancel(1, NOW, NOW + 500));
    bench.triggered(2).await;
    assert_eq!(bench.fake.triggers()[1].action, Action::Stop);
}

#[tokio::test]
async fn a_feed_that_fails_is_left_alone_for_longer_and_its_recovery_is_told() {
    let state = tempfile::tempdir().expect("a folder");
    let (web, address) = Web::start().await;
    web.page("/feed", 503, &[], "busy");
    let bench = Bench::open(state.path(), vec![("t", at(format!("{address}/feed")))]).await;
    bench.recorded("unreachable", "it answered 503").await;
    web.wait("/feed", 4).await;
    let told = records(&bench.fake).iter().filter(|it| it.verdict == "unreachable").count();
    assert_eq!(told, 1, "said once, not at every poll");
    web.page("/feed", 200, &[], samples::warning(1, NOW));
    bench.triggered(1).await;
    bench.recorded("reachable", "answers again").await;
    // An HTML page of a content network is a failure, not an empty feed.
    web.page("/feed", 200, &[("content-type", "text/html")], "<html><body>Too many requests</body></html>");
    let failing = |fake: &FakeHost| records(fake).iter().filter(|it| it.verdict == "unreachable").count() == 2;
    assert!(bench.fake.wait_for(SOON, failing).await);
}

#[tokio::test]
async fn links_of_a_feed_are_followed_once_and_only_where_it_is_allowed() {
    let state = tempfile::tempdir().expect("a folder");
    let (web, address) = Web::start().await;
    let feed = "<feed xmlns=\"http://www.w3.org/2005/Atom\">\
                <entry><id>a</id><updated>1</updated><link type=\"application/cap+xml\" href=\"one.cap\"/></entry>\
                <entry><id>b</id><updated>1</updated><link href=\"/feeds/one.cap\"/></entry>\
                <entry><id>c</id><updated>1</updated><link href=\"http://127.0.0.9:1/elsewhere.cap\"/></entry>\
                <entry><id>d</id><updated>1</updated></entry></feed>";
    web.page("/feeds/all.atom", 200, &[], feed);
    let bench = Bench::open(state.path(), vec![("t", at(format!("{address}/feeds/all.atom")))]).await;
    bench.recorded("refused", "neither the feed's host nor allowed").await;
    bench.recorded("refused", "neither an alert nor a link").await;
    bench.recorded("refused", "it answered 404").await;
    web.page("/feeds/all.atom", 200, &[], feed.replace("<updated>1", "<updated>2"));
    web.page("/feeds/one.cap", 200, &[], samples::warning(1, NOW));
    bench.triggered(1).await;
    let fetched = web.asked("/feeds/one.cap").len();
    web.wait("/feeds/all.atom", web.asked("/feeds/all.atom").len() + 3).await;
    assert_eq!(web.asked("/feeds/one.cap").len(), fetched, "a document that was fetched is not fetched again");
}

#[tokio::test]
async fn a_gzip_bomb_is_refused_at_the_limit() {
    let state = tempfile::tempdir().expect("a folder");
    let (web, address) = Web::start().await;
    let mut bomb = GzipEncoder::new(Vec::new());
    for _ in 0..64 {
        bomb.write_all(&vec![b' '; 1 << 20]).await.expect("packs");
    }
    bomb.shutdown().await.expect("packs");
    web.page("/feed", 200, &[("content-encoding", "gzip")], bomb.into_inner());
    let bench = Bench::open(state.path(), vec![("t", at(format!("{address}/feed")))]).await;
    bench.recorded("unreachable", "longer than 4194304 bytes").await;
    let mut packed = GzipEncoder::new(Vec::new());
    packed.write_all(samples::warning(1, NOW).as_bytes()).await.expect("packs");
    packed.shutdown().await.expect("packs");
    web.page("/feed", 200, &[("content-encoding", "gzip")], packed.into_inner());
    bench.triggered(1).await;
}

#[tokio::test]
async fn files_are_read_when_they_are_whole_and_only_once() {
    let state = tempfile::tempdir().expect("a folder");
    let folder = tempfile::tempdir().expect("a folder");
    let settings =
        TriggerSettings { folder: folder.path().to_string_lossy().into_owned(), ..TriggerSettings::default() };
    let bench = Bench::open(state.path(), vec![("t", settings.clone())]).await;
    // Renamed into place, as it should be.
    fs::write(folder.path().join("one.tmp"), samples::warning(1, NOW)).expect("is written");
    fs::rename(folder.path().join("one.tmp"), folder.path().join("one.xml")).expect("is renamed");
    bench.triggered(1).await;
    // Written in two halves, as it happens.
    let whole = samples::warning(2, NOW);
    let (first, second) = whole.split_at(700);
    fs::write(folder.path().join("two.xml"), first).expect("is written");
    // Files are looked at oldest first: when this one has fired, the half one was seen.
    fs::write(folder.path().join("between.xml"), samples::warning(9, NOW)).expect("is written");
    bench.triggered(2).await;
    let mut file = fs::OpenOptions::new().append(true).open(folder.path().join("two.xml")).expect("is there");
    std::io::Write::write_all(&mut file, second.as_bytes()).expect("is written");
    bench.triggered(3).await;
    assert!(!records(&bench.fake).iter().any(|it| it.verdict == "refused"), "half a file is no wrong file");
    // What stays half is refused in the end, and said.
    fs::write(folder.path().join("three.xml"), first).expect("is written");
    bench.recorded("refused", "three.xml: not well-formed XML").await;
    // The same alert in another file fires nothing.
    fs::write(folder.path().join("four.xml"), samples::warning(1, NOW)).expect("is written");
    bench.recorded("duplicate", "it was judged before").await;
    assert_eq!(bench.fake.triggers().len(), 3);
    assert!(folder.path().join("one.xml").exists(), "nothing is deleted that nobody asked to delete");

    // A restart reads no file again.
    drop(bench);
    let bench = Bench::open(state.path(), vec![("t", settings.clone())]).await;
    fs::write(folder.path().join("five.xml"), samples::warning(5, NOW)).expect("is written");
    bench.triggered(1).await;
    assert!(bench.fake.triggers()[0].key.contains("sample.0005"), "{:?}", bench.fake.triggers());
    assert_eq!(records(&bench.fake).len(), 1, "{:?}", records(&bench.fake));

    let settings = TriggerSettings { delete_files: true, ..settings };
    bench.desire(vec![("t", settings)]).await;
    fs::write(folder.path().join("six.xml"), samples::warning(6, NOW)).expect("is written");
    bench.triggered(2).await;
    let gone = tokio::time::timeout(SOON, async {
        while folder.path().join("six.xml").exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(gone.await.is_ok());
}

#[tokio::test]
async fn a_folder_that_is_missing_is_said_and_used_once_it_is_there() {
    let state = tempfile::tempdir().expect("a folder");
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("alerts");
    let settings = TriggerSettings { folder: folder.to_string_lossy().into_owned(), ..TriggerSettings::default() };
    let bench = Bench::open(state.path(), vec![("t", settings)]).await;
    bench.recorded("unreachable", "the folder cannot be read").await;
    fs::create_dir(&folder).expect("is made");
    fs::write(folder.join("one.xml"), samples::warning(1, NOW)).expect("is written");
    bench.triggered(1).await;
    bench.recorded("reachable", "can be read again").await;
}

#[tokio::test]
async fn a_post_is_answered_by_what_became_of_it() {
    let state = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(state.path(), vec![("t", posted())]).await;
    let status = |answer: HttpResponse| (answer.status, answer.body);
    assert_eq!(bench.post(&samples::warning(1, NOW), "wrong").await.status, 401);
    assert_eq!(bench.post(&samples::warning(1, NOW), "").await.status, 401);
    assert!(bench.fake.triggers().is_empty());
    let (code, body) = status(bench.post(&samples::warning(1, NOW), TOKEN).await);
    assert!(code == 200 && body.contains("\"accepted\""), "{code} {body}");
    assert_eq!(bench.fake.triggers().len(), 1, "it was taken before the sender was told so");
    let (code, body) = status(bench.post(&samples::warning(1, NOW), TOKEN).await);
    assert!(code == 200 && body.contains("\"duplicate\""), "{code} {body}");
    assert_eq!(bench.fake.triggers().len(), 1);
    assert_eq!(bench.post("<alert>", TOKEN).await.status, 400);
    assert_eq!(bench.post("<html/>", TOKEN).await.status, 415);
    assert_eq!(bench.post(&" ".repeat((8 << 20) + 1), TOKEN).await.status, 413);
    assert_eq!(bench.post("<!DOCTYPE x><alert/>", TOKEN).await.status, 400);
    let without_sent = samples::warning(2, NOW).replace("<sent>", "<!--").replace("</sent>", "-->");
    assert_eq!(bench.post(&without_sent, TOKEN).await.status, 400);
    bench.desire(vec![]).await;
    assert_eq!(bench.post(&samples::warning(3, NOW), TOKEN).await.status, 404);
    let bench = Bench::on(FakeHost::new(tempfile::tempdir().expect("a folder").path()), Settings::default());
    bench.desire(vec![("t", posted())]).await;
    assert_eq!(bench.post(&samples::warning(1, NOW), "").await.status, 403, "no token set: nobody may post");
}

#[tokio::test]
async fn what_the_server_does_not_take_is_kept_over_a_restart_until_it_does() {
    let state = tempfile::tempdir().expect("a folder");
    let fake = FakeHost::new(state.path());
    fake.answer_triggers(|_| Err(Failure::new("draining", "the server drains")));
    let settings = Settings { post_token: TOKEN.to_owned(), ..Settings::default() };
    let bench = Bench::on(fake, settings.clone());
    bench.desire(vec![("t", posted())]).await;
    assert_eq!(bench.post(&samples::warning(1, NOW), TOKEN).await.status, 503);
    bench.recorded("waiting", "the server drains").await;
    bench.triggered(3).await;
    assert_eq!(bench.post(&samples::warning(1, NOW), TOKEN).await.status, 503, "the same again is not taken either");
    drop(bench);

    let fake = FakeHost::new(state.path());
    fake.answer_triggers(|_| Ok(TriggerAnswer { activations: vec!["a".to_owned()], ..TriggerAnswer::default() }));
    let bench = Bench::on(fake, settings);
    bench.desire(vec![("t", posted())]).await;
    bench.triggered(1).await;
    assert!(bench.fake.triggers()[0].key.contains("sample.0001"));
    let answer = bench.post(&samples::warning(1, NOW), TOKEN).await;
    assert!(answer.status == 200 && answer.body.contains("duplicate"), "{answer:?}");
}

#[tokio::test]
async fn one_trigger_that_is_not_taken_does_not_hold_back_another() {
    let state = tempfile::tempdir().expect("a folder");
    let fake = FakeHost::new(state.path());
    fake.answer_triggers(|event| match event.trigger.as_str() {
        "bad" => Err(Failure::new("unknown", "no such trigger")),
        _ => Ok(TriggerAnswer::default()),
    });
    let bench = Bench::on(fake, Settings { post_token: TOKEN.to_owned(), ..Settings::default() });
    bench.desire(vec![("bad", posted()), ("good", posted())]).await;
    assert_eq!(bench.post(&samples::warning(1, NOW), TOKEN).await.status, 503);
    assert!(bench.fake.triggers().iter().any(|event| event.trigger == "good"));
}

#[tokio::test]
async fn a_damaged_memory_is_set_aside_and_a_cancel_of_the_forgotten_is_passed_on() {
    let state = tempfile::tempdir().expect("a folder");
    fs::write(state.path().join("alerts.json"), "{\"known\":").expect("is written");
    let bench = Bench::open(state.path(), vec![("t", posted())]).await;
    bench.recorded("lost", "could not be read").await;
    let aside =
        fs::read_dir(state.path()).expect("is there").flatten().map(|it| it.file_name().to_string_lossy().into_owned());
    assert!(aside.into_iter().any(|name| name.contains("unreadable")));
    bench.post(&samples::cancel(1, NOW, NOW + 500), TOKEN).await;
    let events = bench.fake.triggers();
    assert_eq!((events.len(), events[0].action), (1, Action::Stop));
    assert!(events[0].replaces[0].contains("sample.0001.001.1"));
}

#[tokio::test]
async fn the_driver_tests_itself_and_judges_its_settings() {
    let state = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(state.path(), vec![]).await;
    bench.driver.clone().self_test().await.expect("a warning of our own fires");
    assert_eq!(Cap::check(&Settings::default()), []);
    let bad = Settings {
        contact: "a\nb".into(),
        post_token: "short ".into(),
        link_hosts: vec!["https://x/".into()],
        ..Settings::default()
    };
    let paths: Vec<String> = Cap::check(&bad).into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/contact", "/post_token", "/post_token", "/link_hosts"]);
}
