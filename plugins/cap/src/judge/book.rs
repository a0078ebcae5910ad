//! What is remembered: which messages were seen and judged, which are gone, what runs, what waits. Arrivals, updates and
//! cancellations are applied by when they were sent, not by when they came.

mod forget;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use onealert_plugin_api::document::TriggerEvent;
use serde::{Deserialize, Serialize};

use super::{
    Outcome, Rules, Verdict,
    bits::Bits,
    filter::{Found, Miss},
    incident::Incident,
    vtec,
};
use crate::wire::{Alert, Class, Message, MsgType, Reference, Status};

/// A day: how long what is over is remembered at least.
pub const DAY_MS: i64 = 86_400_000;
/// Most messages that wait for their time.
const HELD: usize = 1_000;

/// One trigger, ready to be asked.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its key.
    pub key: String,
    /// Its conditions.
    pub rules: Rules,
}

/// An event that the server has not taken yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outgoing {
    /// The event.
    pub event: TriggerEvent,
    /// The message it came from.
    pub subject: String,
    /// Past this it is dropped.
    pub until_ms: i64,
    /// How often it was offered in vain.
    #[serde(default)]
    pub tries: u32,
}

/// A message that was seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    /// Until when it is remembered.
    keep_ms: i64,
    /// Which triggers have judged it, by slot.
    judged: Bits,
}

/// A message that another one replaced or cancelled.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Gone {
    /// Identifier of the other one.
    by: String,
    /// When the other one was sent.
    by_sent_ms: i64,
    cancelled: bool,
    status: Status,
    keep_ms: i64,
    /// Triggers, by slot, for whose place the other one was not meant: a hazard may end in one county and go on in the next.
    not_for: Bits,
}

/// A trigger's place in the sets of triggers.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slot {
    trigger: String,
    fingerprint: String,
}

/// A message that waits for its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Held {
    pub trigger: String,
    pub key: String,
    pub due_ms: i64,
    pub alert: Alert,
}

/// A file as it was when it was dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// Its length.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// When it was last seen.
    pub seen_ms: i64,
}

/// Everything that is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    known: HashMap<String, Known>,
    gone: HashMap<String, Gone>,
    slots: Vec<Option<Slot>>,
    pub(super) incidents: BTreeMap<String, Vec<Incident>>,
    held: Vec<Held>,
    /// Events that the server has not taken yet, oldest first.
    pub outbox: VecDeque<Outgoing>,
    /// Files that were dealt with, by path.
    pub files: BTreeMap<String, FileMark>,
    /// Until when cancellations of unknown messages are passed on, after what was remembered was lost.
    pub(super) forgot_until_ms: i64,
    /// Whether something changed that is not saved.
    #[serde(skip)]
    pub changed: bool,
}

/// A message on its way through one trigger.
pub(super) struct Case<'a> {
    pub trigger: &'a Trigger,
    pub alert: &'a Alert,
    pub key: &'a str,
    pub sent_ms: i64,
    pub references: &'a [Reference],
    pub now_ms: i64,
}

impl Book {
    /// An empty one after the old one was lost.
    pub fn after_loss(now_ms: i64) -> Book {
        Book { forgot_until_ms: now_ms + DAY_MS, changed: true, ..Book::default() }
    }

