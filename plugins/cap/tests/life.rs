//! The life of messages at a trigger, told as stories with a clock of our own.

use std::sync::Arc;

use onealert_plugin_api::document::Action;
use plugin_cap::{
    judge::{Book, Outcome, Rules, Trigger, Verdict},
    samples,
    settings::{Settings, TriggerSettings},
    wire::{self, Hint, Message, time},
};

const NOW: i64 = 1_795_435_200_000;
const MINUTE: i64 = 60_000;

fn trigger(change: impl FnOnce(&mut TriggerSettings)) -> Arc<Trigger> {
    let mut settings = TriggerSettings::default();
    change(&mut settings);
    Arc::new(Trigger { key: "t".to_owned(), rules: Rules::new(settings, &Settings::default().test_codes) })
}

struct Story {
    book: Book,
    triggers: Vec<Arc<Trigger>>,
}

impl Story {
    fn with(change: impl FnOnce(&mut TriggerSettings)) -> Story {
        let triggers = vec![trigger(change)];
        let mut book = Book::default();
        book.set_triggers(&triggers);
        Story { book, triggers }
    }

    fn new() -> Story {
        Story::with(|_| {})
    }

    fn hear(&mut self, text: &str, now_ms: i64) -> Vec<Verdict> {
        let document = wire::read(text.as_bytes(), Hint::default()).expect("the story's messages are well-formed");
        self.book.take(&document.messages, &self.triggers, now_ms, true)
    }

    /// The one verdict.
    fn outcome(&mut self, text: &str, now_ms: i64) -> Outcome {
        let verdicts = self.hear(text, now_ms);
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts[0].outcome
    }

    /// Events since the last look: what they do, and how many keys they replace.
    fn events(&mut self) -> Vec<(Action, String, Vec<String>)> {
        self.book.outbox.drain(..).map(|it| (it.event.action, it.event.key, it.event.replaces)).collect()
    }
}

/// A small alert: everything that matters can be said.
struct Say<'a> {
    id: &'a str,
    kind: &'a str,
    status: &'a str,
    sent_ms: i64,
    refs: String,
    event: &'a str,
    extra: &'a str,
    area: &'a str,
}

impl Default for Say<'_> {
    fn default() -> Self {
        Say {
            id: "1",
            kind: "Alert",
            status: "Actual",
            sent_ms: NOW,
            refs: String::new(),
            event: "Tornado Warning",
            extra: "",
            area: "<area><areaDesc>here</areaDesc><geocode><valueName>SAME</valueName><value>048113</value></geocode></area>",
        }
    }
}

fn written(ms: i64) -> String {
    time::canonical(ms).replace('Z', "-00:00")
}

fn refers(id: &str, sent_ms: i64) -> String {
    format!("a@b,{id},{}", written(sent_ms))
}

fn say(say: Say<'_>) -> String {
    let refs = if say.refs.is_empty() { String::new() } else { format!("<references>{}</references>", say.refs) };
    let expires = if say.extra.contains("<expires>") {
        String::new()
    } else {
        format!("<expires>{}</expires>", written(say.sent_ms + 60 * MINUTE))
    };
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{}</identifier><sender>a@b</sender><sent>{}</sent>\
         <status>{}</status><msgType>{}</msgType><scope>Public</scope>{refs}<info><category>Met</category><event>{}</event>\
         <urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>{expires}{}{}</info></alert>",
        say.id,
        written(say.sent_ms),
        say.status,
        say.kind,
        say.event,
        say.extra,
        say.area
    )
}

fn key(id: &str, sent_ms: i64) -> String {
    format!("a@b,{id},{}", time::canonical(sent_ms))
}

