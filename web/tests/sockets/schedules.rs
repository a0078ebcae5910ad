//! Schedules: what everybody sees, and how editors change them, as a browser without script does.

use onealert_core::{calendar::Calendar, ids::CalendarId};

use crate::{
    forms::hidden,
    support::{Answer, Server},
    world::World,
};

/// A school with its bells on Tuesday 24 November 2026, at 08:30 in Chicago.
async fn school() -> Server {
    Server::start(World::primary()).await
}

fn stored(server: &Server) -> Calendar {
    server.world.change(|state| state.calendars[&CalendarId::from("school")].clone())
}

async fn page(server: &Server, cookie: &str, path: &str) -> Answer {
    server.get(path).cookie(cookie).send().await.is(200)
}

#[tokio::test]
async fn everybody_sees_the_next_bell_on_top_and_only_editors_may_change_it() {
    let server = school().await;
    let cookie = server.sign_in("viewer").await;
    let list = page(&server, &cookie, "/schedules").await;
    let list = list
        .shows("School bells")
        .shows("Period 2")
        .shows("at 08:55")
        .shows("in 25 min")
        .shows("4 events to come today");
    let one = page(&server, &cookie, "/schedules/school").await;
    let one = one
        .shows("Tue 24 Nov: Normal day, 6 events")
        .shows("Tomorrow, Wed 25 Nov")
        .shows("Thanksgiving")
        .shows("fieldset class=\"all week\" disabled");
    assert!(!one.body.contains("No bells today") && !list.body.contains("New schedule"));
    server.post(&cookie, "/schedules/school/week", &[]).await.is(403);
    let cookie = server.sign_in("editor").await;
    page(&server, &cookie, "/schedules/school").await.shows("No bells today").shows("No bells tomorrow");
}

#[tokio::test]
async fn no_bells_tomorrow_takes_a_reason_and_says_what_it_changes_before_it_is_saved() {
    let server = school().await;
    let cookie = server.sign_in("editor").await;
    let form = page(&server, &cookie, "/schedules/school/except?from=2026-11-25&to=2026-11-25").await;
    let form = form.shows("value=\"2026-11-25\"");
    let etag = hidden(&form, "etag");
    let mut fields = vec![
        ("etag", etag.as_str()),
        ("/from", "2026-11-25"),
        ("/to", "2026-11-25"),
        ("/template", ""),
        ("/reason", ""),
    ];
    server.post(&cookie, "/schedules/school/except", &fields).await.is(422).shows("Reason: must not be empty");
    fields[4].1 = "Storm";
    let asked = server.post(&cookie, "/schedules/school/except", &fields).await.is(200);
    asked.shows("Wednesday 25 November 2026: 2 events to come become none.");
    assert_eq!(stored(&server).exceptions.len(), 1, "nothing is saved before the yes");
    fields.push(("confirm", "yes"));
    server.post(&cookie, "/schedules/school/except", &fields).await.is(303);
    page(&server, &cookie, "/schedules/school").await.shows("Storm");
    server.post(&cookie, "/schedules/school/except", &fields).await.is(422).shows("First day: overlaps with");
    let etag = hidden(&page(&server, &cookie, "/schedules/school").await, "etag");
    let gone = [("etag", etag.as_str()), ("from", "2026-11-25"), ("to", "2026-11-25")];
    server.post(&cookie, "/schedules/school/unexcept", &gone).await.is(200).shows("0 events to come become 2.");
    let sure = [gone[0], gone[1], gone[2], ("confirm", "yes")];
    server.post(&cookie, "/schedules/school/unexcept", &sure).await.is(303);
    assert_eq!(stored(&server).exceptions.len(), 1);
}

