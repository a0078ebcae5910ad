//! A dry run: what would a trigger do with this document, and which condition would fail first?

use std::sync::Arc;

use super::{Book, Outcome, Rules, Trigger, Verdict};
use crate::{
    settings::{Settings, TriggerSettings},
    wire::{self, Hint},
};

/// Judges a document as if nothing had been seen before. Changes nothing, sends nothing.
pub fn explain(bytes: &[u8], settings: &TriggerSettings, now_ms: i64) -> Vec<Verdict> {
    let document = match wire::read(bytes, Hint::default()) {
        Ok(document) => document,
        Err(refusal) => return vec![refused(refusal.to_string())],
    };
    if document.messages.is_empty() {
        let links = document.entries.iter().filter(|entry| !entry.link.is_empty()).count();
        return vec![Verdict {
            subject: "(document)".to_owned(),
            trigger: None,
            outcome: Outcome::Logged,
            reason: format!(
                "a feed without alerts in it; {links} of its {} entries link to one",
                document.entries.len()
            ),
            problems: Vec::new(),
        }];
    }
    let rules = Rules::new(settings.clone(), &Settings::default().test_codes);
    let triggers = [Arc::new(Trigger { key: "dry run".to_owned(), rules })];
    let mut book = Book::default();
    book.set_triggers(&triggers);
    book.take(&document.messages, &triggers, now_ms, true)
}

/// A document that cannot be used at all.
fn refused(reason: String) -> Verdict {
    Verdict { subject: "(document)".to_owned(), trigger: None, outcome: Outcome::Refused, reason, problems: Vec::new() }
}