#[test]
fn warning_update_and_cancel_become_start_update_and_stop() {
    let mut story = Story::new();
    let keys: Vec<String> = ["001", "002", "003"]
        .iter()
        .zip([NOW, NOW + 10 * MINUTE, NOW + 20 * MINUTE])
        .map(|(n, sent)| {
            format!("w-nws.webmaster@noaa.gov,urn:oid:2.49.0.1.840.0.sample.0007.{n}.1,{}", time::canonical(sent))
        })
        .collect();
    assert_eq!(story.outcome(&samples::warning(7, NOW), NOW), Outcome::Fired);
    let event = story.book.outbox[0].event.clone();
    assert_eq!(event.title, "Tornado Warning for Larkspur County, Texas, for the next 45 minutes");
    assert!(event.body.contains("Larkspur Middle School") && event.body.ends_with("protect your head."));
    assert_eq!(event.location, "Larkspur, TX");
    assert_eq!(event.coordinates, "32.8150,-96.8750");
    assert_eq!(event.source, "NWS Prairie Junction (sample)");
    assert_eq!(event.expires_ms, Some(NOW + 45 * MINUTE));
    assert_eq!(event.fields["event_code"], "TOR");
    assert_eq!(story.events(), [(Action::Start, keys[0].clone(), vec![])]);

    assert_eq!(story.outcome(&samples::warning(7, NOW), NOW + MINUTE), Outcome::Duplicate);
    assert_eq!(story.outcome(&samples::update(7, NOW, NOW + 10 * MINUTE), NOW + 10 * MINUTE), Outcome::Updated);
    assert_eq!(story.events(), [(Action::Update, keys[1].clone(), vec![keys[0].clone()])]);
    // The cancellation names the first message only; what runs is the second.
    assert_eq!(story.outcome(&samples::cancel(7, NOW, NOW + 20 * MINUTE), NOW + 20 * MINUTE), Outcome::Stopped);
    assert_eq!(story.events(), [(Action::Stop, keys[2].clone(), vec![keys[0].clone(), keys[1].clone()])]);
    assert_eq!(story.book.tick(&story.triggers, NOW + 90 * MINUTE), [], "what was ended does not end again");
}

#[test]
fn all_three_at_once_never_sound() {
    let mut story = Story::new();
    let whole =
        [samples::cancel(7, NOW, NOW + 2 * MINUTE), samples::warning(7, NOW), samples::update(7, NOW, NOW + MINUTE)];
    let alerts: Vec<String> = whole.iter().map(|it| it.split_once("?>").expect("a declaration").1.to_owned()).collect();
    let verdicts = story.hear(&format!("<alerts>{}</alerts>", alerts.concat()), NOW + 3 * MINUTE);
    assert_eq!(
        verdicts.iter().map(|it| it.outcome).collect::<Vec<_>>(),
        [Outcome::Superseded, Outcome::Fired, Outcome::Stopped]
    );
    // The cancellation does not name the update, but it ends the same hazard: nothing that sounds is left to send.
    assert!(story.events().iter().all(|(action, ..)| *action == Action::Stop));
}

#[test]
fn a_cancel_before_its_original_is_remembered() {
    let mut story = Story::new();
    assert_eq!(story.outcome(&samples::cancel(7, NOW, NOW + MINUTE), NOW + MINUTE), Outcome::Logged);
    let saved = serde_json::to_string(&story.book).expect("plain data");
    story.book = serde_json::from_str(&saved).expect("reads back");
    assert_eq!(story.outcome(&samples::warning(7, NOW), NOW + 5 * MINUTE), Outcome::Superseded);
    assert_eq!(story.events(), []);
    let late = NOW + 23 * 60 * MINUTE;
    story.book.tick(&story.triggers, late);
    let again =
        say(Say { id: "late", extra: &format!("<expires>{}</expires>", written(late + MINUTE)), ..Say::default() });
    let cancel = say(Say { id: "c", kind: "Cancel", refs: refers("late", NOW), sent_ms: NOW + 1, ..Say::default() });
    let mut story = Story::new();
    story.hear(&cancel, NOW);
    story.book.tick(&story.triggers, late);
    assert_eq!(story.outcome(&again, late), Outcome::Superseded, "after 23 hours it still holds");
}

