//! The driver against the fake host: no library, no worker, no server.

use std::{fs, path::Path, sync::Arc, time::Duration};

use onealert_plugin_api::{
    document::{
        Activation, Delivered, DeliveredState, Desired, End, Event, Health, PreparedState, Priority, Probe, Target,
    },
    driver::Driver,
    fake_host::FakeHost,
    schema,
};
use plugin_skeleton::{Endpoint, Settings, Skeleton};

#[tokio::test]
async fn an_announcement_becomes_a_line_in_every_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = open(folder.path(), Settings::default());
    let prepared = driver.clone().prepare(bell(&["lobby.txt", "yard.txt"])).await.expect("prepared");
    assert!(prepared.iter().all(|one| one.state == PreparedState::Ready { rtp: Vec::new() }), "{prepared:?}");
    let delivered = driver.begin(bell(&["lobby.txt", "yard.txt"])).await.expect("delivered");
    assert_eq!(acked(&delivered), [true, true]);
    assert_eq!(read(folder.path(), "lobby.txt"), "begin 0a Second lesson\n");
    assert_eq!(read(folder.path(), "yard.txt"), "begin 0a Second lesson\n");
}

#[tokio::test]
async fn an_endpoint_with_a_port_is_heard_at_the_servers_own_address_when_there_is_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = open(folder.path(), Settings::default());
    let with = |has_audio| {
        let mut announced = bell(&["lobby.txt"]);
        announced.has_audio = has_audio;
        announced.endpoints[0].address.audio_port = Some(20_490);
        driver.clone().prepare(announced)
    };
    let PreparedState::Ready { rtp } = &with(true).await.expect("prepared")[0].state else { panic!("not ready") };
    assert!(rtp.len() == 1 && rtp[0].address.is_unspecified() && rtp[0].port == 20_490, "{rtp:?}");
    assert_eq!(with(false).await.expect("prepared")[0].state, PreparedState::Ready { rtp: Vec::new() });
}

#[tokio::test]
async fn the_same_announcement_after_a_restart_is_written_once_and_answered_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path(), Settings::default()).begin(bell(&["lobby.txt"])).await.expect("delivered");
    let second = open(folder.path(), Settings::default()).begin(bell(&["lobby.txt"])).await.expect("delivered");
    assert_eq!(acked(&first), acked(&second));
    assert_eq!(read(folder.path(), "lobby.txt"), "begin 0a Second lesson\n");
}

#[tokio::test]
async fn one_file_that_cannot_be_written_does_not_keep_the_others_from_their_line() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("lobby.txt")).expect("a folder where the file should be");
    let driver = open(folder.path(), Settings::default());
    let delivered = driver.clone().begin(bell(&["lobby.txt", "../escape", "yard.txt"])).await.expect("an answer");
    assert_eq!(acked(&delivered), [false, false, true]);
    let DeliveredState::Failed { reason } = &delivered[0].state else { panic!("{delivered:?}") };
    assert!(reason.contains("lobby.txt"), "the reason names the file: {reason}");
    let DeliveredState::Failed { reason } = &delivered[1].state else { panic!("{delivered:?}") };
    assert!(reason.contains("../escape"), "the reason names the file: {reason}");
    let ended =
        driver.end(End { id: "0a".into(), reason: "finished".into(), endpoints: targets(&["lobby.txt", "yard.txt"]) });
    assert!(ended.await.is_err(), "a line that could not be written is told");
    assert_eq!(read(folder.path(), "yard.txt"), "begin 0a Second lesson\nend 0a finished\n");
}

#[tokio::test]
async fn settings_decide_what_a_line_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let settings = Settings { folder: elsewhere.path().display().to_string(), with_text: true, longest_line: Some(36) };
    open(folder.path(), settings).begin(bell(&["lobby.txt"])).await.expect("delivered");
    assert_eq!(read(elsewhere.path(), "lobby.txt"), "begin 0a Second lesson: Room 4 moves\n");
}

#[tokio::test]
async fn endpoints_are_looked_at_when_they_are_told_and_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = FakeHost::new(folder.path());
    let driver = Arc::new(Skeleton::open(fake.host(), Settings::default()).expect("opens"));
    let desired = Desired { endpoints: targets(&["lobby.txt", "a/b"]), triggers: Vec::new() };
    driver.clone().desired(desired).await.expect("taken");
    assert!(fake.wait_for(Duration::from_secs(20), |fake| fake.events().len() == 2).await, "{:?}", fake.events());
    let told: Vec<Health> = fake
        .events()
        .into_iter()
        .filter_map(|event| if let Event::EndpointStatus(status) = event { Some(status.health) } else { None })
        .collect();
    assert_eq!(told, [Health::Ok, Health::Error]);
    let asked = driver.probe(Probe { endpoints: targets(&["lobby.txt"]) }).await.expect("looked");
    assert_eq!(asked[0].health, Health::Ok);
}

#[test]
fn a_relative_folder_is_refused_with_its_field() {
    let settings = Settings { folder: "announcements".to_owned(), ..Settings::default() };
    let problems = Skeleton::check(&settings);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "/folder");
    assert!(problems[0].message.contains("announcements"), "{}", problems[0].message);
    assert_eq!(Skeleton::check(&Settings::default()), []);
}

#[test]
fn every_setting_can_be_shown_in_a_form() {
    assert_eq!(schema::check(&schemars::schema_for!(Settings).to_value()), []);
    assert_eq!(schema::check(&schemars::schema_for!(Endpoint).to_value()), []);
}

fn open(state: &Path, settings: Settings) -> Arc<Skeleton> {
    Arc::new(Skeleton::open(FakeHost::new(state).host(), settings).expect("these settings are right"))
}

fn bell(files: &[&str]) -> Activation<Endpoint> {
    Activation {
        id: "0a".to_owned(),
        attempt: 0,
        priority: Priority::Bell,
        title: "Second lesson".to_owned(),
        body: "Room 4 moves to room 5".to_owned(),
        has_audio: false,
        audio_ms: None,
        endpoints: targets(files),
    }
}

fn targets(files: &[&str]) -> Vec<Target<Endpoint>> {
    let target = |(at, file): (usize, &&str)| Target {
        endpoint: format!("e{at}"),
        name: format!("File {file}"),
        address: Endpoint { file: (*file).to_owned(), audio_port: None },
    };
    files.iter().enumerate().map(target).collect()
}

fn acked(delivered: &[Delivered]) -> Vec<bool> {
    delivered.iter().map(|one| matches!(one.state, DeliveredState::Acked { .. })).collect()
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).expect("the file was written")
}
