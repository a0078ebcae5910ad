//! The life of one message at one trigger: does it start something, change it, end it, or nothing of these?

use std::{collections::BTreeSet, sync::Arc};

use onealert_plugin_api::document::{Action, TriggerEvent};

use super::{
    Outcome, Verdict,
    book::{Book, Case, DAY_MS, Outgoing, Trigger},
    filter::{CLOCK_MS, Condition, Found, Miss},
    incident::{self, Incident},
    text, vtec,
};
use crate::wire::{MsgType, time};

/// Decides. `result` is what the trigger's conditions say of the message.
pub fn judge(book: &mut Book, case: &Case<'_>, slot: usize, result: Result<Found, Miss>) -> (Outcome, String) {
    let kind = match case.alert.msg_type {
        Some(kind @ (MsgType::Alert | MsgType::Update | MsgType::Cancel)) => kind,
        Some(MsgType::Ack) => return (Outcome::Logged, format!("a receipt: {}", case.alert.note)),
        _ => return (Outcome::Logged, format!("a rejection: {}", case.alert.note)),
    };
    if let Err(miss) = case.trigger.rules.admits(case.alert) {
        return (Outcome::Filtered, miss.reason);
    }
    let before = predecessors(book, case);
    if let Some(reason) = book.successor(case, slot) {
        // It never sounds, but what it replaced is over all the same.
        if !before.is_empty() {
            stop(book, case, &before);
        }
        return (Outcome::Superseded, reason);
    }
    if running(book, case).iter().any(|(index, incident)| before.contains(index) && incident.head_ms > case.sent_ms) {
        return (Outcome::Superseded, "a later message of the same incident came before it".to_owned());
    }
    let lines: Vec<vtec::Vtec> = case.alert.infos.iter().flat_map(vtec::lines).collect();
    let all_over = !lines.is_empty() && lines.iter().all(vtec::Vtec::ends);
    let all_clear = kind == MsgType::Update && incident::is_all_clear(case.alert);
    if kind == MsgType::Cancel || all_over || all_clear {
        return end(book, case, before);
    }
    let found = match result {
        Ok(found) => found,
        Err(miss) if !before.is_empty() => {
            stop(book, case, &before);
            return (Outcome::Stopped, format!("what it replaces is ended, because it no longer matches: {miss}"));
        }
        Err(miss) if miss.condition == Condition::Expiry => return (Outcome::Expired, miss.reason),
        Err(miss) => return (Outcome::Filtered, miss.reason),
    };
    if found.due_ms > case.now_ms + CLOCK_MS {
        if book.hold(case, found.due_ms) {
            return (Outcome::Held, format!("it waits until {}", time::canonical(found.due_ms)));
        }
        tracing::warn!(
            identifier = case.alert.identifier,
            "too many messages wait for their time; this one is sent at once"
        );
    }
    start(book, case, kind, &found, before)
}

/// The running incidents of the trigger, with their places.
fn running<'b>(book: &'b Book, case: &Case<'_>) -> Vec<(usize, &'b Incident)> {
    let list = book.incidents.get(&case.trigger.key).map(Vec::as_slice).unwrap_or_default();
    list.iter().enumerate().filter(|(_, incident)| incident.running).collect()
}

/// Running incidents that the message speaks of; the same identifier sent again at another time speaks of its first form.
fn predecessors(book: &Book, case: &Case<'_>) -> Vec<usize> {
    running(book, case)
        .into_iter()
        .filter(|(_, it)| it.is_meant_by(case.references) || it.identifiers.contains(&case.alert.identifier))
        .map(|(index, _)| index)
        .collect()
}

