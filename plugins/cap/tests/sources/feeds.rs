//! Addresses that are polled: what is asked how often, what is followed, and what is never told.

use async_compression::tokio::write::GzipEncoder;
use onealert_plugin_api::{document::Action, fake_host::FakeHost};
use plugin_cap::{samples, settings::TriggerSettings};
use tokio::io::AsyncWriteExt;

use crate::bench::*;

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
    assert_eq!(asked[0].status, 200);
    assert!(asked[1..].iter().all(|it| it.headers["if-none-match"] == "\"1\"" && it.status == 304), "{asked:?}");
    assert_eq!(asked[0].headers["user-agent"], format!("OneAlert/{} (ops@example.org)", env!("CARGO_PKG_VERSION")));
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
async fn the_secret_parts_of_an_address_reach_the_feed_and_nobody_else() {
    let state = tempfile::tempdir().expect("a folder");
    let (web, address) = Web::start().await;
    let settings = TriggerSettings {
        url_query: "?pin=s3cret&after={since}".to_owned(),
        url_login: "ann:pa55word".to_owned(),
        ..at(format!("{address}/feed"))
    };
    web.page("/feed", 403, &[], "no");
    let bench = Bench::open(state.path(), vec![("t", settings)]).await;
    bench.recorded("unreachable", "it answered 403").await;
    let asked = web.asked("/feed").remove(0);
    assert!(asked.query.starts_with("pin=s3cret&after=20"), "{asked:?}");
    assert_eq!(asked.headers["authorization"], "Basic YW5uOnBhNTV3b3Jk");

    // The feed sends us elsewhere with the token, then links to documents with it: what goes wrong there names it not.
    web.page("/feed", 200, &[], "<alerts/>");
    bench.recorded("reachable", "answers again").await;
    web.page("/feed", 302, &[("location", "http://127.0.0.9:1/elsewhere?pin=s3cret")], "");
    bench.recorded("unreachable", "redirected to `http://127.0.0.9:1/elsewhere`").await;
    let linked = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>a</id><updated>1</updated>\
                  <link href=\"/gone.cap?pin=s3cret\"/></entry><entry><id>b</id><updated>1</updated>\
                  <link href=\"http://127.0.0.9:1/other.cap?pin=s3cret\"/></entry></feed>";
    web.page("/feed", 200, &[], linked);
    bench.recorded("refused", "it answered 404").await;
    bench.recorded("refused", "neither the feed's host nor allowed").await;
    web.page("/feed", 200, &[], samples::warning(1, NOW));
    bench.triggered(1).await;
    let said = format!("{:?} {:?}", bench.fake.events(), bench.fake.triggers());
    for secret in ["s3cret", "pa55word", "YW5uOnBhNTV3b3Jk"] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
    let kept = std::fs::read_to_string(state.path().join("alerts.json")).expect("what it remembers");
    assert!(!kept.contains("s3cret") && !kept.contains("pa55word"), "{kept}");
}
