//! Two servers are promoted while they cannot hear each other. When they can, one branch of the configuration counts; the other
//! side comes back by itself or with one command, and what was written there is kept for people.

use harness::{Fleet, FleetOptions};
use http_client::Method;

use crate::world::*;

/// What a server's conflict reports say, read as an administrator does: through its API and on its console.
async fn report_says(fleet: &Fleet, at: usize, words: &str) {
    let name = &fleet.servers[at].name;
    harness::wait_for(&format!("{name} has a report with {words}"), PATIENCE, || async {
        let reports = fleet.api(at).ask(Method::GET, "/api/v1/conflicts", None).await.ok()?.json;
        (reports.as_array()?.len() == 1 && reports.to_string().contains(words)).then_some(())
    })
    .await;
    let printed = command(fleet, at, &["conflicts"]).expect("readable on the console");
    assert!(printed.contains("priority group ") && printed.contains(words), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_promoted_apart_one_counts_and_the_other_side_comes_back_with_its_changes_kept() {
    let options = FleetOptions { servers: 4, drivers: Vec::new(), severable: true, ..FleetOptions::patient() };
    let mut fleet = Fleet::start(options).await;
    write_group(&fleet, 0, "Shared").await;
    fleet.in_step().await;
    // The primary is lost, and what it wrote last is on the fourth server alone, which is cut off from the others: its branch
    // keeps more.
    for away in [1, 2] {
        fleet.servers[away].kill();
    }
    write_group(&fleet, 0, "Late").await;
    has_group(&fleet, 3, "Late").await;
    fleet.network().cut(3);
    fleet.servers[0].kill();
    for back in [1, 2] {
        fleet.servers[back].start();
    }
    command(&fleet, 1, &["promote"]).expect("promoted on its side of the cut");
    writable(&fleet, 1, "Losing").await;
    has_group(&fleet, 2, "Losing").await;
    command(&fleet, 3, &["promote"]).expect("promoted on the other side");
    writable(&fleet, 3, "Winning").await;

    fleet.network().heal(3);
    balancer_is_told(&fleet, 1, 404, "Primary Fenced").await;
    let (status, text) = try_group(&fleet, 1, "No").await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("fenced") && text.contains("onealert join"), "{text}");
    report_says(&fleet, 1, "Losing").await;

    // The secondary of that branch needs nobody.
    for kept in ["Winning", "Late"] {
        has_group(&fleet, 2, kept).await;
    }
    lacks_group(&fleet, 2, "Losing").await;
    report_says(&fleet, 2, "Losing").await;
    sync_log_says(&fleet, 2, "a branch of the configuration that is left behind").await;
    write_group(&fleet, 3, "After").await;
    has_group(&fleet, 2, "After").await;

    // The primary of that branch needs one command.
    let joined = fleet.join(1, 3).expect("one command makes it a secondary");
    assert!(joined.contains("starts anew"), "{joined}");
    has_group(&fleet, 1, "After").await;
    lacks_group(&fleet, 1, "Losing").await;
    balancer_is_told(&fleet, 1, 200, "Secondary Active").await;
    report_says(&fleet, 1, "Losing").await;

    // So does the one that was lost at first; all that it had is part of what counts.
    fleet.servers[0].start();
    balancer_is_told(&fleet, 0, 404, "Primary Fenced").await;
    assert_eq!(command(&fleet, 0, &["conflicts"]).expect("readable"), "no conflict report on this server\n");
    fleet.join(0, 3).expect("one command makes it a secondary");
    has_group(&fleet, 0, "After").await;
}
