//! Announcements to devices: what is sent, what is checked, what may be claimed, and how it ends.

use std::{sync::Arc, time::Duration};

use onealert_plugin_api::document::{Codec, DeliveredState, PreparedState, Priority, RtpDestination, Target};
use tokio::time::{Instant, sleep_until};

use crate::{
    fleet::Fleet,
    hold::{Hold, Release},
    keep::Volume,
    link::{Link, Why},
    model::volume_parameter,
    plan::{self, Content},
    reason::Reason,
    runs::Run,
    settings::{Endpoint, What},
    wire::{Command, Multicast, Status},
};

/// When, after the audio began, the device is asked whether it receives.
const TRIES_MS: [u64; 5] = [0, 250, 600, 1100, 1800];
/// Silence before the content: receivers open late, and the first words matter.
const LEAD_IN_MS: u32 = 200;
/// An end that was not taken is tried once more after this.
const AGAIN: Duration = Duration::from_millis(300);

/// Whether the endpoint can be sent to, and where its audio goes, from what is known; `None` where the device has to be asked.
pub(crate) fn prepare_now(
    fleet: &Fleet,
    endpoint: &Endpoint,
    priority: Priority,
    has_audio: bool,
) -> Option<PreparedState> {
    match destinations(fleet, endpoint, priority, has_audio) {
        Err(Reason::ZonesUnknown(_)) => None,
        found => Some(state(found)),
    }
}

/// The same for a device that has been asked: what is still not known is why it cannot be sent to.
pub(crate) fn prepare_known(fleet: &Fleet, endpoint: &Endpoint, priority: Priority) -> PreparedState {
    state(destinations(fleet, endpoint, priority, true))
}

fn state(found: Result<Vec<RtpDestination>, Reason>) -> PreparedState {
    match found {
        Ok(rtp) => PreparedState::Ready { rtp },
        Err(reason) => PreparedState::Failed { reason: reason.to_string() },
    }
}

fn destinations(
    fleet: &Fleet,
    endpoint: &Endpoint,
    priority: Priority,
    has_audio: bool,
) -> Result<Vec<RtpDestination>, Reason> {
    let link = fleet.link(endpoint)?;
    let device = link.device();
    plan::possible(endpoint, &device.known)?;
    if endpoint.what != What::Zone {
        return Ok(Vec::new());
    }
    if !has_audio {
        return Err(Reason::Endpoint("the announcement has no audio, and this endpoint plays nothing else".to_owned()));
    }
    let (_, addr) = plan::zone(endpoint, priority, &device.known)?;
    Ok(vec![RtpDestination {
        address: addr.ip(),
        port: addr.port(),
        codec: Codec::Pcmu,
        packet_ms: 20,
        lead_in_ms: LEAD_IN_MS,
        dtmf: String::new(),
    }])
}

/// One endpoint of one announcement.
pub(crate) struct Job {
    pub activation: String,
    pub endpoint: String,
    pub address: Endpoint,
    pub content: Arc<Content>,
    pub run: Arc<Run>,
}

impl Job {
    fn is_over(&self) -> bool {
        self.run.is_over(&self.endpoint)
    }
}

/// Begins, and says how it went.
pub(crate) async fn begin(fleet: &Fleet, job: &Job) -> DeliveredState {
    let result = match fleet.link(&job.address) {
        Ok(link) if job.address.what == What::Zone => listen(&link, job).await,
        Ok(link) => act(&link, job).await,
        Err(reason) => Err(reason),
    };
    match result {
        Ok(note) => DeliveredState::Acked { note },
        Err(reason) => DeliveredState::Failed { reason: reason.to_string() },
    }
}