#[test]
fn a_reference_with_another_time_still_ends_what_it_names() {
    let mut story = Story::new();
    story.hear(&say(Say::default()), NOW);
    let cancel =
        say(Say { id: "2", kind: "Cancel", sent_ms: NOW + MINUTE, refs: refers("1", NOW - 5000), ..Say::default() });
    assert_eq!(story.outcome(&cancel, NOW + MINUTE), Outcome::Stopped);
    // A reference to itself or into the future is no reference.
    let mut story = Story::new();
    story.hear(&say(Say::default()), NOW);
    let looped = format!("{} {}", refers("2", NOW + MINUTE), refers("1", NOW + 9 * MINUTE));
    let cancel = say(Say { id: "2", kind: "Cancel", sent_ms: NOW + MINUTE, refs: looped, ..Say::default() });
    assert_eq!(story.outcome(&cancel, NOW + MINUTE), Outcome::Logged);
}

#[test]
fn chains_are_followed_when_only_the_last_predecessor_is_named() {
    let mut story = Story::new();
    story.hear(&say(Say::default()), NOW);
    let second = say(Say { id: "2", kind: "Update", sent_ms: NOW + MINUTE, refs: refers("1", NOW), ..Say::default() });
    let third = say(Say {
        id: "3",
        kind: "Update",
        sent_ms: NOW + 2 * MINUTE,
        refs: refers("2", NOW + MINUTE),
        ..Say::default()
    });
    story.hear(&second, NOW + MINUTE);
    story.hear(&third, NOW + 2 * MINUTE);
    let last = story.events().pop().expect("an event");
    assert_eq!(last, (Action::Update, key("3", NOW + 2 * MINUTE), vec![key("1", NOW), key("2", NOW + MINUTE)]));
}

#[test]
fn a_late_update_does_not_overtake_a_later_one() {
    let mut story = Story::new();
    let all = format!("{} {}", refers("1", NOW), refers("2", NOW + MINUTE));
    story.hear(
        &say(Say { id: "3", kind: "Update", sent_ms: NOW + 2 * MINUTE, refs: all, ..Say::default() }),
        NOW + 2 * MINUTE,
    );
    let second = say(Say { id: "2", kind: "Update", sent_ms: NOW + MINUTE, refs: refers("1", NOW), ..Say::default() });
    assert_eq!(story.outcome(&second, NOW + 3 * MINUTE), Outcome::Superseded);
    assert_eq!(story.outcome(&say(Say::default()), NOW + 3 * MINUTE), Outcome::Superseded);
    assert_eq!(story.events().len(), 1);
}

#[test]
fn an_update_that_leaves_our_place_ends_what_runs() {
    let mut story = Story::with(|it| it.places = vec!["048113".to_owned()]);
    story.hear(&say(Say::default()), NOW);
    let elsewhere =
        "<area><areaDesc>there</areaDesc><geocode><valueName>SAME</valueName><value>048085</value></geocode></area>";
    let update = say(Say {
        id: "2",
        kind: "Update",
        sent_ms: NOW + MINUTE,
        refs: refers("1", NOW),
        area: elsewhere,
        ..Say::default()
    });
    let verdicts = story.hear(&update, NOW + MINUTE);
    assert_eq!(verdicts[0].outcome, Outcome::Stopped);
    assert!(verdicts[0].reason.contains("the area is elsewhere: there"), "{}", verdicts[0].reason);
    assert_eq!(story.events().pop().expect("an event").0, Action::Stop);
}

