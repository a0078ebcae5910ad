//! The audio of a delivery: it starts when the fast endpoints are ready, the slow ones join it, and drivers hear when it began.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use onealert_core::{
    activation::EndpointState,
    ids::{DriverId, ServerId},
};
use onealert_media::{engine::StreamEvent, render::Rendered};
use onealert_plugin_api::document::RtpDestination;
use tokio::{sync::mpsc, time::Instant};

use super::{
    claims::Thing,
    results::fail,
    run::{Delivery, PREPARE_DEADLINE, PREPARE_WAIT, Step},
};
use crate::sound::destination;

/// Where the audio stands.
pub(super) enum Voice {
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

impl Delivery {
    /// Starts the stream when the sound is ready and the endpoints are, or the slow ones have had their time.
    pub(super) fn start_audio(&mut self, started: Instant) {
        let waited = self.preparing == 0 || started.elapsed() >= PREPARE_WAIT;
        if !matches!(self.voice, Voice::Ready(_)) || !waited {
            return;
        }
        if self.await_audio.is_empty() {
            if self.preparing == 0 && (self.late.is_empty() || started.elapsed() >= PREPARE_DEADLINE) {
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

    pub(super) fn listened(&mut self, taken: &[SocketAddr]) {
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

    pub(super) fn play(&mut self, audio: Arc<Rendered>) {
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
    pub(super) fn destinations(&mut self) -> Vec<(u32, RtpDestination)> {
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
    pub(super) fn join_late(&mut self) {
        for (index, rtp) in self.destinations() {
            self.tools.sound.join(self.order.content.id, destination(u64::from(index), &rtp));
        }
        if self.stream_begun {
            self.begin_heard();
        }
    }

    pub(super) fn stream(&mut self, event: Option<StreamEvent>) {
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
    pub(super) fn begin_heard(&mut self) {
        let mut by_driver: BTreeMap<DriverId, Vec<u32>> = BTreeMap::new();
        for index in std::mem::take(&mut self.await_audio) {
            let driver = self.payload.targets[index as usize].driver.clone();
            by_driver.entry(driver.expect("only endpoints with a driver are prepared")).or_default().push(index);
        }
        for (driver, indexes) in by_driver {
            self.begin(&driver, indexes, true);
        }
    }

    /// Endpoints that wait for audio will hear none.
    pub(super) fn unheard(&mut self, reason: &str) {
        let waiting: Vec<u32> = std::mem::take(&mut self.await_audio).into_iter().collect();
        self.report(waiting.into_iter().map(|index| (index, fail(reason))).collect());
    }
}

/// The next thing that the sender of the audio says.
pub(super) async fn next(voice: &mut Voice) -> Option<StreamEvent> {
    match voice {
        Voice::Playing(events) => events.recv().await,
        _ => std::future::pending().await,
    }
}

/// Where it goes.
pub(super) fn address(rtp: &RtpDestination) -> SocketAddr {
    SocketAddr::new(rtp.address, rtp.port)
}