async fn act(link: &Link, job: &Job) -> Result<String, Reason> {
    let mut hold = link.hold.lock().await;
    if job.is_over() {
        return Err(Reason::Over);
    }
    if !link.device().known.is_identified()
        && let Some(Err(reason)) = link.identify(Why::Command).await
    {
        return Err(reason);
    }
    let known = link.device().known.clone();
    let plan = plan::plan(&job.address, &job.content, &known)?;
    let volume = if job.address.what == What::Tone { raise_volume(link, &mut hold, job).await } else { None };
    // Taken before it is sent: an answer that gets lost may still have switched something on.
    hold.take(plan.function, &job.activation, plan.stop);
    match link.tell(&plan.start).await {
        Ok(_) => Ok(with(plan.note, volume)),
        Err(reason) => {
            if !matches!(reason, Reason::NoAnswer(_)) {
                hold.untake(plan.function, &job.activation);
            }
            Err(reason)
        }
    }
}

fn with(note: String, volume: Option<String>) -> String {
    match volume {
        Some(volume) => format!("{note}; {volume}"),
        None => note,
    }
}

/// Audio was sent by multicast: asks the device whether it plays it, and claims no more than it says.
async fn listen(link: &Link, job: &Job) -> Result<String, Reason> {
    let began = Instant::now();
    let known = link.device().known.clone();
    plan::possible(&job.address, &known)?;
    let (zone, _) = plan::zone(&job.address, job.content.priority, &known)?;
    let volume = {
        let mut hold = link.hold.lock().await;
        if job.is_over() { None } else { raise_volume(link, &mut hold, job).await }
    };
    let mut last = Reason::Over;
    for at in TRIES_MS {
        sleep_until(began + Duration::from_millis(at)).await;
        if job.is_over() {
            break;
        }
        let status = match link.look(Why::Command).await {
            Some(Ok(status)) => status,
            Some(Err(reason)) => {
                return Ok(with(format!("packets were sent; the device could not be asked: {reason}"), volume));
            }
            None => continue,
        };
        match hears(&status, zone) {
            Heard::Yes(note) => return Ok(with(note, volume)),
            Heard::NotYet(reason) => last = reason,
        }
    }
    Err(last)
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Yes(String),
    NotYet(Reason),
}

fn hears(status: &Status, zone: u8) -> Heard {
    match (&status.multicast, &status.call) {
        (Some(Multicast::Active(Some(found))), _) if *found == zone => {
            Heard::Yes(format!("device reports it is receiving zone {zone}"))
        }
        (Some(Multicast::Active(Some(found))), _) => Heard::NotYet(Reason::OtherZone { found: *found, wanted: zone }),
        (Some(Multicast::Active(None)), _) => {
            Heard::Yes("device reports it is receiving multicast, without saying which zone".to_owned())
        }
        (_, Some(call)) => Heard::NotYet(Reason::InCall(call.clone())),
        (Some(_), None) => Heard::NotYet(Reason::Silent(status.multicast_text.clone())),
        (None, None) => Heard::Yes("packets were sent; the device does not say whether it receives".to_owned()),
    }
}

/// Sets the endpoint's volume, after noting the one to go back to. What went wrong is part of the note: an announcement at the
/// wrong volume is better than none.
async fn raise_volume(link: &Link, hold: &mut Hold, job: &Job) -> Option<String> {
    let wanted = format!("{}dB", job.address.volume_db?);
    let parameter = volume_parameter(link.device().known.model);
    let failed = |why: String| Some(format!("the volume could not be set: {why}"));
    let before = match link.setting(Why::Command, parameter).await {
        Some(Ok(Some(before))) => before,
        Some(Err(reason)) => return failed(reason.to_string()),
        Some(Ok(None)) | None => return failed(format!("the device has no setting {parameter}")),
    };
    if before == wanted && hold.volume_before().is_none() {
        return None;
    }
    hold.raise(&holder(&job.activation, &job.endpoint), Volume { parameter: parameter.to_owned(), before });
    // Kept before it is changed: a restart in between must not take the raised volume for the usual one.
    link.remember(hold);
    match link.tell(&Command::put_setting(parameter, &wanted)).await {
        Ok(_) => None,
        Err(reason) => failed(reason.to_string()),
    }
}

/// Who needs the volume raised: one endpoint of one announcement.
fn holder(activation: &str, endpoint: &str) -> String {
    format!("{activation} {endpoint}")
}

