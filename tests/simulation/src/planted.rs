//! Faults put in on purpose, between a node and its shell: each breaks one rule, and some invariant must notice.

use serde::{Deserialize, Serialize};

use onealert_core::{
    activation::{Deliverable, EndpointState},
    effect::{Haste, Output, Record, TakeoverReason},
    event::Input,
    ids::ServerId,
    peer_message::PeerMessage,
};

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Planted {
    /// "Accepted" is said as soon as the write is asked for, and without the word that there is one copy only.
    AcceptsBeforeDurable,
    /// Every write is answered before it is synced.
    WaitsForNoSync,
    /// What others push is confirmed and never written.
    ConfirmsWithoutWriting,
    /// Rule 2: whoever is asked owns, whoever comes first in the group.
    OwnsWhatComesIn,
    /// Rule 2: a hand-over that is not confirmed stays with the owner that was chosen.
    HandsOverForEver,
    /// Rule 3: the drivers begin before anybody has confirmed the copy.
    DeliversUnbacked,
    /// Rule 4: nobody is told which endpoints were reached.
    SharesNothing,
    /// Rule 7: nobody rings a bell whose owner has missed its deadline.
    IgnoresDeadlines,
    /// A server that computes a bell after its moment goes on as if another had answered it.
    AsksNobodyWhenLate,
    /// A bell that a clock which was ahead called missed is rung by nobody when its moment comes.
    LeavesCalledMissed,
    /// Rule 10: nothing expires.
    SendsTooLate,
    /// Rule 11: what has ended is forgotten soon.
    ForgetsWhatEnded,
    /// Everybody who hears of an activation delivers it.
    EverybodyDelivers,
    /// A halt never reaches the drivers.
    IgnoresHalt,
    /// A successor claims and does not deliver.
    SuccessorIsMute,
    /// A successor does not switch off what was begun before it.
    LeavesItOn,
    /// The record of an ended activation is not written.
    KeepsNoRecord,
    /// What a server writes of an activation says that every endpoint was reached.
    WritesWhatDidNotHappen,
    /// The others are told of an end before the record of it is durable.
    TellsOfTheEndEarly,
    /// A server that was away goes on without having asked anybody.
    AsksNobody,
    /// Records of a transaction are applied in another order than that of the log.
    AppliesOutOfOrder,
    /// A crash in the middle of a transaction leaves half of it.
    AppliesByHalf,
    /// What the primary says its digests are is not compared.
    ChecksNoDigest,
    /// A promoted server goes on in the generation of the old primary.
    PromotesWithoutEpoch,
    /// A primary that meets a later generation goes on taking configuration.
    FencesNobody,
    /// What a branch that is left behind held is not kept for people.
    KeepsNoConflicts,
    /// A primary takes every generation that it never heard of for a later one, also one of a branch that is left behind.
    TakesAnyForLater,
    /// A restored server goes on with the numbers of its backup.
    ReusesNumbersAfterRestore,
    /// A server that is told that it was deprovisioned goes on sending.
    RetiredStillDelivers,
    /// A server that is told that the licence leaves it out goes on sending.
    UnlicensedStillDelivers,
    /// Servers that the licence leaves out are still counted by the others.
    LeftOutIsCounted,
    /// A server that the licence covers again stays out of service.
    StaysUnlicensed,
}

impl Planted {
    /// Changes what a node is told.
    pub(crate) fn mislead(self, me: ServerId, input: &mut Input) {
        let Input::Trigger { content, .. } = input else { return };
        match self {
            Planted::OwnsWhatComesIn if content.due.is_none() && content.group.contains(&me) => {
                content.group.sort_by_key(|member| *member != me);
            }
            Planted::SendsTooLate => content.expires = None,
            _ => {}
        }
    }

    /// Whether a successor that took over for this reason does not deliver.
    pub(crate) fn mutes(self, why: TakeoverReason) -> bool {
        match self {
            Planted::HandsOverForEver => why == TakeoverReason::NotConfirmed,
            Planted::IgnoresDeadlines => why == TakeoverReason::Deadline,
            Planted::LeavesCalledMissed => why == TakeoverReason::CalledMissed,
            _ => false,
        }
    }