    /// Takes the whole list of triggers. What a trigger left out by settings that have changed since is judged anew.
    pub fn set_triggers(&mut self, triggers: &[Arc<Trigger>]) {
        let is_there = |key: &str| triggers.iter().any(|trigger| trigger.key == key);
        let mut cleared = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|slot| !is_there(&slot.trigger)) {
                *slot = None;
                cleared.push(index);
            }
        }
        for trigger in triggers {
            let slot = Slot { trigger: trigger.key.clone(), fingerprint: trigger.rules.fingerprint.clone() };
            let own = |it: &Option<Slot>| it.as_ref().is_some_and(|it| it.trigger == trigger.key);
            let index = self.slots.iter().position(own).or_else(|| self.slots.iter().position(Option::is_none));
            match index {
                Some(index) => {
                    if self.slots[index].as_ref().is_none_or(|old| old.fingerprint != slot.fingerprint) {
                        cleared.push(index);
                        self.slots[index] = Some(slot);
                    }
                }
                None => {
                    self.slots.push(Some(slot));
                    self.changed = true;
                }
            }
        }
        if !cleared.is_empty() {
            self.changed = true;
            for index in &cleared {
                self.known.values_mut().for_each(|known| known.judged.put(*index, false));
                self.gone.values_mut().for_each(|gone| gone.not_for.put(*index, false));
            }
        }
        let before = (self.incidents.len(), self.held.len(), self.outbox.len());
        self.incidents.retain(|trigger, _| is_there(trigger));
        self.held.retain(|held| is_there(&held.trigger));
        self.outbox.retain(|outgoing| is_there(&outgoing.event.trigger));
        self.changed |= before != (self.incidents.len(), self.held.len(), self.outbox.len());
    }

    fn slot(&self, trigger: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.trigger == trigger))
    }

    /// Judges messages that came together, for these triggers. With `say_all` a message that was judged before gets a verdict
    /// too; a feed repeats itself at every poll and needs none.
    pub fn take(
        &mut self,
        messages: &[Message],
        triggers: &[Arc<Trigger>],
        now_ms: i64,
        say_all: bool,
    ) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut usable: Vec<(String, i64, &Message, Vec<Reference>)> = Vec::new();
        for message in messages {
            let alert = &message.alert;
            match (alert.key(), &alert.sent) {
                (Some(key), Some(sent)) if message.worst() < Some(Class::Essential) => {
                    let references = sound_references(alert, sent.ms);
                    usable.push((key, sent.ms, message, references));
                }
                _ => verdicts.extend(self.refuse(message, now_ms, say_all)),
            }
        }
        // All are told what is gone before any is judged: what was cancelled in the same breath never sounds.
        for (_, sent_ms, message, references) in &usable {
            self.replace(&message.alert, *sent_ms, references, triggers, now_ms);
        }
        for trigger in triggers {
            let Some(slot) = self.slot(&trigger.key) else { continue };
            let mut order = Vec::with_capacity(usable.len());
            for (index, (key, sent_ms, message, _)) in usable.iter().enumerate() {
                if self.is_judged(key, slot, &trigger.key) {
                    if say_all {
                        let reason = "it was judged before".to_owned();
                        verdicts.push(verdict(message, Some(&trigger.key), Outcome::Duplicate, reason));
                    }
                    continue;
                }
                let result = trigger.rules.matches(&message.alert, now_ms);
                order.push((*sent_ms, result.is_err(), index, result));
            }
            // One product may come as several messages of one instant: what matches goes before what ends the rest.
            order.sort_by(|a, b| {
                let id = |index: usize| &usable[index].2.alert.identifier;
                (a.0, a.1, id(a.2)).cmp(&(b.0, b.1, id(b.2)))
            });
            for (sent_ms, _, index, result) in order {
                let (key, _, message, references) = &usable[index];
                if self.is_judged(key, slot, &trigger.key) {
                    if say_all {
                        let reason = "it stands twice in one document".to_owned();
                        verdicts.push(verdict(message, Some(&trigger.key), Outcome::Duplicate, reason));
                    }
                    continue;
                }
                let case = Case { trigger, alert: &message.alert, key, sent_ms, references, now_ms };
                let (outcome, reason) = self.judge(&case, slot, result);
                verdicts.push(verdict(message, Some(&trigger.key), outcome, reason));
                self.remember(key, slot, now_ms);
            }
        }
        self.bound();
        verdicts
    }

    fn is_judged(&self, key: &str, slot: usize, trigger: &str) -> bool {
        self.known.get(key).is_some_and(|known| known.judged.has(slot))
            || self.incidents.get(trigger).is_some_and(|list| list.iter().any(|it| it.chain.contains(key)))
    }

    fn remember(&mut self, key: &str, slot: usize, now_ms: i64) {
        let fresh = || Known { keep_ms: 0, judged: Bits::default() };
        let known = self.known.entry(key.to_owned()).or_insert_with(fresh);
        known.keep_ms = known.keep_ms.max(now_ms + 8 * DAY_MS);
        known.judged.put(slot, true);
        self.changed = true;
    }

    /// A message that cannot act: said once, counted as seen.
    fn refuse(&mut self, message: &Message, now_ms: i64, say_all: bool) -> Option<Verdict> {
        let worst = message.problems.iter().max_by_key(|problem| problem.class);
        let reason = worst.map_or_else(|| "it has no key".to_owned(), ToString::to_string);
        let key = format!("refused,{},{},{reason}", message.alert.sender, message.alert.identifier);
        let again = self.known.contains_key(&key);
        self.known.insert(key, Known { keep_ms: now_ms + DAY_MS, judged: Bits::default() });
        self.changed |= !again;
        (say_all || !again).then(|| verdict(message, None, Outcome::Refused, reason))
    }

    /// Notes which messages are gone by this one.
    fn replace(
        &mut self,
        alert: &Alert,
        sent_ms: i64,
        references: &[Reference],
        triggers: &[Arc<Trigger>],
        now_ms: i64,
    ) {
        let cancelled = alert.msg_type == Some(MsgType::Cancel);
        if !cancelled && alert.msg_type != Some(MsgType::Update) {
            return;
        }
        let mut not_for = Bits::default();
        for trigger in triggers {
            if vtec::is_elsewhere(alert, &trigger.rules)
                && let Some(slot) = self.slot(&trigger.key)
            {
                not_for.put(slot, true);
            }
        }
        let gone = Gone {
            by: alert.identifier.clone(),
            by_sent_ms: sent_ms,
            cancelled,
            status: alert.status.unwrap_or(Status::Actual),
            keep_ms: now_ms + 8 * DAY_MS,
            not_for,
        };
        for reference in references {
            let by_identifier = Some(format!("id:{}", reference.identifier));
            for name in reference.key().into_iter().chain(by_identifier) {
                match self.gone.get_mut(&name) {
                    Some(old) if old.by == gone.by && old.by_sent_ms == sent_ms => {}
                    Some(old) => {
                        let not_for = old.not_for.both(&gone.not_for);
                        if old.by_sent_ms <= sent_ms {
                            *old = gone.clone();
                        }
                        old.not_for = not_for;
                        self.changed = true;
                    }
                    None => {
                        self.gone.insert(name, gone.clone());
                        self.changed = true;
                    }
                }
            }
        }
    }

    /// Who took this message's place, for this trigger.
    pub(super) fn successor(&self, case: &Case<'_>, slot: usize) -> Option<String> {
        let by_identifier = format!("id:{}", case.alert.identifier);
        let status = case.alert.status;
        [case.key, &by_identifier].into_iter().filter_map(|name| self.gone.get(name)).find_map(|gone| {
            // The sender may use an identifier again after the old message is gone: that one lives.
            let meant = gone.by_sent_ms >= case.sent_ms && gone.by != case.alert.identifier;
            let what = if gone.cancelled { "cancelled" } else { "replaced" };
            (meant && Some(gone.status) == status && !gone.not_for.has(slot))
                .then(|| format!("it was {what} by {} before it came", gone.by))
        })
    }

    fn judge(&mut self, case: &Case<'_>, slot: usize, result: Result<Found, Miss>) -> (Outcome, String) {
        super::life::judge(self, case, slot, result)
    }

    /// Keeps a message until its time.
    pub(super) fn hold(&mut self, case: &Case<'_>, due_ms: i64) -> bool {
        if self.held.len() >= HELD {
            return false;
        }
        self.held.push(Held {
            trigger: case.trigger.key.clone(),
            key: case.key.to_owned(),
            due_ms,
            alert: case.alert.clone(),
        });
        true
    }

    /// What time alone brings: ends, and messages whose time has come. Says what became of them.
    pub fn tick(&mut self, triggers: &[Arc<Trigger>], now_ms: i64) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let (due, wait): (Vec<Held>, Vec<Held>) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.due_ms <= now_ms);
        self.held = wait;
        for held in due {
            self.changed = true;
            let Some(trigger) = triggers.iter().find(|trigger| trigger.key == held.trigger) else { continue };
            let Some(slot) = self.slot(&trigger.key) else { continue };
            let sent_ms = held.alert.sent.as_ref().map_or(now_ms, |sent| sent.ms);
            let references = sound_references(&held.alert, sent_ms);
            let case = Case { trigger, alert: &held.alert, key: &held.key, sent_ms, references: &references, now_ms };
            let result = trigger.rules.matches(&held.alert, now_ms);
            let (outcome, reason) = self.judge(&case, slot, result);
            verdicts.push(Verdict {
                subject: held.alert.identifier.clone(),
                trigger: Some(held.trigger),
                outcome,
                reason,
                problems: Vec::new(),
            });
        }
        verdicts.extend(super::life::expire(self, triggers, now_ms));
        verdicts.extend(self.drop_late(now_ms));
        self.forget(now_ms);
        verdicts
    }
}

/// References that can be meant: a message speaks neither of itself nor of a later one.
fn sound_references(alert: &Alert, sent_ms: i64) -> Vec<Reference> {
    let own = |reference: &Reference| reference.identifier == alert.identifier && reference.sent_ms == Some(sent_ms);
    let sound = |reference: &&Reference| !own(reference) && reference.sent_ms.is_none_or(|earlier| earlier <= sent_ms);
    alert.references.iter().filter(sound).cloned().collect()
}

fn verdict(message: &Message, trigger: Option<&str>, outcome: Outcome, reason: String) -> Verdict {
    let identifier = &message.alert.identifier;
    Verdict {
        subject: if identifier.is_empty() { "(no identifier)".to_owned() } else { identifier.clone() },
        trigger: trigger.map(str::to_owned),
        outcome,
        reason,
        problems: message.problems.iter().map(ToString::to_string).collect(),
    }
}