/// A message that says that something is over.
fn end(book: &mut Book, case: &Case<'_>, mut before: Vec<usize>) -> (Outcome, String) {
    if vtec::is_elsewhere(case.alert, &case.trigger.rules) {
        return (Outcome::Filtered, "it ends the hazard elsewhere only".to_owned());
    }
    let over = vtec::ended(case.alert);
    for (index, incident) in running(book, case) {
        if !before.contains(&index) && incident.vtec.iter().any(|event| over.contains(event)) {
            before.push(index);
        }
    }
    if before.is_empty() {
        if case.alert.msg_type == Some(MsgType::Cancel)
            && case.now_ms < book.forgot_until_ms
            && case.trigger.rules.settings.stop
            && !case.references.is_empty()
        {
            stop(book, case, &[]);
            return (Outcome::Stopped, "what was running may have been forgotten, so the end is passed on".to_owned());
        }
        return (Outcome::Logged, "it ends nothing that this trigger has running".to_owned());
    }
    if case.trigger.rules.settings.all_clear && !case.alert.infos.is_empty() {
        let found = Found {
            blocks: (0..case.alert.infos.len()).collect(),
            // The news that it is over is good for an hour.
            ends_ms: case.now_ms + DAY_MS / 24,
            due_ms: case.now_ms,
            tornado: false,
        };
        let mut event =
            text::event(&case.trigger.key, case.key, Action::Update, case.alert, &found, &case.trigger.rules);
        event.replaces = close(book, case, &before);
        let until_ms = found.ends_ms;
        push(book, case, event, until_ms);
        return (Outcome::Updated, "the danger is over; the text that says so replaces the warning".to_owned());
    }
    stop(book, case, &before);
    (Outcome::Stopped, "it ends what is running".to_owned())
}

/// Ends incidents, and says so to the server unless the trigger is set not to.
fn stop(book: &mut Book, case: &Case<'_>, before: &[usize]) {
    let replaces = close(book, case, before);
    if !case.trigger.rules.settings.stop {
        return;
    }
    let event = TriggerEvent {
        trigger: case.trigger.key.clone(),
        key: case.key.to_owned(),
        action: Action::Stop,
        replaces,
        source: case.alert.sender.clone(),
        ..TriggerEvent::default()
    };
    push(book, case, event, case.now_ms + DAY_MS);
}

/// Marks incidents as over; gives the keys of everything that they and the references may have started.
fn close(book: &mut Book, case: &Case<'_>, before: &[usize]) -> Vec<String> {
    let mut keys = referenced(case);
    let list = book.incidents.entry(case.trigger.key.clone()).or_default();
    for index in before {
        let incident = &mut list[*index];
        incident.running = false;
        incident.join(case.key, case.alert, case.sent_ms);
        keys.extend(incident.keys.iter().cloned());
    }
    keys.remove(case.key);
    withdraw(book, case, &keys);
    keys.into_iter().collect()
}

/// Takes back what was never offered to the server: what is over already need not sound first.
fn withdraw(book: &mut Book, case: &Case<'_>, keys: &BTreeSet<String>) {
    book.outbox.retain(|it| {
        let unheard = it.tries == 0 && it.event.action != Action::Stop;
        !(unheard && it.event.trigger == case.trigger.key && keys.contains(&it.event.key))
    });
}

fn referenced(case: &Case<'_>) -> BTreeSet<String> {
    case.references.iter().filter_map(|reference| reference.key()).collect()
}

fn push(book: &mut Book, case: &Case<'_>, event: TriggerEvent, until_ms: i64) {
    book.outbox.push_back(Outgoing { event, subject: case.alert.identifier.clone(), until_ms, tries: 0 });
    book.changed = true;
}