#[test]
fn a_hazard_that_ends_in_the_next_county_goes_on_in_ours() {
    let vtec = |action: &str| {
        format!(
            "<parameter><valueName>VTEC</valueName><value>/O.{action}.KFWD.TO.W.0042.261123T1200Z-261123T1245Z/</value></parameter>"
        )
    };
    let there =
        "<area><areaDesc>there</areaDesc><geocode><valueName>SAME</valueName><value>048085</value></geocode></area>";
    for cancel_first in [true, false] {
        let mut story = Story::with(|it| it.places = vec!["048113".to_owned()]);
        assert_eq!(story.outcome(&say(Say { extra: &vtec("NEW"), ..Say::default() }), NOW), Outcome::Fired);
        story.events();
        let cancel = say(Say {
            id: "2.1",
            kind: "Cancel",
            sent_ms: NOW + MINUTE,
            refs: refers("1", NOW),
            extra: &vtec("CAN"),
            area: there,
            ..Say::default()
        });
        let go_on = say(Say {
            id: "2.2",
            kind: "Update",
            sent_ms: NOW + MINUTE,
            refs: refers("1", NOW),
            extra: &vtec("CON"),
            ..Say::default()
        });
        for message in if cancel_first { [&cancel, &go_on] } else { [&go_on, &cancel] } {
            story.hear(message, NOW + MINUTE);
        }
        let events = story.events();
        assert_eq!(events.len(), 1, "cancel first: {cancel_first}: {events:?}");
        assert_eq!((events[0].0, &events[0].1), (Action::Update, &key("2.2", NOW + MINUTE)));
        // In another order of all three the warning that still holds for us is not lost either.
        let mut story = Story::with(|it| it.places = vec!["048113".to_owned()]);
        story.hear(&cancel, NOW + MINUTE);
        assert_eq!(story.outcome(&say(Say { extra: &vtec("NEW"), ..Say::default() }), NOW + MINUTE), Outcome::Fired);
    }
}

#[test]
fn the_weather_service_cancels_by_alert_and_update_too() {
    for (action, kind) in [("CAN", "Alert"), ("EXP", "Update"), ("UPG", "Alert")] {
        let vtec = |action: &str| {
            format!(
                "<parameter><valueName>VTEC</valueName><value>/O.{action}.KFWD.TO.W.0042.261123T1200Z-261123T1245Z/</value></parameter>"
            )
        };
        let mut story = Story::new();
        story.hear(&say(Say { extra: &vtec("NEW"), ..Say::default() }), NOW);
        let over = say(Say { id: "2", kind, sent_ms: NOW + MINUTE, extra: &vtec(action), ..Say::default() });
        assert_eq!(story.outcome(&over, NOW + MINUTE), Outcome::Stopped, "{action}");
    }
}

#[test]
fn repetitions_under_new_identifiers_are_held_back_but_never_a_tornado() {
    let other = |id| say(Say { id, event: "Flash Flood Warning", ..Say::default() });
    let mut story = Story::with(|it| it.sets = Vec::new());
    assert_eq!(story.outcome(&other("1"), NOW), Outcome::Fired);
    assert_eq!(story.outcome(&other("2"), NOW + 29 * MINUTE), Outcome::Duplicate);
    assert_eq!(story.outcome(&other("3"), NOW + 31 * MINUTE), Outcome::Fired);
    assert_eq!(story.outcome(&say(Say { id: "4", ..Say::default() }), NOW), Outcome::Fired);
    assert_eq!(story.outcome(&say(Say { id: "5", ..Say::default() }), NOW + MINUTE), Outcome::Fired);
}

#[test]
fn only_what_is_meant_sounds_and_tests_say_that_they_are_tests() {
    for status in ["Test", "Exercise", "System", "Draft"] {
        let mut story = Story::new();
        let text = say(Say { status, ..Say::default() });
        assert_eq!(story.outcome(&text, NOW), Outcome::Filtered, "{status}");
        let mut story = Story::with(|it| it.tests = true);
        let expected = if matches!(status, "Test" | "Exercise") { Outcome::Fired } else { Outcome::Filtered };
        assert_eq!(story.outcome(&text, NOW), expected, "{status}");
        if let Some(waiting) = story.book.outbox.front() {
            assert!(
                waiting.event.title.starts_with(&format!("{}: ", status.to_uppercase())),
                "{}",
                waiting.event.title
            );
            assert!(waiting.event.body.starts_with(&status.to_uppercase()));
        }
    }
    let code = "<parameter><valueName>x</valueName><value>y</value></parameter>";
    let weekly = say(Say { extra: code, ..Say::default() }).replace(
        "<certainty>Observed</certainty>",
        "<certainty>Observed</certainty><eventCode><valueName>SAME</valueName><value>RWT</value></eventCode>",
    );
    assert_eq!(Story::with(|it| it.sets = vec![]).outcome(&weekly, NOW), Outcome::Filtered);
}