#[tokio::test]
async fn a_day_template_is_edited_row_by_row_and_each_mistake_stands_at_its_row() {
    let server = school().await;
    let cookie = server.sign_in("editor").await;
    let form = page(&server, &cookie, "/schedules/school/day?template=Late%20start").await;
    let form = form.shows("On Wednesday.").shows("value=\"10:00\"");
    let etag = hidden(&form, "etag");
    let start = [("etag", etag.as_str()), ("was", "Late start"), ("/name", "Late Wednesday"), ("rows", "4")];
    let bad = [
        ("at-0", "25:00"),
        ("event-0", "First bell"),
        ("rings-0", "end-of-day"),
        ("at-1", "15:05"),
        ("event-1", "Dismissal"),
        ("rings-1", "nobody"),
    ];
    let fields: Vec<_> = start.into_iter().chain(bad).collect();
    server
        .post(&cookie, "/schedules/school/day", &fields)
        .await
        .is(422)
        .shows("&#34;25:00&#34; is not a time of day")
        .shows("value=\"Dismissal\"");
    // An event that starts two notifications is two rows of one time and name; an empty row is none.
    let good = [
        ("at-0", "15:05:00"),
        ("event-0", "Dismissal"),
        ("rings-0", "end-of-day"),
        ("at-1", "10:00"),
        ("event-1", "First bell"),
        ("rings-1", "end-of-day"),
        ("at-2", "10:00"),
        ("event-2", "First bell"),
        ("rings-2", "lockdown"),
        ("paused-0", "on"),
    ];
    let mut fields: Vec<_> = start.into_iter().chain(good).collect();
    server.post(&cookie, "/schedules/school/day", &fields).await.is(200).shows("Save Late Wednesday?");
    fields.push(("confirm", "yes"));
    server.post(&cookie, "/schedules/school/day", &fields).await.is(303);
    let calendar = stored(&server);
    assert_eq!(calendar.week.wednesday.as_deref(), Some("Late Wednesday"), "renamed where it is named");
    let events = &calendar.template("Late Wednesday").expect("it is there").events;
    assert_eq!((events[0].name.as_str(), events[0].notifications.len()), ("First bell", 2));
    assert!(events[1].paused && events.len() == 2);
}

#[tokio::test]
async fn a_schedule_is_made_given_a_week_and_deleted() {
    let server = school().await;
    let cookie = server.sign_in("editor").await;
    let form =
        [("etag", ""), ("/name", "Pool"), ("/zone", "Mars/Olympus"), ("/group", "DEFAULT"), ("/late_limit_s", "30")];
    server.post(&cookie, "/schedules/new", &form).await.is(422).shows("is not a time zone");
    let form = form.map(|(name, value)| if name == "/zone" { (name, "Europe/Berlin") } else { (name, value) });
    server.post(&cookie, "/schedules/new", &form).await.is(303);
    let pool = page(&server, &cookie, "/schedules/pool").await;
    let pool = pool.shows("Nothing is to come").shows("Europe/Berlin");
    let etag = hidden(&pool, "etag");
    let week = [("etag", etag.as_str()), ("/week/monday", "Gone")];
    server.post(&cookie, "/schedules/pool/week", &week).await.is(422);
    server.post(&cookie, "/schedules/pool/delete", &[]).await.is(200).shows("Delete Pool?");
    server.post(&cookie, "/schedules/pool/delete", &[("confirm", "yes"), ("etag", etag.as_str())]).await.is(303);
    server.get("/schedules/pool").cookie(&cookie).send().await.is(404);
}

#[tokio::test]
async fn on_a_secondary_schedules_are_shown_shut_and_say_why() {
    let server = Server::start(World::secondary()).await;
    let cookie = server.sign_in("admin").await;
    let one = page(&server, &cookie, "/schedules/school").await;
    one.shows("fieldset class=\"all week\" disabled").shows("Open this page on pa-1, the primary");
    page(&server, &cookie, "/schedules/school/day?template=Normal%20day")
        .await
        .shows("fieldset class=\"all roomy\" disabled");
    server.post(&cookie, "/schedules/school/week", &[]).await.is(403);
}
