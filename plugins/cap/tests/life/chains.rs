//! Messages that belong together: updates, cancels, references, hazards that go on elsewhere.

use onealert_plugin_api::document::Action;
use plugin_cap::{
    judge::Outcome,
    samples,
    wire::{self, Hint, Message, time},
};

use crate::story::{MINUTE, NOW, Say, Story, key, refers, say, written};

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
