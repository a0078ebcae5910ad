//! One delivery from its order to its end: all drivers prepare at once, audio starts when the fast ones are ready, text and
//! strobes never wait for audio, and every endpoint ends with a result.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use onealert_core::{
    activation::EndpointState,
    config::{Audio, Priority},
    effect::HaltReason,
    ids::{DriverId, ServerId},
};
use onealert_media::{engine::StreamEvent, render::Rendered};
use onealert_plugin_api::document::{
    Activation, Delivered, DeliveredState, End, Failure, Prepared, PreparedState, Priority as Urgency, RtpDestination,
    Target,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    INTERRUPTED, Order, Tools, Word,
    claims::{Claimed, Holder, Thing},
};
use crate::{
    drive::Happened,
    payload::{Payload, Variables},
    sound::destination,
};

/// How long audio waits for slow drivers once one is ready.
const PREPARE_WAIT: Duration = Duration::from_millis(300);
/// How long a driver may take to prepare before its endpoints count as failed.
const PREPARE_DEADLINE: Duration = Duration::from_secs(5);
/// How long a driver may take to begin.
const BEGIN_DEADLINE: Duration = Duration::from_secs(15);
/// How long a driver may take to end.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// What a background step came to.
enum Step {
    Prepared(DriverId, Vec<u32>, Result<Vec<Prepared>, Failure>),
    Began(Vec<u32>, Result<Vec<Delivered>, Failure>),
    Rendered(Result<Option<Arc<Rendered>>, String>),
    Listened(Vec<SocketAddr>),
}

/// Where the audio stands.
enum Voice {
    /// The activation has no sound, or none could be made.
    Silent,
    /// It is being rendered.
    Rendering,
    /// It waits for endpoints.
    Ready(Arc<Rendered>),
    /// It listens whether another server is sending.
    Listening(Arc<Rendered>),
    /// It plays.
    Playing(mpsc::UnboundedReceiver<StreamEvent>),
    /// It is over.
    Over,
}