#[test]
fn time_decides_at_both_ends() {
    let until = |ms: i64| format!("<expires>{}</expires>", written(ms));
    let mut story = Story::new();
    assert_eq!(story.outcome(&say(Say { extra: &until(NOW - 3 * MINUTE), ..Say::default() }), NOW), Outcome::Expired);
    let wrong_clock = say(Say { id: "2", extra: &until(NOW - MINUTE), ..Say::default() });
    assert_eq!(story.outcome(&wrong_clock, NOW), Outcome::Fired, "a clock may be two minutes wrong");

    let mut story = Story::new();
    story.hear(&say(Say::default()), NOW);
    story.events();
    assert_eq!(story.book.tick(&story.triggers, NOW + 59 * MINUTE), []);
    let ended = story.book.tick(&story.triggers, NOW + 60 * MINUTE);
    assert_eq!(ended[0].outcome, Outcome::Stopped);
    let stop = (Action::Stop, format!("ended,{}", key("1", NOW)), vec![key("1", NOW)]);
    assert_eq!(story.events(), [stop]);

    // The text is replaced in ten minutes, the hazard ends in an hour: the hazard counts.
    let ends = format!(
        "<expires>{}</expires><parameter><valueName>eventEndingTime</valueName><value>{}</value></parameter>",
        written(NOW - 10 * MINUTE),
        written(NOW + 60 * MINUTE)
    );
    let mut story = Story::new();
    assert_eq!(story.outcome(&say(Say { extra: &ends, ..Say::default() }), NOW), Outcome::Fired);
    assert_eq!(story.book.outbox[0].until_ms, NOW + 60 * MINUTE);
}

/// The next look at the clock ended it in the same second: a second verdict for one message, and an alarm that only chirps.
#[test]
fn what_acts_because_clocks_differ_is_not_ended_by_the_next_look_at_the_clock() {
    let mut story = Story::with(|settings| settings.sets.clear());
    let ended = say(Say {
        sent_ms: NOW - 10 * MINUTE,
        extra: &format!("<expires>{}</expires>", written(NOW - MINUTE)),
        ..Say::default()
    });
    assert_eq!(story.outcome(&ended, NOW), Outcome::Fired);
    assert_eq!(story.book.tick(&story.triggers, NOW), [], "it has one verdict, and its event stays to be offered");
    assert_eq!(story.book.outbox.front().and_then(|it| it.event.expires_ms), Some(NOW + MINUTE));
    assert_eq!(story.events().len(), 1);
    let over = story.book.tick(&story.triggers, NOW + MINUTE);
    assert_eq!((over.len(), over[0].outcome), (1, Outcome::Stopped), "it is over when it is over by any clock");
}

#[test]
fn what_is_not_in_force_yet_waits_and_may_be_cancelled_meanwhile() {
    let later = format!(
        "<effective>{}</effective><expires>{}</expires>",
        written(NOW + 30 * MINUTE),
        written(NOW + 90 * MINUTE)
    );
    let mut story = Story::new();
    assert_eq!(story.outcome(&say(Say { extra: &later, ..Say::default() }), NOW), Outcome::Held);
    assert_eq!(story.events(), []);
    let saved = serde_json::to_string(&story.book).expect("plain data");
    story.book = serde_json::from_str(&saved).expect("reads back");
    let verdicts = story.book.tick(&story.triggers, NOW + 30 * MINUTE);
    assert_eq!(verdicts[0].outcome, Outcome::Fired, "{verdicts:?}");

    let mut story = Story::new();
    story.hear(&say(Say { extra: &later, ..Say::default() }), NOW);
    let cancel = say(Say { id: "2", kind: "Cancel", sent_ms: NOW + MINUTE, refs: refers("1", NOW), ..Say::default() });
    story.hear(&cancel, NOW + MINUTE);
    assert_eq!(story.book.tick(&story.triggers, NOW + 30 * MINUTE)[0].outcome, Outcome::Superseded);
    assert_eq!(story.events(), []);
}

