//! Devices of which too little is known when an announcement is prepared: they are asked for as long as they may still join it,
//! and hold nobody up meanwhile.

use std::{sync::Arc, time::Duration};

use onealert_plugin_api::document::{Prepared, PreparedState, Priority, Target};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use crate::{deliver, fleet::Fleet, link::Why, reason::Reason, settings::Endpoint};

/// The host waits 300 ms for `prepare`; a device that has not answered by then joins late.
const ASK: Duration = Duration::from_millis(250);
/// How long a device is asked. The host says when the announcement is over only of endpoints that have begun.
const LATEST: Duration = Duration::from_secs(20);
/// A device that could not be reached is asked again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// Asks the device. What is not known in time is told to the host later.
pub(crate) async fn prepare(
    fleet: Arc<Fleet>,
    activation: String,
    target: Target<Endpoint>,
    priority: Priority,
) -> Prepared {
    let endpoint = target.endpoint.clone();
    let (sender, mut answer) = oneshot::channel();
    let late = endpoint.clone();
    // On a task of its own: a request that is under way is not given up because the host waits no longer.
    tokio::spawn(async move {
        let state = ask(&fleet, &target.address, priority).await;
        if let Err(state) = sender.send(state) {
            fleet.host.prepared(&activation, vec![Prepared { endpoint: late, state }]);
        }
    });
    let reason = || format!("the device has not said within {} ms to which addresses it listens", ASK.as_millis());
    let state = match timeout(ASK, &mut answer).await {
        Ok(Ok(state)) => state,
        Ok(Err(_)) => PreparedState::Failed { reason: "the driver failed while it asked this device".to_owned() },
        Err(_) => {
            // From here on the task tells the host; what it has sent already is taken here.
            answer.close();
            answer.try_recv().unwrap_or_else(|_| PreparedState::Later { reason: reason() })
        }
    };
    Prepared { endpoint, state }
}

/// Asks until the device answers, or its answer can be of no use any more.
async fn ask(fleet: &Fleet, endpoint: &Endpoint, priority: Priority) -> PreparedState {
    let begun = Instant::now();
    let link = match fleet.link(endpoint) {
        Ok(link) => link,
        Err(reason) => return PreparedState::Failed { reason: reason.to_string() },
    };
    loop {
        // A command never gives way, so there is an answer.
        match link.learn_zones(Why::Command, &[endpoint]).await {
            Some(Err(reason)) if reason.is_out_of_reach() && begun.elapsed() < LATEST => sleep(AGAIN).await,
            Some(Err(reason)) => {
                return PreparedState::Failed { reason: Reason::ZonesUnknown(Box::new(reason)).to_string() };
            }
            Some(Ok(())) | None => return deliver::prepare_known(fleet, endpoint, priority),
        }
    }
}