/// One running delivery.
pub(super) struct Delivery {
    tools: Arc<Tools>,
    order: Order,
    payload: Payload,
    words: mpsc::UnboundedReceiver<Word>,
    steps: JoinSet<Step>,
    voice: Voice,
    /// Endpoints that are heard, and where; by index.
    heard_at: BTreeMap<u32, Vec<RtpDestination>>,
    /// Endpoints whose driver is to be told when the audio has begun.
    await_audio: BTreeSet<u32>,
    /// Results of endpoints that are heard: kept until the audio has played out, so that a successor plays it to them again
    /// if this server dies in between.
    kept: BTreeMap<u32, EndpointState>,
    /// Endpoints whose driver was told to begin.
    begun: BTreeSet<u32>,
    /// Endpoints that have their result.
    done: BTreeSet<u32>,
    preparing: usize,
    stream_begun: bool,
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
            begun: BTreeSet::new(),
            done: BTreeSet::new(),
            preparing: 0,
            stream_begun: false,
        }
    }

    /// Runs to the end. The caller reports that it ended.
    pub async fn run(mut self) {
        let started = Instant::now();
        let mut stay_until = started + Duration::from_secs(u64::from(self.payload.hold_seconds));
        self.open();
        let mut halted = None;
        loop {
            self.start_audio(started);
            let (steps, sound) = (!self.steps.is_empty(), !matches!(self.voice, Voice::Silent | Voice::Over));
            if !steps && !sound {
                if self.begun.is_empty() {
                    // Nothing was switched on, so nothing has to stay on.
                    stay_until = started;
                }
                if Instant::now() >= stay_until {
                    break;
                }
            }
            let wake = if steps || sound { started + PREPARE_WAIT } else { stay_until };
            let timer = steps || sound;
            tokio::select! {
                biased;
                word = self.words.recv() => match word {
                    Some(Word::Halt(reason)) => { halted = Some(reason); break }
                    Some(Word::Results(results)) => self.results(results),
                    Some(Word::Lost(thing, by)) => self.lost(&thing, &by),
                    None => break,
                },
                Some(step) = self.steps.join_next(), if steps => match step {
                    Ok(step) => self.took(step),
                    Err(error) => tracing::error!(activation = %self.order.content.id, %error, "a delivery step panicked"),
                },
                event = next(&mut self.voice), if matches!(self.voice, Voice::Playing(_)) => self.stream(event),
                () = sleep_until(wake), if !timer || Instant::now() < wake => {}
            }
        }
        self.close(halted).await;
    }

    /// Asks every driver concerned to prepare, and begins to render the sound.
    fn open(&mut self) {
        let mut by_driver: BTreeMap<DriverId, Vec<u32>> = BTreeMap::new();
        let mut failed = Vec::new();
        for index in 0..self.order.content.endpoints.len() as u32 {
            if let Some(EndpointState::Acked { .. }) = self.order.states.get(index as usize) {
                // A predecessor switched it on; this server switches it off.
                self.begun.insert(index);
                self.done.insert(index);
                continue;
            }
            match self.payload.targets.get(index as usize).and_then(|target| target.driver.clone()) {
                Some(driver) => by_driver.entry(driver).or_default().push(index),
                None => failed.push((index, fail("the endpoint has no driver; it may have been deleted"))),
            }
        }
        self.report(failed);
        for (driver, indexes) in by_driver {
            let indexes = self.claim_endpoints(indexes);
            if indexes.is_empty() {
                continue;
            }
            let body = self.activation(&indexes, !matches!(self.voice, Voice::Silent));
            let call = self.call::<_, Vec<Prepared>>(&driver, "prepare", PREPARE_DEADLINE, &body);
            self.preparing += 1;
            self.steps.spawn(async move { Step::Prepared(driver, indexes, call.await) });
        }
        if matches!(self.voice, Voice::Rendering) {
            if self.preparing == 0 {
                self.voice = Voice::Silent;
                return;
            }
            let (sound, payload) = (self.tools.sound.clone(), self.payload.clone());
            self.steps.spawn(async move {
                let rendered = tokio::task::spawn_blocking(move || sound.render(&payload)).await;
                Step::Rendered(rendered.unwrap_or_else(|error| Err(format!("the audio renderer ended: {error}"))))
            });
        }
    }

    /// Keeps those of the endpoints that no more urgent activation holds.
    fn claim_endpoints(&mut self, indexes: Vec<u32>) -> Vec<u32> {
        let (mut mine, mut busy) = (Vec::new(), Vec::new());
        for index in indexes {
            let thing = Thing::Endpoint(self.order.content.endpoints[index as usize].clone());
            match self.claim(thing) {
                Ok(()) => mine.push(index),
                Err(reason) => busy.push((index, fail(reason))),
            }
        }
        self.report(busy);
        mine
    }

    /// Claims a thing, and tells the one from whom it was taken.
    fn claim(&self, thing: Thing) -> Result<(), String> {
        let content = &self.order.content;
        let by = Holder { activation: content.id, priority: content.priority, name: content.name.clone() };
        let claimed = self.tools.claims.lock().unwrap_or_else(PoisonError::into_inner).claim(thing.clone(), &by);
        match claimed {
            Claimed::Free => Ok(()),
            Claimed::TakenFrom(before) => {
                self.tools.tell(before.activation, Word::Lost(thing, content.name.clone()));
                Ok(())
            }
            Claimed::Busy(holder) => Err(format!("busy with the more urgent notification {:?}", holder.name)),
        }
    }

    fn took(&mut self, step: Step) {
        match step {
            Step::Prepared(driver, indexes, outcome) => {
                self.preparing -= 1;
                match outcome {
                    Ok(answers) => self.prepared(&driver, &indexes, answers),
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

    /// Sorts a driver's endpoints: those without audio begin at once, the others wait for it.
    fn prepared(&mut self, driver: &DriverId, indexes: &[u32], answers: Vec<Prepared>) {
        let mut answers: BTreeMap<String, PreparedState> =
            answers.into_iter().map(|answer| (answer.endpoint, answer.state)).collect();
        let (mut at_once, mut failed) = (Vec::new(), Vec::new());
        for &index in indexes {
            match answers.remove(self.order.content.endpoints[index as usize].as_str()) {
                Some(PreparedState::Ready { rtp }) if rtp.is_empty() => at_once.push(index),
                Some(PreparedState::Ready { rtp }) => match &self.voice {
                    Voice::Silent => failed.push((index, fail("no audio could be made"))),
                    _ => match self.tools.sound.placed(rtp) {
                        Ok(rtp) => {
                            self.heard_at.insert(index, rtp);
                            self.await_audio.insert(index);
                        }
                        Err(reason) => failed.push((index, fail(reason))),
                    },
                },
                Some(PreparedState::Failed { reason }) => failed.push((index, fail(reason))),
                None => failed.push((index, fail("the driver gave no answer for this endpoint"))),
            }
        }
        self.report(failed);
        self.begin(driver, at_once, false);
        if matches!(self.voice, Voice::Playing(_)) {
            self.join_late();
        }
    }

    /// Starts the stream when the sound is ready and the endpoints are, or the slow ones have had their time.
    fn start_audio(&mut self, started: Instant) {
        let waited = self.preparing == 0 || started.elapsed() >= PREPARE_WAIT;
        if !matches!(self.voice, Voice::Ready(_)) || !waited {
            return;
        }
        if self.await_audio.is_empty() {
            if self.preparing == 0 {
                self.voice = Voice::Over;
            }
            return;
        }
        let Voice::Ready(audio) = std::mem::replace(&mut self.voice, Voice::Over) else { return };
        if !self.order.listen_first {
            self.play(audio);
            return;
        }
        let (sound, activation) = (self.tools.sound.clone(), self.order.content.id);
        let others: Vec<ServerId> =
            self.order.content.group.iter().copied().filter(|id| *id != self.tools.server).collect();
        let to: Vec<SocketAddr> = self.heard_at.values().flatten().map(address).collect();
        self.voice = Voice::Listening(audio);
        self.steps.spawn(async move {
            let taken = tokio::task::spawn_blocking(move || sound.already_sent(activation, &others, &to)).await;
            Step::Listened(taken.unwrap_or_default())
        });
    }

    fn listened(&mut self, taken: &[SocketAddr]) {
        let Voice::Listening(audio) = std::mem::replace(&mut self.voice, Voice::Over) else { return };
        let heard = |rtp: &Vec<RtpDestination>| rtp.iter().any(|rtp| taken.contains(&address(rtp)));
        let theirs: Vec<u32> = self.heard_at.iter().filter(|(_, rtp)| heard(rtp)).map(|(index, _)| *index).collect();
        let note = "another server was already sending it to this multicast group".to_owned();
        for index in &theirs {
            self.heard_at.remove(index);
            self.await_audio.remove(index);
        }
        self.report(theirs.into_iter().map(|index| (index, EndpointState::Acked { note: note.clone() })).collect());
        if !self.await_audio.is_empty() {
            self.play(audio);
        }
    }

    fn play(&mut self, audio: Arc<Rendered>) {
        let destinations = self.destinations();
        if destinations.is_empty() {
            self.voice = Voice::Over;
            return;
        }
        let destinations = destinations.iter().map(|(index, rtp)| destination(u64::from(*index), rtp)).collect();
        let events = self.tools.sound.play(self.order.content.id, self.tools.server, audio, destinations);
        self.voice = Voice::Playing(events);
    }

    /// Claims the addresses of the endpoints that wait for audio; those that are busy fail.
    fn destinations(&mut self) -> Vec<(u32, RtpDestination)> {
        let (mut free, mut busy) = (Vec::new(), Vec::new());
        for index in &self.await_audio {
            for rtp in self.heard_at.get(index).into_iter().flatten() {
                match self.claim(Thing::Rtp(address(rtp))) {
                    Ok(()) => free.push((*index, rtp.clone())),
                    Err(reason) => busy.push((*index, fail(reason))),
                }
            }
        }
        for (index, _) in &busy {
            self.await_audio.remove(index);
            self.heard_at.remove(index);
        }
        free.retain(|(index, _)| self.heard_at.contains_key(index));
        self.report(busy);
        free
    }

    /// Lets endpoints that became ready late join the running stream.
    fn join_late(&mut self) {
        for (index, rtp) in self.destinations() {
            self.tools.sound.join(self.order.content.id, destination(u64::from(index), &rtp));
        }
        if self.stream_begun {
            self.begin_heard();
        }
    }

    fn stream(&mut self, event: Option<StreamEvent>) {
        match event {
            Some(StreamEvent::FirstPacket { .. }) => {
                self.stream_begun = true;
                self.begin_heard();
            }
            Some(StreamEvent::DestinationFailed { key, reason, .. }) => {
                let index = key as u32;
                self.heard_at.remove(&index);
                self.await_audio.remove(&index);
                self.kept.remove(&index);
                self.report(vec![(index, fail(format!("audio: {reason}")))]);
            }
            Some(StreamEvent::Finished { packets, skipped, .. }) => {
                if skipped > 0 {
                    tracing::warn!(activation = %self.order.content.id, skipped, "audio was late; packets were left out");
                }
                self.voice = Voice::Over;
                if !self.stream_begun {
                    self.unheard("the audio could not be sent");
                }
                tracing::info!(activation = %self.order.content.id, packets, "audio has ended");
                let kept = std::mem::take(&mut self.kept);
                self.heard_at.clear();
                self.report(kept.into_iter().collect());
            }
            None => {
                self.voice = Voice::Over;
                self.unheard("the audio sender ended");
            }
        }
    }

    /// Tells the drivers of the endpoints that are heard that their audio has begun.
    fn begin_heard(&mut self) {
        let mut by_driver: BTreeMap<DriverId, Vec<u32>> = BTreeMap::new();
        for index in std::mem::take(&mut self.await_audio) {
            let driver = self.payload.targets[index as usize].driver.clone();
            by_driver.entry(driver.expect("only endpoints with a driver are prepared")).or_default().push(index);
        }
        for (driver, indexes) in by_driver {
            self.begin(&driver, indexes, true);
        }
    }

    fn begin(&mut self, driver: &DriverId, indexes: Vec<u32>, has_audio: bool) {
        if indexes.is_empty() {
            return;
        }
        self.begun.extend(&indexes);
        self.tell_progress(indexes.iter().map(|index| (*index, EndpointState::Sent)).collect());
        let body = self.activation(&indexes, has_audio);
        let call = self.call::<_, Vec<Delivered>>(driver, "begin", BEGIN_DEADLINE, &body);
        self.steps.spawn(async move { Step::Began(indexes, call.await) });
    }

    /// Takes results in. Those of endpoints that are heard wait for the end of the audio, failures excepted.
    fn results(&mut self, results: Vec<Delivered>) {
        let mut ready = Vec::new();
        for result in results {
            let named = self.order.content.endpoints.iter().position(|id| id.as_str() == result.endpoint);
            let Some(index) = named.map(|index| index as u32).filter(|index| self.begun.contains(index)) else {
                tracing::warn!(endpoint = result.endpoint, "a driver reports an endpoint that it was not asked for");
                continue;
            };
            let state = match result.state {
                DeliveredState::Acked { note } => EndpointState::Acked { note },
                DeliveredState::Failed { reason } => fail(reason),
            };
            if self.heard_at.contains_key(&index) && matches!(state, EndpointState::Acked { .. }) {
                self.kept.insert(index, state);
            } else {
                ready.push((index, state));
            }
        }
        self.report(ready);
    }

    /// Those of the endpoints that have no result yet fail.
    fn missing(&mut self, indexes: &[u32], reason: &str) {
        let without = |index: &&u32| !self.done.contains(*index) && !self.kept.contains_key(*index);
        let missing: Vec<_> = indexes.iter().filter(without).map(|index| (*index, fail(reason))).collect();
        self.report(missing);
    }

    /// Endpoints that wait for audio will hear none.
    fn unheard(&mut self, reason: &str) {
        let waiting: Vec<u32> = std::mem::take(&mut self.await_audio).into_iter().collect();
        self.report(waiting.into_iter().map(|index| (index, fail(reason))).collect());
    }

    /// Another activation took something.
    fn lost(&mut self, thing: &Thing, by: &str) {
        let indexes: Vec<u32> = match thing {
            Thing::Endpoint(id) => self
                .order
                .content
                .endpoints
                .iter()
                .position(|known| known == id)
                .map(|index| index as u32)
                .into_iter()
                .collect(),
            Thing::Rtp(lost) => {
                let uses = |rtp: &Vec<RtpDestination>| rtp.iter().any(|rtp| address(rtp) == *lost);
                self.heard_at.iter().filter(|(_, rtp)| uses(rtp)).map(|(index, _)| *index).collect()
            }
        };
        for index in &indexes {
            if self.heard_at.remove(index).is_some() {
                self.tools.sound.leave(self.order.content.id, u64::from(*index));
            }
            self.await_audio.remove(index);
            self.kept.remove(index);
        }
        let reason = format!("{INTERRUPTED} the more urgent or newer notification {by:?}");
        self.report(indexes.into_iter().map(|index| (index, fail(reason.as_str()))).collect());
    }

    /// Switches off what was switched on, but for what another activation has taken since.
    async fn close(mut self, halted: Option<HaltReason>) {
        if matches!(self.voice, Voice::Playing(_)) {
            self.tools.sound.stop(self.order.content.id);
        }
        if halted == Some(HaltReason::Yielded) {
            // The server with the higher claim ends what was begun; unicast deliveries that run may finish.
            return;
        }
        let reason = match halted {
            None => "finished",
            Some(HaltReason::Stopped) => "stopped",
            Some(HaltReason::Expired) => "expired",
            Some(HaltReason::Retired) => "the server was deprovisioned",
            Some(HaltReason::Yielded) => "yielded",
        };
        let mut by_driver: BTreeMap<DriverId, Vec<u32>> = BTreeMap::new();
        {
            let claims = self.tools.claims.lock().unwrap_or_else(PoisonError::into_inner);
            for index in &self.begun {
                let endpoint = Thing::Endpoint(self.order.content.endpoints[*index as usize].clone());
                let inherited = self.done.contains(index) && self.order.attempt > 0;
                let driver = self.payload.targets.get(*index as usize).and_then(|target| target.driver.clone());
                if let (Some(driver), true) = (driver, inherited || claims.holds(&endpoint, self.order.content.id)) {
                    by_driver.entry(driver).or_default().push(*index);
                }
            }
        }
        self.steps.abort_all();
        let mut ends = JoinSet::new();
        for (driver, indexes) in by_driver {
            let body = End {
                id: self.order.content.id.to_string(),
                reason: reason.to_owned(),
                endpoints: self.targets(&indexes),
            };
            let call = self.call::<_, Value>(&driver, "end", END_DEADLINE, &body);
            ends.spawn(async move { (driver, call.await) });
        }
        while let Some(ended) = ends.join_next().await {
            if let Ok((driver, Err(failure))) = ended {
                tracing::warn!(%driver, activation = %self.order.content.id, "end: {failure}");
            }
        }
    }

    /// Tells the core about final results; an endpoint's first final result counts.
    fn report(&mut self, states: Vec<(u32, EndpointState)>) {
        let states: Vec<_> = states.into_iter().filter(|(index, _)| self.done.insert(*index)).collect();
        self.tell_progress(states);
    }

    fn tell_progress(&self, states: Vec<(u32, EndpointState)>) {
        if states.is_empty() {
            return;
        }
        let (activation, attempt) = (self.order.content.id, self.order.attempt);
        let _ = self.tools.report.send(Happened::Progress { activation, attempt, states });
    }

    fn activation(&self, indexes: &[u32], has_audio: bool) -> Activation {
        Activation {
            id: self.order.content.id.to_string(),
            attempt: self.order.attempt,
            priority: match self.order.content.priority {
                Priority::Music => Urgency::Music,
                Priority::Bell => Urgency::Bell,
                Priority::Page => Urgency::Page,
                Priority::Alert => Urgency::Alert,
                Priority::Emergency => Urgency::Emergency,
            },
            title: self.payload.title.clone(),
            body: self.payload.body.clone(),
            has_audio,
            audio_ms: match &self.voice {
                Voice::Ready(audio) | Voice::Listening(audio) => Some(audio.duration_ms()),
                _ => None,
            },
            endpoints: self.targets(indexes),
        }
    }

    fn targets(&self, indexes: &[u32]) -> Vec<Target> {
        let target = |index: &u32| {
            let target = &self.payload.targets[*index as usize];
            let endpoint = self.order.content.endpoints[*index as usize].to_string();
            Target { endpoint, name: target.name.clone(), address: target.address.clone() }
        };
        indexes.iter().map(target).collect()
    }

    fn call<B: Serialize, A: DeserializeOwned>(
        &self,
        driver: &DriverId,
        op: &'static str,
        deadline: Duration,
        body: &B,
    ) -> impl Future<Output = Result<A, Failure>> + Send + use<B, A> {
        let body = serde_json::to_value(body).expect("operations are plain data with text keys");
        let (drivers, driver) = (self.tools.drivers.clone(), driver.to_string());
        let activation = self.order.content.id.to_string();
        async move {
            let answer = drivers.call(&driver, op, Some(activation), deadline, body).await?;
            let bad = |error| Failure::new("bad_document", format!("{driver} answered {op} with {error}"));
            serde_json::from_value(answer).map_err(bad)
        }
    }
}

async fn next(voice: &mut Voice) -> Option<StreamEvent> {
    match voice {
        Voice::Playing(events) => events.recv().await,
        _ => std::future::pending().await,
    }
}

fn address(rtp: &RtpDestination) -> SocketAddr {
    SocketAddr::new(rtp.address, rtp.port)
}

fn fail(reason: impl Into<String>) -> EndpointState {
    EndpointState::Failed { reason: reason.into() }
}
