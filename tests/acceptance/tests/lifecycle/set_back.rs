//! A machine is put back to an earlier moment: its data folder is an older copy, and the server in it is the same. A secondary
//! comes back by itself; a primary takes no configuration until an operator has decided.

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness::{Fleet, wait_for};
use http_client::Method;
use serde_json::json;

use crate::{
    site::{ENDPOINTS, Site},
    world::*,
};

fn data(fleet: &Fleet, server: usize) -> PathBuf {
    fleet.folder().join(&fleet.servers[server].name).join("data")
}

/// Copies a folder; what is in the way at the target is replaced. The devices are not part of a machine: the files that stand
/// for them stay as they are.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_name() == "driver-state" {
            continue;
        }
        let kind = entry.file_type().expect("a kind");
        // What is neither, such as the socket of a server, is nothing that a copy of a machine has.
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Stops a server in good order and keeps a copy of its folder.
fn set_aside(fleet: &mut Fleet, server: usize) -> PathBuf {
    assert!(fleet.servers[server].stop(), "it stops in good order");
    let aside = fleet.folder().join(format!("aside-{server}"));
    copy(&data(fleet, server), &aside);
    aside
}

/// Puts the copy in the place of a stopped server's folder.
fn put_back(fleet: &Fleet, server: usize, aside: &Path) {
    let data = data(fleet, server);
    for entry in fs::read_dir(&data).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::remove_file(path).expect("removed");
        }
    }
    copy(aside, &data);
}

