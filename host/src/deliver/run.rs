//! One delivery from its order to its end: all drivers prepare at once, audio starts when the fast ones are ready, text and
//! strobes never wait for audio, and every endpoint ends with a result.
//!
//! Here is the loop; `prepare`, `voice`, `results` and `ask` are what it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use onealert_core::{activation::EndpointState, config::Audio, effect::HaltReason, ids::DriverId};
use onealert_media::render::Rendered;
use onealert_plugin_api::document::{Delivered, Failure, Prepared, PreparedState, RtpDestination};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Order, Tools, Word,
    results::fail,
    running::BROKE_DOWN,
    voice::{Voice, next},
};
use crate::{
    payload::{Payload, Variables},
    watched::{said, words},
};

/// How long what was begun may take to come to its result when another server goes on.
const HAND_OVER: Duration = Duration::from_secs(5);
/// How long after it has yielded a delivery may be told that the other server has ended it already. That follows at once, on
/// the same connection.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How long audio waits for slow drivers once one is ready.
pub(super) const PREPARE_WAIT: Duration = Duration::from_millis(300);
/// How long a driver may take to prepare before its endpoints count as failed.
pub(super) const PREPARE_DEADLINE: Duration = Duration::from_secs(5);
/// How long a driver may take to begin.
pub(super) const BEGIN_DEADLINE: Duration = Duration::from_secs(15);
/// How long a driver may take to end.
pub(super) const END_DEADLINE: Duration = Duration::from_secs(5);

/// What a background step came to.
pub(super) enum Step {
    Prepared(DriverId, Vec<u32>, Result<Vec<Prepared>, Failure>),
    Began(Vec<u32>, Result<Vec<Delivered>, Failure>),
    Rendered(Result<Option<Arc<Rendered>>, String>),
    Listened(Vec<SocketAddr>),
}

/// One running delivery.
pub(super) struct Delivery {
    pub(super) tools: Arc<Tools>,
    pub(super) order: Order,
    pub(super) payload: Payload,
    pub(super) words: mpsc::UnboundedReceiver<Word>,
    pub(super) steps: JoinSet<Step>,
    pub(super) voice: Voice,
    /// Endpoints that are heard, and where; by index.
    pub(super) heard_at: BTreeMap<u32, Vec<RtpDestination>>,
    /// Endpoints whose driver is to be told when the audio has begun.
    pub(super) await_audio: BTreeSet<u32>,
    /// Results of endpoints that are heard: kept until the audio has played out, so that a successor plays it to them again
    /// if this server dies in between.
    pub(super) kept: BTreeMap<u32, EndpointState>,
    /// Endpoints that their drivers have not ready yet, and why. They hold nobody up.
    pub(super) late: BTreeMap<u32, String>,
    /// What a driver said of late endpoints before its answer, which calls them late, had come.
    pub(super) early: BTreeMap<u32, PreparedState>,
    /// Endpoints whose driver was told to begin.
    pub(super) begun: BTreeSet<u32>,
    /// Those of them that a server before this one switched on, or this one in an earlier life.
    pub(super) inherited: BTreeSet<u32>,
    /// Endpoints that have their result.
    pub(super) done: BTreeSet<u32>,
    pub(super) preparing: usize,
    pub(super) stream_begun: bool,
}

impl Delivery {
    pub fn new(
        tools: Arc<Tools>,
        order: Order,
        mut payload: Payload,
        words: mpsc::UnboundedReceiver<Word>,
    ) -> Delivery {
        // The variables of the sending server are filled in by the server that sends.
        let mut variables = Variables::default();
        variables.set("serverName", tools.server_name()).set("serverIP", tools.server_address.as_str());
        (payload.title, payload.body) = (variables.fill(&payload.title), variables.fill(&payload.body));
        let voice = if payload.audio == Audio::None { Voice::Silent } else { Voice::Rendering };
        Delivery {
            tools,
            order,
            payload,
            words,
            steps: JoinSet::new(),
            voice,
            heard_at: BTreeMap::new(),
            await_audio: BTreeSet::new(),
            kept: BTreeMap::new(),
            late: BTreeMap::new(),
            early: BTreeMap::new(),
            begun: BTreeSet::new(),
            inherited: BTreeSet::new(),
            done: BTreeSet::new(),
            preparing: 0,
            stream_begun: false,
        }
    }

    /// Runs to the end. The caller reports that it ended. What was switched on is switched off although a step of it breaks
    /// down.
    pub async fn run(mut self) {
        let halted = match AssertUnwindSafe(self.deliver()).catch_unwind().await {
            Ok(halted) => halted,
            Err(panic) => {
                let words = said(panic.as_ref());
                tracing::error!(activation = %self.order.content.id, "{BROKE_DOWN}: {words}");
                let all = 0..self.order.content.endpoints.len() as u32;
                self.report(all.map(|index| (index, fail(BROKE_DOWN))).collect());
                None
            }
        };
        self.close(halted).await;
    }

