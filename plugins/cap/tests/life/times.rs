//! What the clock decides.

use onealert_plugin_api::document::Action;
use plugin_cap::judge::Outcome;

use crate::story::{MINUTE, NOW, Say, Story, key, refers, say, written};

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