/// Whose records the primary has of an activation, in its log and in its list.
async fn records(site: &Site, activation: &str) -> (i64, Vec<String>) {
    let store = look_into(&data(&site.fleet, 0).join("history.db")).expect("the file is there");
    let count = "SELECT COUNT(*) FROM sent WHERE activation = ?1";
    let logged = store.query_row(count, [activation], |row| row.get(0)).expect("a number");
    let sent = site.fleet.api(0).get("/api/v1/sent").await;
    let rows = sent["rows"].as_array().expect("rows").iter().filter(|row| row["activation"] == activation);
    let listed = rows.map(|row| row["server_name"].as_str().expect("a name").to_owned()).collect();
    (logged, listed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_that_was_put_back_comes_back_alone_and_no_number_is_used_twice() {
    let mut site = Site::start().await;
    let mut order = Vec::new();
    for name in ["pa-2", "pa-1", "pa-3"] {
        order.push(id_of(&site.fleet.api(0), name).await);
    }
    site.fleet.api(0).put("/api/v1/groups/DEFAULT", json!({"name": "DEFAULT", "servers": order})).await;
    site.fleet.in_step().await;
    let first = site.send_by(0, "pa-2").await;
    site.ended_on(0, &first).await;

    let aside = set_aside(&mut site.fleet, 1);
    site.fleet.servers[1].start();
    let forgotten = site.send_by(0, "pa-2").await;
    site.ended_on(0, &forgotten).await;
    write_group(&site.fleet, 0, "Later").await;
    has_group(&site.fleet, 1, "Later").await;

    // Put back, and for a while without the primary, which could tell it: what it writes then is a record like the one that was
    // forgotten, the first after the same one.
    assert!(site.fleet.servers[1].stop());
    put_back(&site.fleet, 1, &aside);
    site.fleet.servers[0].kill();
    site.fleet.servers[1].start();
    let alone = site.send_by(2, "pa-2").await;
    site.fleet.servers[0].start();
    site.ended_on(0, &alone).await;
    sync_log_says(&site.fleet, 1, "data folder of this server is an older copy").await;
    has_group(&site.fleet, 1, "Later").await;
    for activation in [&first, &forgotten, &alone] {
        assert_eq!(site.deliveries(activation), [0, ENDPOINTS, 0], "{activation}");
        assert_eq!(records(&site, activation).await, (1, vec!["pa-2".to_owned()]), "{activation}");
    }
    // It goes on as ever.
    site.send_by(0, "pa-2").await;
}

/// A fleet whose primary was put back to before the group "Later", which the secondaries have.
async fn with_a_primary_that_was_put_back() -> Fleet {
    let mut fleet = fleet().await;
    write_group(&fleet, 0, "Before").await;
    fleet.in_step().await;
    let aside = set_aside(&mut fleet, 0);
    fleet.servers[0].start();
    writable(&fleet, 0, "Later").await;
    for secondary in [1, 2] {
        has_group(&fleet, secondary, "Later").await;
    }
    assert!(fleet.servers[0].stop());
    put_back(&fleet, 0, &aside);
    fleet.servers[0].start();
    balancer_is_told(&fleet, 0, 404, "Primary Set Back").await;
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_put_back_takes_no_configuration_until_it_has_taken_what_is_missing() {
    let mut fleet = with_a_primary_that_was_put_back().await;
    let (status, text) = try_group(&fleet, 0, "No").await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("set back") && text.contains("onealert promote"), "{text}");
    sync_log_says(&fleet, 0, "changes more").await;
    wait_for("a secondary shows it in red", PATIENCE, || async {
        let status = fleet.api(1).ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let row = status["servers"].as_array()?.iter().find(|row| row["name"] == "pa-1")?.clone();
        (row["state"] == "bad" && row["text"].as_str()?.contains("set back")).then_some(())
    })
    .await;
    // A restart does not make it forget.
    fleet.servers[0].kill();
    fleet.servers[0].start();
    balancer_is_told(&fleet, 0, 404, "Primary Set Back").await;
    hears(&fleet, 0, 1).await;
    hears(&fleet, 0, 2).await;

    let said = command(&fleet, 0, &["promote"]).expect("one command");
    assert!(said.contains("Took the records that pa-"), "{said}");
    writable(&fleet, 0, "After").await;
    for server in [0, 1, 2] {
        for group in ["Before", "Later", "After"] {
            has_group(&fleet, server, group).await;
        }
        let reports = command(&fleet, server, &["conflicts"]).expect("readable");
        assert_eq!(reports, "no conflict report on this server\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_is_promoted_in_the_place_of_a_primary_that_was_put_back() {
    let fleet = with_a_primary_that_was_put_back().await;
    command(&fleet, 1, &["promote"]).expect("the primary is not in order");
    writable(&fleet, 1, "After").await;
    balancer_is_told(&fleet, 0, 404, "Primary Fenced").await;
    fleet.join(0, 1).expect("one command makes it a secondary");
    for server in [0, 2] {
        for group in ["Before", "Later", "After"] {
            has_group(&fleet, server, group).await;
        }
    }
}

/// A fleet whose primary was put back to before the groups "Later" and "Latest", opened while nobody could tell it, and has taken
/// these groups since. The secondaries are back then.
async fn with_a_primary_that_wrote_before_it_heard_anybody(groups: &[&str]) -> Fleet {
    let mut fleet = fleet().await;
    write_group(&fleet, 0, "Before").await;
    fleet.in_step().await;
    let aside = set_aside(&mut fleet, 0);
    fleet.servers[0].start();
    writable(&fleet, 0, "Later").await;
    write_group(&fleet, 0, "Latest").await;
    for secondary in [1, 2] {
        has_group(&fleet, secondary, "Latest").await;
    }
    for server in 0..3 {
        fleet.servers[server].kill();
    }
    put_back(&fleet, 0, &aside);
    fleet.servers[0].start();
    let (first, others) = groups.split_first().expect("at least one");
    writable(&fleet, 0, first).await;
    for group in others {
        write_group(&fleet, 0, group).await;
    }
    for secondary in [1, 2] {
        fleet.servers[secondary].start();
    }
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_set_back_primary_wrote_alone_was_replaced_without_a_report_when_it_took_what_was_missing() {
    let fleet = with_a_primary_that_wrote_before_it_heard_anybody(&["Alone"]).await;
    balancer_is_told(&fleet, 0, 404, "Primary Set Back").await;
    hears(&fleet, 0, 1).await;
    hears(&fleet, 0, 2).await;
    let said = command(&fleet, 0, &["promote"]).expect("one command");
    assert!(said.contains("Took the records that pa-"), "{said}");
    writable(&fleet, 0, "After").await;
    for server in [0, 1, 2] {
        for group in ["Before", "Later", "Latest", "After"] {
            has_group(&fleet, server, group).await;
        }
        lacks_group(&fleet, server, "Alone").await;
    }
    let report = command(&fleet, 0, &["conflicts"]).expect("readable");
    assert!(report.contains("Alone") && !report.contains("Before"), "what is common is no conflict: {report}");
    assert_eq!(command(&fleet, 1, &["conflicts"]).expect("readable"), "no conflict report on this server\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_set_back_primary_wrote_alone_is_kept_when_another_is_promoted_and_it_joins() {
    let fleet = with_a_primary_that_wrote_before_it_heard_anybody(&["Alone"]).await;
    balancer_is_told(&fleet, 0, 404, "Primary Set Back").await;
    command(&fleet, 1, &["promote"]).expect("the primary is not in order");
    balancer_is_told(&fleet, 0, 404, "Primary Fenced").await;
    fleet.join(0, 1).expect("one command makes it a secondary");
    has_group(&fleet, 0, "Latest").await;
    lacks_group(&fleet, 0, "Alone").await;
    let report = command(&fleet, 0, &["conflicts"]).expect("readable");
    assert!(report.contains("Alone") && !report.contains("Before"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_back_primary_that_wrote_more_than_was_lost_goes_on_and_the_others_keep_what_they_had() {
    let fleet = with_a_primary_that_wrote_before_it_heard_anybody(&["One", "Two", "Three", "Four"]).await;
    for secondary in [1, 2] {
        has_group(&fleet, secondary, "Four").await;
        lacks_group(&fleet, secondary, "Later").await;
        let report = command(&fleet, secondary, &["conflicts"]).expect("readable");
        let kept = ["Later", "Latest"].iter().all(|group| report.contains(group));
        assert!(kept && !report.contains("Before") && !report.contains("One"), "{report}");
    }
    assert_eq!(command(&fleet, 0, &["conflicts"]).expect("readable"), "no conflict report on this server\n");
}