    /// Changes what a node asked for.
    pub(crate) fn spoil(self, me: ServerId, input: &Input, outputs: &mut Vec<Output>) {
        match self {
            Planted::AcceptsBeforeDurable => {
                if let Input::Trigger { ticket, content } = input {
                    let activation = content.id;
                    outputs.push(Output::Accepted { ticket: *ticket, activation, degraded: false, duplicate: false });
                }
            }
            Planted::ConfirmsWithoutWriting => {
                if let Input::Message { from, message: PeerMessage::Push { knowledge, .. } } = input {
                    let (attempt, owner) = knowledge.claim();
                    outputs.retain(|output| !matches!(output, Output::Persist { .. }));
                    let (activation, stopped) = (knowledge.content.id, knowledge.stopped);
                    let message = PeerMessage::Have { activation, attempt, owner, stopped };
                    outputs.push(Output::Send { to: *from, message });
                }
            }
            Planted::WaitsForNoSync => {
                for output in outputs {
                    if let Output::Persist { haste, .. } = output {
                        *haste = Haste::Soon;
                    }
                }
            }
            Planted::EverybodyDelivers => {
                if let Input::Message { message: PeerMessage::Push { knowledge, .. }, .. } = input
                    && knowledge.owner != me
                    && !knowledge.started
                    && knowledge.ended.is_none()
                {
                    let (activation, attempt) = (knowledge.content.id, knowledge.attempt);
                    let states = knowledge.states.clone();
                    let content = Deliverable::of(&knowledge.content).expect("no schedule holds a rehearsal");
                    outputs.push(Output::Deliver { activation, attempt, content, states, listen_first: false });
                }
            }
            Planted::SharesNothing => {
                let shares =
                    |output: &Output| matches!(output, Output::Send { message: PeerMessage::Share { .. }, .. });
                outputs.retain(|output| !shares(output));
            }
            Planted::IgnoresHalt => outputs.retain(|output| !matches!(output, Output::Halt { .. })),
            Planted::SuccessorIsMute => {
                outputs.retain(|output| !matches!(output, Output::Deliver { attempt, .. } if *attempt > 0));
            }
            Planted::KeepsNoRecord => outputs.retain(|output| !matches!(output, Output::Ended { .. })),
            Planted::TellsOfTheEndEarly => {
                let ended = outputs.iter().any(|output| matches!(output, Output::Ended { .. }));
                let known = outputs.iter().find_map(|output| match output {
                    Output::Persist { record: Record::Activation(known), .. } if known.ended.is_some() => Some(known),
                    _ => None,
                });
                let Some(known) = known.filter(|_| ended).cloned() else { return };
                for to in known.content.group.iter().copied().filter(|member| *member != me) {
                    let message = PeerMessage::Push { knowledge: known.clone(), confirm: false };
                    outputs.push(Output::Send { to, message });
                }
            }
            // These are broken where the shell works, not between node and shell.
            Planted::OwnsWhatComesIn
            | Planted::HandsOverForEver
            | Planted::DeliversUnbacked
            | Planted::IgnoresDeadlines
            | Planted::AsksNobodyWhenLate
            | Planted::LeavesCalledMissed
            | Planted::SendsTooLate
            | Planted::ForgetsWhatEnded
            | Planted::AsksNobody
            | Planted::AppliesOutOfOrder
            | Planted::AppliesByHalf
            | Planted::ChecksNoDigest
            | Planted::PromotesWithoutEpoch
            | Planted::FencesNobody
            | Planted::KeepsNoConflicts
            | Planted::TakesAnyForLater
            | Planted::ReusesNumbersAfterRestore
            | Planted::RetiredStillDelivers
            | Planted::UnlicensedStillDelivers
            | Planted::LeftOutIsCounted
            | Planted::LeavesItOn
            | Planted::StaysUnlicensed => {}
            Planted::WritesWhatDidNotHappen => {
                for output in outputs {
                    if let Output::Persist { record: Record::Activation(known), .. } = output {
                        known.states.fill(EndpointState::Acked { note: String::new() });
                    }
                }
            }
        }
    }
}