/// Sets the volume back if nobody needs it raised any more. What cannot be done now is done at a later look.
pub(crate) async fn restore_volume(link: &Link, hold: &mut Hold) {
    let Some(volume) = hold.volume_due() else { return };
    match link.tell(&Command::put_setting(&volume.parameter, &volume.before)).await {
        Err(reason) if reason.is_out_of_reach() => {
            tracing::warn!("{}: volume not set back to {} yet: {reason}", link.access.name(), volume.before);
        }
        outcome => {
            if let Err(reason) = outcome {
                tracing::warn!("{}: volume not set back to {}: {reason}", link.access.name(), volume.before);
            }
            hold.volume_restored();
            link.remember(hold);
        }
    }
}

/// The text changed; endpoints that show none have nothing to do.
pub(crate) async fn update(fleet: &Fleet, job: &Job) -> Result<(), Reason> {
    if job.address.what != What::Screen || !job.address.slide.trim().is_empty() {
        return Ok(());
    }
    let link = fleet.link(&job.address)?;
    let hold = link.hold.lock().await;
    let known = link.device().known.clone();
    let plan = plan::plan(&job.address, &job.content, &known)?;
    // Whoever has the screen keeps it: an update of an older announcement must not cover a newer one.
    if job.is_over() || !hold.has(plan.function, &job.activation) {
        return Ok(());
    }
    link.tell(&plan.start).await.map(|_| ())
}

/// Switches off what this announcement switched on at this endpoint. What the device cannot be told now it is told later.
pub(crate) async fn end(fleet: &Fleet, activation: &str, target: &Target<Endpoint>) {
    let endpoint = &target.address;
    let Ok(link) = fleet.link(endpoint) else { return };
    let mut hold = link.hold.lock().await;
    if let Some(function) = plan::function(endpoint.what) {
        let stop = match hold.release(function, activation) {
            Release::Stop(stop) => stop,
            Release::Other => Vec::new(),
            Release::Unknown => plan::stop(endpoint, None, &link.device().known),
        };
        if let Err(reason) = tell_all(&link, &stop).await {
            if reason.is_out_of_reach() {
                tracing::warn!("{}: not switched off yet, tried again until it is: {reason}", link.access.name());
                hold.owe(function, stop);
            } else {
                tracing::warn!("{}: switching off: {reason}", link.access.name());
            }
        }
    }
    hold.lower(&holder(activation, &target.endpoint));
    restore_volume(&link, &mut hold).await;
}

async fn tell_all(link: &Link, commands: &[Command]) -> Result<(), Reason> {
    let mut result = Ok(());
    for command in commands {
        let mut told = link.tell(command).await;
        if told.as_ref().is_err_and(Reason::is_out_of_reach) {
            tokio::time::sleep(AGAIN).await;
            told = link.tell(command).await;
        }
        result = result.and(told.map(|_| ()));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(multicast: Option<Multicast>, call: Option<&str>) -> Status {
        Status { multicast, multicast_text: "Receiver (Idle)".to_owned(), call: call.map(str::to_owned) }
    }

    #[test]
    fn no_more_is_claimed_than_the_device_says() {
        let yes = |status: Status| match hears(&status, 3) {
            Heard::Yes(note) => note,
            Heard::NotYet(reason) => panic!("{reason}"),
        };
        assert_eq!(yes(status(Some(Multicast::Active(Some(3))), None)), "device reports it is receiving zone 3");
        assert!(yes(status(Some(Multicast::Active(None)), None)).contains("without saying which"));
        assert!(yes(status(None, None)).contains("does not say"));
        for (status, reason) in [
            (status(Some(Multicast::Active(Some(1))), None), Reason::OtherZone { found: 1, wanted: 3 }),
            (status(Some(Multicast::Idle), None), Reason::Silent("Receiver (Idle)".to_owned())),
            (status(Some(Multicast::Idle), Some("Connected")), Reason::InCall("Connected".to_owned())),
        ] {
            assert_eq!(hears(&status, 3), Heard::NotYet(reason));
        }
    }
}
