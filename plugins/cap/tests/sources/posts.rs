//! Alerts that are posted, and what the driver remembers of them over a restart; its own judgement of itself.

use std::fs;

use onealert_plugin_api::{
    document::{Action, Failure, HttpResponse, TriggerAnswer},
    driver::Driver,
    fake_host::FakeHost,
};
use plugin_cap::{driver::Cap, samples, settings::Settings};

use crate::bench::*;

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
