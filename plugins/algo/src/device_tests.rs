//! Tests of [`super`]: clocks, redirects, refusals and what is said about them.

use super::*;

const NOW: i64 = 1_795_359_600;

fn endpoint(what: &str) -> Endpoint {
    serde_json::from_value(serde_json::json!({"host": "10.0.0.161", "password": "algo", "what": what})).unwrap()
}

fn device(change: impl FnOnce(&mut Endpoint)) -> Device {
    let mut endpoint = endpoint("tone");
    change(&mut endpoint);
    Device::new(Access::of(&endpoint).unwrap(), Known::default())
}

fn answer(status: u16) -> Answer<'static> {
    Answer { status, date: None, location: None, body: b"" }
}

#[test]
fn a_clock_that_is_off_is_followed_once_and_then_it_is_the_password() {
    let mut device = device(|_| ());
    let command = Command::status();
    let route = device.routes()[0];
    let first = device.attempt(&command, route, NOW, 1);
    let hour_ahead = wire::http_date(NOW + 3600);
    let refused = Answer { date: Some(&hour_ahead), ..answer(401) };
    let mut tried = Tried::default();
    assert_eq!(device.judge(&command, &first, refused, NOW, &mut tried), Verdict::Again);
    let second = device.attempt(&command, route, NOW, 2);
    assert!(second.headers.contains(&("Date".to_owned(), hour_ahead.clone())), "signed in the device's time");
    let verdict = device.judge(&command, &second, refused, NOW, &mut tried);
    assert_eq!(verdict, Verdict::Failed(Reason::Refused { status: 401 }));
}

#[test]
fn a_refusal_with_clocks_in_step_is_the_password_at_once() {
    let mut device = device(|_| ());
    let command = Command::status();
    let attempt = device.attempt(&command, device.routes()[0], NOW, 1);
    for date in [Some(wire::http_date(NOW + 4)), None] {
        let refused = Answer { date: date.as_deref(), ..answer(403) };
        let verdict = device.judge(&command, &attempt, refused, NOW, &mut Tried::default());
        assert_eq!(verdict, Verdict::Failed(Reason::Refused { status: 403 }));
    }
}

#[test]
fn http_that_points_to_the_own_https_is_followed_and_nothing_else_is() {
    let command = Command::status();
    for (to, port) in [
        ("https://10.0.0.161/api/info/status", Some(443)),
        ("https://10.0.0.161:8443/", Some(8443)),
        ("https://10.0.0.16/", None),
        ("https://10.0.0.161.evil.example/", None),
        ("http://10.0.0.161:8080/", None),
        ("https://10.0.0.161@evil.example/", None),
        ("", None),
    ] {
        let mut device = device(|endpoint| endpoint.scheme = Scheme::Http);
        let attempt = device.attempt(&command, device.routes()[0], NOW, 1);
        let moved = Answer { location: Some(to), ..answer(302) };
        let verdict = device.judge(&command, &attempt, moved, NOW, &mut Tried::default());
        match port {
            Some(port) => {
                assert_eq!(verdict, Verdict::Again, "{to}");
                assert_eq!(device.routes()[0], Route { https: true, port }, "{to}");
            }
            None => assert!(matches!(verdict, Verdict::Failed(Reason::Redirect { .. })), "{to}"),
        }
    }
}

#[test]
fn a_plain_password_never_goes_over_plain_http_by_itself() {
    assert!(device(|endpoint| endpoint.auth = Auth::Basic).routes().iter().all(|route| route.https));
    assert_eq!(device(|_| ()).routes().len(), 2);
}

#[test]
fn refusals_keep_what_the_device_said() {
    let mut device = device(|_| ());
    let command = Command::control("tone/start", None);
    let attempt = device.attempt(&command, device.routes()[0], NOW, 1);
    let mut said = |status| {
        let refused = Answer { body: b"{\"error\":\"loop\nmissing\"}", ..answer(status) };
        match device.judge(&command, &attempt, refused, NOW, &mut Tried::default()) {
            Verdict::Failed(reason) => reason.to_string(),
            other => panic!("{status}: {other:?}"),
        }
    };
    assert!(said(400).contains("loop missing"));
    assert!(said(404).contains("/api/controls/tone/start"));
    assert!(said(500).contains("status 500"));
}

#[test]
fn one_lost_look_does_not_turn_a_known_device_red_and_two_do() {
    let mut device = device(|_| ());
    let tone = endpoint("tone");
    assert_eq!(device.health(&tone), None);
    let about = serde_json::json!({"Product Name": "Algo 8180 IP Audio Alerter", "Firmware Version": "5.7.1"});
    device.take_about(about.as_object().unwrap()).unwrap();
    assert_eq!(device.health(&tone), Some((Health::Ok, "Algo 8180, firmware 5.7.1".to_owned())));
    device.handle_trouble(Reason::Unreachable("x".to_owned()));
    assert_eq!(device.health(&tone).unwrap().0, Health::Ok);
    device.handle_trouble(Reason::Unreachable("x".to_owned()));
    assert_eq!(device.health(&tone).unwrap().0, Health::Error);
    device.handle_well();
    assert_eq!(device.health(&tone).unwrap().0, Health::Ok);
    device.handle_trouble(Reason::Refused { status: 401 });
    assert_eq!(device.health(&tone).unwrap().0, Health::Error);
    device.handle_well();
    let strobe = device.health(&endpoint("strobe")).unwrap();
    assert!(strobe.0 == Health::Error && strobe.1.contains("a strobe"), "{strobe:?}");
}
