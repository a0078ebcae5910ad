//! One trigger and what it hears, and small alerts in which everything that matters can be said.

use std::sync::Arc;

use onealert_plugin_api::document::Action;
use plugin_cap::{
    judge::{Book, Outcome, Rules, Trigger, Verdict},
    settings::{Settings, TriggerSettings},
    wire::{self, Hint, time},
};

pub const NOW: i64 = 1_795_435_200_000;
pub const MINUTE: i64 = 60_000;

pub fn trigger(change: impl FnOnce(&mut TriggerSettings)) -> Arc<Trigger> {
    let mut settings = TriggerSettings::default();
    change(&mut settings);
    Arc::new(Trigger { key: "t".to_owned(), rules: Rules::new(settings, &Settings::default().test_codes) })
}

pub struct Story {
    pub book: Book,
    pub triggers: Vec<Arc<Trigger>>,
}

impl Story {
    pub fn with(change: impl FnOnce(&mut TriggerSettings)) -> Story {
        let triggers = vec![trigger(change)];
        let mut book = Book::default();
        book.set_triggers(&triggers);
        Story { book, triggers }
    }

    pub fn new() -> Story {
        Story::with(|_| {})
    }

    pub fn hear(&mut self, text: &str, now_ms: i64) -> Vec<Verdict> {
        let document = wire::read(text.as_bytes(), Hint::default()).expect("the story's messages are well-formed");
        self.book.take(&document.messages, &self.triggers, now_ms, true)
    }

    /// The one verdict.
    pub fn outcome(&mut self, text: &str, now_ms: i64) -> Outcome {
        let verdicts = self.hear(text, now_ms);
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts[0].outcome
    }

    /// Events since the last look: what they do, and how many keys they replace.
    pub fn events(&mut self) -> Vec<(Action, String, Vec<String>)> {
        self.book.outbox.drain(..).map(|it| (it.event.action, it.event.key, it.event.replaces)).collect()
    }
}

/// A small alert: everything that matters can be said.
pub struct Say<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    pub status: &'a str,
    pub sent_ms: i64,
    pub refs: String,
    pub event: &'a str,
    pub extra: &'a str,
    pub area: &'a str,
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

pub fn written(ms: i64) -> String {
    time::canonical(ms).replace('Z', "-00:00")
}

pub fn refers(id: &str, sent_ms: i64) -> String {
    format!("a@b,{id},{}", written(sent_ms))
}

pub fn say(say: Say<'_>) -> String {
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

pub fn key(id: &str, sent_ms: i64) -> String {
    format!("a@b,{id},{}", time::canonical(sent_ms))
}