    /// Delivers, until there is nothing left to do, or until it is halted.
    async fn deliver(&mut self) -> Option<HaltReason> {
        let started = Instant::now();
        let mut stay_until = started + Duration::from_secs(u64::from(self.payload.hold_seconds));
        self.open();
        let mut halted = None;
        loop {
            self.start_audio(started);
            let (steps, sound) = (!self.steps.is_empty(), !matches!(self.voice, Voice::Silent | Voice::Over));
            if !steps && !sound && self.begun.is_empty() {
                // Nothing was switched on, so nothing has to stay on.
                stay_until = started;
            }
            // Late ones have as long as a slow driver has; what is sent to the others does not end for them.
            let until = if self.late.is_empty() { stay_until } else { stay_until.max(started + PREPARE_DEADLINE) };
            let now = Instant::now();
            if !steps && !sound && now >= until {
                break;
            }
            let looks = [PREPARE_WAIT, PREPARE_DEADLINE].map(|after| started + after);
            let wake = if steps || sound { looks.into_iter().find(|at| *at > now) } else { Some(until) };
            tokio::select! {
                biased;
                word = self.words.recv() => match word {
                    Some(Word::Halt(reason)) => { halted = Some(reason); break }
                    Some(Word::Results(results)) => self.results(results),
                    Some(Word::Prepared(answers)) => self.prepared_late(answers),
                    Some(Word::Lost(thing, by)) => self.lost(&thing, &by),
                    None => break,
                },
                Some(step) = self.steps.join_next(), if steps => match step {
                    Ok(step) => self.took(step),
                    Err(error) => self.lost_step(&words(error)),
                },
                event = next(&mut self.voice), if matches!(self.voice, Voice::Playing(_)) => self.stream(event),
                () = sleep_until(wake.unwrap_or(until)), if wake.is_some() => {}
            }
        }
        match halted {
            None => self.give_up_late(),
            // What was begun here comes to its result first, so that it is begun once. What is only heard stops, and has none.
            Some(HaltReason::HandedOver) => {
                let open = |it: &Delivery, index: &u32| !it.done.contains(index) && !it.await_audio.contains(index);
                let further = self.await_results(HAND_OVER, |it| it.begun.iter().any(|index| open(it, index))).await;
                return further.or(halted);
            }
            // The other server may have ended it already: then nobody but this one switches off what was begun here.
            Some(HaltReason::Yielded) => {
                self.hush();
                return self.await_results(LAST_WORD, |_| true).await.or(halted);
            }
            Some(_) => {}
        }
        halted
    }

    /// Takes results of what was begun for so long, while some are awaited, and begins nothing more. Gives why the delivery is
    /// halted further, if it is.
    async fn await_results(&mut self, within: Duration, awaited: impl Fn(&Delivery) -> bool) -> Option<HaltReason> {
        let until = Instant::now() + within;
        while awaited(self) {
            tokio::select! {
                biased;
                word = self.words.recv() => match word {
                    Some(Word::Halt(reason)) => return Some(reason),
                    Some(Word::Results(results)) => self.results(results),
                    Some(_) => {}
                    None => break,
                },
                Some(step) = self.steps.join_next(), if !self.steps.is_empty() => {
                    // Of what else comes nothing is begun any more.
                    if let Ok(step @ Step::Began(..)) = step {
                        self.took(step);
                    }
                }
                () = sleep_until(until) => break,
            }
        }
        None
    }

    /// Nothing more of it is heard.
    pub(super) fn hush(&mut self) {
        if matches!(self.voice, Voice::Playing(_)) {
            self.tools.sound.stop(self.order.content.id);
            self.voice = Voice::Over;
        }
    }

    /// A step broke down. Its endpoints have no result when the delivery ends; sound that is not made by then is never made.
    fn lost_step(&mut self, words: &str) {
        tracing::error!(activation = %self.order.content.id, "a step of a delivery broke down: {words}");
        if self.steps.is_empty() && matches!(self.voice, Voice::Rendering | Voice::Listening(_)) {
            self.took(Step::Rendered(Err(BROKE_DOWN.to_owned())));
        }
    }

    fn took(&mut self, step: Step) {
        match step {
            Step::Prepared(driver, indexes, outcome) => {
                self.preparing -= 1;
                match outcome {
                    Ok(answers) => self.prepared(&driver, &indexes, answers),
                    // A driver that has nothing to prepare need not offer it: its endpoints are ready, without audio.
                    Err(failure) if failure.code == "unsupported" => self.begin(&driver, indexes, false),
                    Err(failure) => {
                        let reason = failure.to_string();
                        self.report(indexes.into_iter().map(|index| (index, fail(reason.as_str()))).collect());
                    }
                }
            }
            Step::Began(indexes, outcome) => {
                match outcome {
                    Ok(results) => self.results(results),
                    Err(failure) => self.missing(&indexes, &failure.to_string()),
                }
                self.missing(&indexes, "the driver gave no result for this endpoint");
            }
            Step::Rendered(Ok(Some(audio))) => {
                for note in audio.notes() {
                    tracing::warn!(activation = %self.order.content.id, "{note}");
                }
                self.voice = Voice::Ready(audio);
            }
            Step::Rendered(Ok(None)) => self.voice = Voice::Silent,
            Step::Rendered(Err(reason)) => {
                tracing::error!(activation = %self.order.content.id, %reason, "no audio");
                self.voice = Voice::Silent;
                self.unheard(&format!("no audio could be made: {reason}"));
            }
            Step::Listened(taken) => self.listened(&taken),
        }
    }
}
