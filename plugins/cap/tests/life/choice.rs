//! What a trigger acts on, and what it says then.

use onealert_plugin_api::document::Action;
use plugin_cap::{judge::Outcome, samples, settings::TriggerSettings};

use crate::story::{MINUTE, NOW, Say, Story, say, trigger};

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