#[test]
fn minor_changes_and_unwanted_updates_are_not_heard_but_belong_to_the_chain() {
    let minor = "<parameter><valueName>profile:CAP-CP:0.4:MinorChange</valueName><value>text</value></parameter>";
    for (settings_off, extra) in [(false, minor), (true, "")] {
        let mut story = Story::with(|it| it.updates = !settings_off);
        story.hear(&say(Say::default()), NOW);
        story.events();
        let update = say(Say {
            id: "2",
            kind: "Update",
            sent_ms: NOW + MINUTE,
            refs: refers("1", NOW),
            extra,
            ..Say::default()
        });
        assert_eq!(story.outcome(&update, NOW + MINUTE), Outcome::Quiet);
        assert_eq!(story.events(), []);
        let cancel = say(Say {
            id: "3",
            kind: "Cancel",
            sent_ms: NOW + 2 * MINUTE,
            refs: refers("2", NOW + MINUTE),
            ..Say::default()
        });
        assert_eq!(story.outcome(&cancel, NOW + 2 * MINUTE), Outcome::Stopped);
        assert!(story.events()[0].2.contains(&key("1", NOW)));
    }
}

#[test]
fn receipts_and_rejections_are_kept_for_the_record_only() {
    for kind in ["Ack", "Error"] {
        let mut story = Story::new();
        let text = say(Say { id: "2", kind, refs: refers("1", NOW - 1000), ..Say::default() });
        assert_eq!(story.outcome(&text, NOW), Outcome::Logged);
        assert_eq!(story.events(), []);
    }
}

#[test]
fn the_danger_is_over_may_be_said() {
    let mut story = Story::with(|it| it.all_clear = true);
    story.hear(&samples::warning(7, NOW), NOW);
    story.events();
    assert_eq!(story.outcome(&samples::cancel(7, NOW, NOW + MINUTE), NOW + MINUTE), Outcome::Updated);
    let event = story.book.outbox[0].event.clone();
    assert_eq!(event.action, Action::Update);
    assert!(event.body.contains("no longer carries a tornado") && event.replaces.len() == 1);
    let mut story = Story::with(|it| it.all_clear = true);
    assert_eq!(
        story.outcome(&samples::cancel(7, NOW, NOW + MINUTE), NOW + MINUTE),
        Outcome::Logged,
        "of nothing: silence"
    );
}

#[test]
fn the_first_condition_that_failed_is_named() {
    let reason =
        |change: fn(&mut TriggerSettings)| Story::with(change).hear(&samples::warning(1, NOW), NOW)[0].reason.clone();
    use plugin_cap::settings::LeastSeverity;
    assert!(
        reason(|it| it.events = vec!["x".into()]).contains("every condition holds"),
        "names and sets are alternatives"
    );
    assert_eq!(
        reason(|it| (it.sets, it.codes) = (vec![], vec!["FFW".into()])),
        "event Tornado Warning (TOR) is not one of this trigger's"
    );
    assert!(reason(|it| it.places = vec!["048113".into()]).starts_with("the area is elsewhere: Larkspur, TX"));
    assert!(
        reason(|it| it.senders = vec!["@example.org".into()]).starts_with("sender w-nws.webmaster@noaa.gov is not")
    );
    assert!(reason(|it| it.parameters = vec!["maxHailSize>2".into()]).contains("no parameter fits `maxHailSize>2`"));
    let verdict = Story::with(|it| it.severity = LeastSeverity::Severe)
        .hear(&samples::warning(1, NOW).replace("<severity>Extreme", "<severity>Unknown"), NOW)[0]
        .reason
        .clone();
    assert_eq!(verdict, "severity is Unknown, and this trigger asks for Severe or more");
}