/// A message that matches.
fn start(book: &mut Book, case: &Case<'_>, kind: MsgType, found: &Found, before: Vec<usize>) -> (Outcome, String) {
    let settings = &case.trigger.rules.settings;
    let hazards = vtec::events(case.alert);
    let likeness = incident::likeness(case.alert, &case.alert.infos[found.blocks[0]]);
    let list = book.incidents.entry(case.trigger.key.clone()).or_default();
    if let Some(first) = before.first().copied() {
        let reason = if incident::is_minor(case.alert) {
            Some("the sender marks it as a minor change")
        } else {
            (!settings.updates).then_some("this trigger does not send updates")
        };
        if let Some(reason) = reason {
            list[first].join(case.key, case.alert, case.sent_ms);
            list[first].ends_ms = found.ends_ms;
            book.changed = true;
            return (Outcome::Quiet, format!("{reason}; what is running goes on"));
        }
    }
    let mut before = before;
    if before.is_empty() {
        let same_hazard = list.iter().position(|it| it.running && it.vtec.iter().any(|event| hazards.contains(event)));
        if let Some(index) = same_hazard {
            let incident = &mut list[index];
            // Segments of one product are one warning; a tornado warning that is said again later is said again.
            if !found.tornado || incident.head_ms == case.sent_ms {
                incident.join(case.key, case.alert, case.sent_ms);
                incident.ends_ms = incident.ends_ms.max(found.ends_ms);
                book.changed = true;
                return (Outcome::Duplicate, format!("the same hazard is running already ({})", hazards.join(", ")));
            }
            before.push(index);
        }
    }
    if before.is_empty() && !found.tornado {
        let window = i64::from(settings.quiet_minutes) * 60_000;
        let alike = |it: &&Incident| it.likeness == likeness && case.now_ms - it.fired_ms < window;
        if let Some(earlier) = list.iter().find(alike) {
            let minutes = (case.now_ms - earlier.fired_ms) / 60_000;
            let reason =
                format!("the same event for the same area was sent {minutes} minutes ago under another identifier");
            return (Outcome::Duplicate, reason);
        }
    }
    let mut keys = referenced(case);
    let mut fresh = Incident {
        trigger: case.trigger.key.clone(),
        keys: Vec::new(),
        chain: BTreeSet::new(),
        identifiers: BTreeSet::new(),
        head_ms: case.sent_ms,
        fired_ms: case.now_ms,
        ends_ms: found.ends_ms,
        running: true,
        vtec: hazards,
        likeness,
    };
    for index in &before {
        let old = &mut list[*index];
        old.running = false;
        keys.extend(old.keys.iter().cloned());
        fresh.chain.append(&mut old.chain);
        fresh.identifiers.append(&mut old.identifiers);
    }
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        !before.contains(&(at - 1))
    });
    keys.remove(case.key);
    withdraw(book, case, &keys);
    let list = book.incidents.entry(case.trigger.key.clone()).or_default();
    let replaces: Vec<String> = keys.into_iter().collect();
    let action = if before.is_empty() && (kind == MsgType::Alert || replaces.is_empty()) {
        Action::Start
    } else {
        Action::Update
    };
    fresh.join(case.key, case.alert, case.sent_ms);
    fresh.keys = replaces.clone();
    fresh.keys.push(case.key.to_owned());
    list.push(fresh);
    let mut event = text::event(&case.trigger.key, case.key, action, case.alert, found, &case.trigger.rules);
    event.replaces = replaces;
    push(book, case, event, found.ends_ms);
    if before.is_empty() {
        (Outcome::Fired, "every condition holds".to_owned())
    } else {
        (Outcome::Updated, "it replaces what is running".to_owned())
    }
}

/// Ends what has ended by itself.
pub fn expire(book: &mut Book, triggers: &[Arc<Trigger>], now_ms: i64) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for trigger in triggers {
        let Some(list) = book.incidents.get_mut(&trigger.key) else { continue };
        for incident in list.iter_mut().filter(|incident| incident.running && incident.ends_ms <= now_ms) {
            incident.running = false;
            book.changed = true;
            let last = incident.keys.last().cloned().unwrap_or_default();
            let subject = incident.identifiers.iter().next_back().cloned().unwrap_or_default();
            let mut reason = "its time is over".to_owned();
            if trigger.rules.settings.stop {
                let event = TriggerEvent {
                    trigger: trigger.key.clone(),
                    key: format!("ended,{last}"),
                    action: Action::Stop,
                    replaces: incident.keys.clone(),
                    ..TriggerEvent::default()
                };
                let until_ms = now_ms + DAY_MS;
                book.outbox.push_back(Outgoing { event, subject: subject.clone(), until_ms, tries: 0 });
            } else {
                reason.push_str("; this trigger does not stop what was sent");
            }
            let trigger = Some(trigger.key.clone());
            verdicts.push(Verdict { subject, trigger, outcome: Outcome::Stopped, reason, problems: Vec::new() });
        }
    }
    verdicts
}
