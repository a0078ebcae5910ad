//! An operator does not wait for the answer.

use std::time::Duration;

use http_client::Method;
use serde_json::json;

use crate::world::*;

/// How long the page stays open; a silent server is waited for longer.
const OPEN: Duration = Duration::from_secs(1);
/// How long the promotion may take from there on.
const DONE: Duration = Duration::from_secs(20);
const TRIES: u32 = 3;

/// Seen as a secondary that followed nobody from there on: the page was closed while the servers that did not answer were
/// waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_goes_on_to_its_end_though_the_page_that_asked_for_it_is_closed() {
    let fleet = fleet().await;
    write_group(&fleet, 0, "Before").await;
    fleet.in_step().await;
    // It is silent, as a machine is that hangs: a promotion waits for what it may say.
    fleet.servers[0].pause();
    let api = fleet.api(1);
    let asked = json!({});
    let mut primary = false;
    // A machine that is busy may not have read the request by then: asked again, and closed again, unless the first one was only
    // late and the answer says at once that it is done or under way.
    for again in 0..TRIES {
        let answer = api.ask(Method::POST, "/api/v1/promote", Some(&asked));
        let answered = tokio::time::timeout(OPEN, answer).await;
        assert!(answered.is_err() || again > 0, "the page is closed before the answer: {answered:?}");
        primary = tokio::time::timeout(DONE, balancer_is_told(&fleet, 1, 200, "Primary Active")).await.is_ok();
        if primary {
            break;
        }
    }
    assert!(primary, "nobody is the primary: {}", fleet.servers[1].log());
    writable(&fleet, 1, "After").await;
    has_group(&fleet, 2, "After").await;
    has_group(&fleet, 1, "Before").await;
    fleet.servers[0].wake();
    balancer_is_told(&fleet, 0, 404, "Primary Fenced").await;
}