#[test]
fn the_shape_decides_before_the_codes() {
    let site = |text: &str| plugin_cap::settings::Site::try_from(text.to_owned()).expect("a place");
    let outcome = |lat_lon: &str, places: &[&str]| {
        let places = places.iter().map(|it| (*it).to_owned()).collect();
        let mut story = Story::with(|it| (it.site, it.places) = (site(lat_lon), places));
        story.outcome(&samples::warning(1, NOW), NOW)
    };
    assert_eq!(outcome("32.80,-96.90", &[]), Outcome::Fired);
    assert_eq!(outcome("33.50,-96.90", &["048999"]), Outcome::Filtered, "in the county, outside of the storm");
    assert_eq!(outcome("32.80,-96.90", &["048001"]), Outcome::Fired);
    let without = samples::warning(1, NOW).replace("<polygon>", "<!--").replace("</polygon>", "-->");
    let mut story = Story::with(|it| it.site = site("32.80,-96.90"));
    assert_eq!(story.outcome(&without, NOW), Outcome::Filtered, "the area is unknown");
    let mut story = Story::with(|it| (it.site, it.places) = (site("32.80,-96.90"), vec!["TX".to_owned()]));
    assert_eq!(story.outcome(&without, NOW), Outcome::Fired, "without a shape the codes decide");
}

#[test]
fn one_alert_in_two_languages_fires_once_in_the_wanted_one() {
    let second = "<info><language>es-US</language><category>Met</category><event>Aviso de tornado</event>\
                  <urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>\
                  <headline>Aviso</headline><area><areaDesc>aqui</areaDesc><geocode><valueName>SAME</valueName>\
                  <value>048113</value></geocode></area></info></alert>";
    let text = say(Say::default()).replace("</alert>", second);
    for (language, title) in
        [("en-US", "Tornado Warning"), ("es", "Aviso"), ("ES_us", "Aviso"), ("fr", "Tornado Warning")]
    {
        let mut story = Story::with(|it| it.language = language.to_owned());
        assert_eq!(story.outcome(&text, NOW), Outcome::Fired);
        assert_eq!((story.book.outbox.len(), story.book.outbox[0].event.title.as_str()), (1, title), "{language}");
    }
}

#[test]
fn settings_that_change_have_the_rest_judged_anew_but_nothing_sent_twice() {
    let mut story = Story::with(|it| it.places = vec!["048001".to_owned()]);
    assert_eq!(story.outcome(&say(Say::default()), NOW), Outcome::Filtered);
    assert_eq!(story.outcome(&say(Say::default()), NOW), Outcome::Duplicate);
    story.triggers = vec![trigger(|it| it.places = vec!["048113".to_owned()])];
    story.book.set_triggers(&story.triggers);
    assert_eq!(story.outcome(&say(Say::default()), NOW), Outcome::Fired);
    story.triggers = vec![trigger(|it| it.places = vec!["TX".to_owned()])];
    story.book.set_triggers(&story.triggers);
    assert_eq!(story.outcome(&say(Say::default()), NOW), Outcome::Duplicate);
}

/// Two servers hear the same messages in another order and in other company; what they say is named alike.
#[test]
fn two_servers_name_what_they_saw_alike() {
    let messages: Vec<String> = (1..=4)
        .flat_map(|n| [samples::warning(n, NOW), samples::update(n, NOW, NOW + MINUTE)])
        .map(|text| text.replace("-00:00</sent>", "+00:00</sent>"))
        .collect();
    let read = |text: &String| -> Message {
        wire::read(text.as_bytes(), Hint::default()).expect("is read").messages.remove(0)
    };
    let heard: Vec<Message> = messages.iter().map(read).collect();
    let run = |order: Vec<usize>, together: usize| -> Vec<(Action, String)> {
        let mut story = Story::new();
        for part in order.chunks(together) {
            let part: Vec<Message> = part.iter().map(|index| heard[*index].clone()).collect();
            story.book.take(&part, &story.triggers, NOW + 2 * MINUTE, true);
        }
        let mut last: Vec<(Action, String)> =
            story.events().into_iter().filter(|it| it.1.contains(".002.1")).map(|it| (it.0, it.1)).collect();
        last.sort_by(|a, b| a.1.cmp(&b.1));
        last
    };
    let straight = run((0..8).collect(), 1);
    assert_eq!(straight.len(), 4);
    assert_eq!(run((0..8).rev().collect(), 1), straight);
    assert_eq!(run(vec![3, 1, 7, 0, 5, 2, 4, 6], 3), straight);
    assert_eq!(run((0..8).collect(), 8), straight);
}
