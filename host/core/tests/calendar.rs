//! Calendars: local times to instants over clock changes, exceptions, leap days, and what a server hands over as time goes by.

use onealert_core::{
    calendar::{Calendar, CalendarEvent, Clockwork, DayTemplate, Exception, Past, Plan, Weekday, When, Work, faults},
    config::{Change, Config, Notification, PriorityGroup, Table},
    ids::{GroupId, NotificationId},
    time::{Mono, Now, Span, Wall},
};
use proptest::prelude::*;

const SCHOOL: &str = "America/Chicago";

fn event(name: &str, at: &str) -> CalendarEvent {
    CalendarEvent {
        name: name.to_owned(),
        at: at.parse().expect("a time"),
        notifications: vec![NotificationId::from("bell")],
        paused: false,
    }
}

fn template(name: &str, events: &[(&str, &str)]) -> DayTemplate {
    DayTemplate { name: name.to_owned(), events: events.iter().map(|(name, at)| event(name, at)).collect() }
}

/// A calendar that has these events every day of the week.
fn daily(zone: &str, events: &[(&str, &str)]) -> Calendar {
    let mut calendar = Calendar::new("school".into(), "School", zone, GroupId::from("DEFAULT"));
    calendar.templates = vec![template("Normal", events)];
    for day in Weekday::ALL {
        calendar.week.set(day, Some("Normal".to_owned()));
    }
    calendar
}

fn except(calendar: &mut Calendar, from: &str, to: &str, template: Option<&str>, reason: &str) {
    calendar.exceptions.push(Exception {
        from: from.parse().expect("a date"),
        to: to.parse().expect("a date"),
        template: template.map(str::to_owned),
        reason: reason.to_owned(),
    });
}

fn plan(calendar: Calendar) -> Plan {
    Plan::of(calendar).expect("a zone that exists")
}

fn utc(text: &str) -> Wall {
    Wall(text.parse::<jiff::Timestamp>().expect("an instant").as_millisecond())
}

/// The events of a date with their instants.
fn instants(plan: &Plan, date: &str) -> Vec<(String, String)> {
    let text = |due: Wall| jiff::Timestamp::from_millisecond(due.0).expect("an instant").to_string();
    plan.on(date.parse().expect("a date")).into_iter().map(|it| (it.event, text(it.due))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_bell_keeps_its_local_time_through_the_year() {
    let plan = plan(daily(SCHOOL, &[("First", "08:00")]));
    assert_eq!(instants(&plan, "2026-01-15"), pairs(&[("First", "2026-01-15T14:00:00Z")]));
    assert_eq!(instants(&plan, "2026-07-15"), pairs(&[("First", "2026-07-15T13:00:00Z")]));
    let key = plan.on("2026-01-15".parse().expect("a date"))[0].key();
    assert_eq!(key.as_str(), "calendar/school/First/2026-01-15T14:00:00Z");
}

#[test]
fn a_local_time_that_does_not_exist_rings_once_as_much_later_as_the_clock_is_put_forward() {
    let plan = plan(daily(SCHOOL, &[("Gap", "02:30"), ("After", "03:00")]));
    // On 8 March 2026 two o'clock is followed by three.
    assert_eq!(
        instants(&plan, "2026-03-08"),
        pairs(&[("After", "2026-03-08T08:00:00Z"), ("Gap", "2026-03-08T08:30:00Z")])
    );
}

#[test]
fn a_local_time_that_comes_twice_rings_the_first_time_only() {
    let plan = plan(daily(SCHOOL, &[("Twice", "01:30")]));
    // On 1 November 2026 one o'clock comes twice.
    assert_eq!(instants(&plan, "2026-11-01"), pairs(&[("Twice", "2026-11-01T06:30:00Z")]));
    let day = plan.between(utc("2026-11-01T05:00:00Z"), utc("2026-11-02T05:59:59Z"));
    assert_eq!(day.len(), 1);
}

#[test]
fn two_events_that_a_clock_change_puts_on_one_instant_start_a_notification_once() {
    let plan = plan(daily(SCHOOL, &[("Gap", "02:30"), ("Half past three", "03:30")]));
    assert_eq!(instants(&plan, "2026-03-08").len(), 1);
    assert_eq!(instants(&plan, "2026-03-09").len(), 2);
}

#[test]
fn a_day_that_a_zone_leaves_out_rings_once() {
    // Samoa went from 29 to 31 December 2011.
    let plan = plan(daily("Pacific/Apia", &[("First", "08:00")]));
    let week = plan.between(utc("2011-12-28T00:00:00Z"), utc("2012-01-02T00:00:00Z"));
    let mut keys: Vec<_> = week.iter().map(|it| it.key()).collect();
    keys.dedup();
    assert_eq!((week.len(), keys.len()), (5, 5), "{week:?}");
}

#[test]
fn the_week_says_which_template_a_day_has_and_an_exception_says_otherwise() {
    let mut calendar = daily(SCHOOL, &[("First", "08:00"), ("Last", "15:00")]);
    calendar.templates.push(template("Late start", &[("First", "10:00")]));
    for day in [Weekday::Saturday, Weekday::Sunday] {
        calendar.week.set(day, None);
    }
    except(&mut calendar, "2026-11-23", "2026-11-27", Some("Late start"), "Exam week");
    except(&mut calendar, "2026-11-26", "2026-11-26", None, "Thanksgiving");
    let plan = plan(calendar);
    let bells = |date: &str| instants(&plan, date).len();
    assert_eq!((bells("2026-11-20"), bells("2026-11-21"), bells("2026-11-24")), (2, 0, 1));
    assert_eq!(bells("2026-11-26"), 0, "the shorter exception counts");
    assert_eq!(bells("2026-11-27"), 1);
    let day = plan.day("2026-11-26".parse().expect("a date"));
    assert_eq!((day.template, day.exception.map(|it| it.reason.as_str())), (None, Some("Thanksgiving")));
}

#[test]
fn the_next_bell_is_found_over_a_weekend_a_holiday_and_a_leap_day() {
    let mut calendar = daily(SCHOOL, &[("First", "08:00")]);
    for day in [Weekday::Saturday, Weekday::Sunday] {
        calendar.week.set(day, None);
    }
    except(&mut calendar, "2028-02-28", "2028-02-28", None, "Teachers' day");
    let found = plan(calendar).next(utc("2028-02-25T15:00:00Z")).expect("there is a next one");
    assert_eq!(found.date.to_string(), "2028-02-29");
    let mut empty = daily(SCHOOL, &[("First", "08:00")]);
    empty.templates[0].events[0].paused = true;
    assert_eq!(plan(empty).next(utc("2028-02-25T15:00:00Z")), None, "a paused event does not happen");
}

fn config() -> Config {
    let mut config = Config::default();
    let group = PriorityGroup { id: GroupId::from("DEFAULT"), name: "DEFAULT".into(), servers: Vec::new() };
    let bell = Notification {
        id: "bell".into(),
        name: "Bell".into(),
        priority: Default::default(),
        triggers: Vec::new(),
        endpoints: Vec::new(),
        message: Default::default(),
        on_takeover: Default::default(),
    };
    for change in
        [Change::put(Table::PriorityGroups, "DEFAULT", &group), Change::put(Table::Notifications, "bell", &bell)]
    {
        config.apply(&change).expect("a good row");
    }
    config
}

#[test]
fn a_good_calendar_has_no_faults_and_survives_its_row() {
    let mut calendar = daily(SCHOOL, &[("First", "08:00"), ("Last", "15:00:30")]);
    except(&mut calendar, "2026-11-23", "2026-11-27", None, "Break");
    assert_eq!(faults(&calendar, &config()), []);
    let mut config = config();
    config.apply(&Change::put(Table::Calendars, "school", &calendar)).expect("it is read as it was written");
    assert_eq!(config.calendars.values().collect::<Vec<_>>(), [&calendar]);
}

#[test]
fn every_fault_of_a_calendar_is_named_with_its_place() {
    let mut calendar = daily("america/chicago", &[("First", "08:00"), ("first", "08:00")]);
    calendar.group = GroupId::from("nowhere");
    calendar.late_limit_s = 0;
    calendar.templates[0].events[1].notifications.push("nobody".into());
    calendar.week.monday = Some("Gone".to_owned());
    except(&mut calendar, "2026-11-27", "2026-11-23", Some("Gone too"), "");
    except(&mut calendar, "2026-12-01", "2026-12-02", None, "One");
    except(&mut calendar, "2026-12-02", "2026-12-03", None, "Two");
    let found = faults(&calendar, &config());
    let at = |path: &str| found.iter().find(|fault| fault.path == path).map_or("", |fault| fault.message.as_str());
    assert_eq!(at("/zone"), "must be written America/Chicago");
    for (path, says) in [
        ("/group", "nowhere"),
        ("/late_limit_s", "1 to 3600"),
        ("/templates/0/events/1/name", "twice"),
        ("/templates/0/events/1/at", "\"First\""),
        ("/templates/0/events/1/notifications/1", "nobody"),
        ("/week/monday", "\"Gone\""),
        ("/exceptions/0/to", "2026-11-27"),
        ("/exceptions/0/reason", "empty"),
        ("/exceptions/0/template", "Gone too"),
        ("/exceptions/2/from", "\"One\""),
    ] {
        assert!(at(path).contains(says), "{path}: {:?}", at(path));
    }
    assert!(faults(&daily("Mars/Olympus", &[]), &config())[0].message.contains("Mars/Olympus"));
}

#[test]
fn a_renamed_template_is_renamed_wherever_it_is_named() {
    let mut calendar = daily(SCHOOL, &[("First", "08:00")]);
    except(&mut calendar, "2026-11-26", "2026-11-26", Some("Normal"), "School day after all");
    calendar.rename_template("Normal", "Regular");
    assert_eq!(faults(&calendar, &config()), []);
    assert_eq!(calendar.week.on(Weekday::Friday), Some("Regular"));
}

/// A server's two clocks, turned by hand.
struct Clocks {
    now: Now,
    work: Clockwork,
    plans: Vec<Plan>,
}

impl Clocks {
    fn at(text: &str, mark: Option<&str>, calendar: Calendar) -> Clocks {
        let now = Now { mono: Mono(0), wall: utc(text) };
        Clocks { now, work: Clockwork::new(mark.map(utc), now), plans: vec![plan(calendar)] }
    }
    fn look(&mut self) -> Work {
        self.work.look(self.now, &self.plans)
    }
    /// Lets seconds pass; gives what was handed over, each with the second in which it was.
    fn run(&mut self, seconds: u64) -> Vec<(u64, String)> {
        let mut handed = Vec::new();
        for second in 0..seconds {
            handed.extend(self.look().hand_over.into_iter().map(|it| (second, it.at.to_string())));
            self.now = Now { mono: self.now.mono + Span::secs(1), wall: self.now.wall + Span::secs(1) };
        }
        handed
    }
    fn step(&mut self, seconds: i64) {
        self.now.wall = Wall(self.now.wall.0 + seconds * 1000);
    }
}

fn handed(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(second, at)| (*second, (*at).to_owned())).collect()
}

fn bells() -> Calendar {
    daily("UTC", &[("First", "08:00"), ("Second", "08:50"), ("Third", "09:40")])
}

#[test]
fn a_bell_is_handed_over_once_and_ahead_of_its_moment() {
    let mut clocks = Clocks::at("2026-09-01T07:59:00Z", None, bells());
    assert_eq!(clocks.run(120), handed(&[(55, "08:00")]));
    assert!(clocks.work.mark() > utc("2026-09-01T08:00:00Z"));
}

#[test]
fn a_server_started_again_inside_the_minute_hands_over_the_same_key_and_nothing_that_was_before() {
    let mut clocks = Clocks::at("2026-09-01T08:00:20Z", Some("2026-09-01T07:59:40Z"), bells());
    let again = clocks.look().hand_over;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].key().as_str(), "calendar/school/First/2026-09-01T08:00:00Z");
    assert_eq!(clocks.run(60), []);
    let mut first = Clocks::at("2026-09-01T08:00:20Z", None, bells());
    assert_eq!(first.run(60), [], "the first start of all has missed nothing");
}

#[test]
fn a_server_that_was_down_hands_over_what_it_missed_so_that_it_is_recorded_and_not_more_than_a_day_of_it() {
    let mut clocks = Clocks::at("2026-09-01T09:00:00Z", Some("2026-09-01T07:00:00Z"), bells());
    let missed = clocks.look().hand_over;
    assert!(missed.iter().all(|it| it.expires < clocks.now.wall));
    assert_eq!(missed.iter().map(|it| it.at.to_string()).collect::<Vec<_>>(), ["08:00", "08:50"]);
    let mut long = Clocks::at("2026-09-07T07:00:00Z", Some("2026-09-01T07:00:00Z"), bells());
    assert_eq!(long.run(5), [], "what the others have forgotten is not called missed");
}

#[test]
fn a_clock_that_jumps_ahead_and_back_rings_nothing_and_forgets_nothing() {
    let mut clocks = Clocks::at("2026-09-01T07:58:00Z", None, bells());
    clocks.run(10);
    clocks.step(86_400);
    assert_eq!(clocks.run(5), [], "a day of bells lies in the step, and is left alone while it is fresh");
    clocks.step(-86_400);
    assert_eq!(clocks.run(180), handed(&[(100, "08:00")]));
}

#[test]
fn what_lies_in_a_step_that_stays_is_handed_over_to_be_called_missed() {
    let mut clocks = Clocks::at("2026-09-01T07:59:00Z", None, bells());
    clocks.run(2);
    clocks.step(7200);
    assert_eq!(clocks.run(20), handed(&[(10, "08:00"), (10, "08:50"), (10, "09:40")]));
    assert_eq!(clocks.run(60), []);
}

#[test]
fn a_clock_that_is_set_back_hands_over_again_what_comes_by_again() {
    let mut clocks = Clocks::at("2026-09-01T07:59:50Z", None, bells());
    assert_eq!(clocks.run(30).len(), 1);
    clocks.step(-60);
    // The key is the same: whoever has it rings nothing.
    assert_eq!(clocks.run(90).len(), 1);
}

#[test]
fn a_bell_that_is_taken_out_in_its_last_seconds_is_taken_back() {
    let mut clocks = Clocks::at("2026-09-01T07:59:56Z", None, bells());
    let ahead = clocks.look().hand_over;
    assert_eq!(ahead.len(), 1);
    let mut silent = bells();
    except(&mut silent, "2026-09-01", "2026-09-01", None, "Funeral");
    clocks.plans = vec![plan(silent)];
    assert_eq!(clocks.look(), Work { hand_over: Vec::new(), withdraw: vec![ahead[0].key()] });
    assert_eq!(clocks.look(), Work::default());
}

#[test]
fn what_could_not_be_taken_is_handed_over_again() {
    let mut clocks = Clocks::at("2026-09-01T07:59:56Z", None, bells());
    let ahead = clocks.look().hand_over;
    clocks.work.refused(&ahead[0]);
    assert_eq!(clocks.look().hand_over, ahead);
}

#[test]
fn a_day_a_minute_or_the_next_event_can_be_meant_and_nothing_that_is_over() {
    let mut school = daily(SCHOOL, &[("First", "08:00"), ("Chapel", "08:00"), ("Second", "09:00")]);
    school.templates[0].events[1].notifications = vec![NotificationId::from("organ")];
    except(&mut school, "2026-09-02", "2026-09-02", None, "Funeral");
    let (plan, now) = (plan(school), utc("2026-09-01T13:30:00Z"));
    let meant = |text: &str| {
        let when = if text.is_empty() { When::Next } else { text.parse().expect("a day or a moment") };
        let meant = plan.meant(when, now)?;
        let names: Vec<_> = meant.occurrences.iter().map(|it| it.event.clone()).collect();
        Ok((names.join(" "), meant.date.to_string(), meant.over))
    };
    let is = |names: &str, date: &str, over| Ok((names.to_owned(), date.to_owned(), over));
    assert_eq!(meant(""), is("Second", "2026-09-01", 0), "half past eight in Chicago");
    assert_eq!(meant("2026-09-01"), is("Second", "2026-09-01", 2));
    assert_eq!(meant("2026-09-02"), is("", "2026-09-02", 0));
    assert_eq!(meant("2026-09-03T08:00"), is("Chapel First", "2026-09-03", 0));
    assert_eq!(meant("2026-09-01T23:00"), is("Chapel First", "2026-09-03", 0), "the next after it");
    for over in ["2026-08-31", "2026-09-01T08:00", "2026-09-01T08:29"] {
        assert_eq!(meant(over), Err(Past), "{over}");
    }
    for bad in ["", "Monday", "2026-09-01 08:00", "2026-09-01T8", "T08:00"] {
        assert!(bad.parse::<When>().is_err_and(|error| error.to_string().contains("2026-11-30T08:00")), "{bad:?}");
    }
    let coming = |now: &str| plan.coming_day(utc(now)).iter().map(|it| it.event.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!(coming("2026-08-31T13:30:00Z"), "Second Chapel First");
    assert_eq!(coming("2026-09-01T14:00:00Z"), "Chapel First Second", "nothing within a day: the next school day");
}

fn times() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::btree_set((0..24u8, 0..60u8), 1..6).prop_map(|set| set.into_iter().collect())
}

proptest! {
    /// Whatever the zone and wherever the cuts: every bell of a stretch of time comes in exactly one of its parts, in order,
    /// at its local time or, where that does not exist, after it.
    #[test]
    fn cut_as_one_likes_every_bell_comes_once(
        zone in proptest::sample::select(onealert_core::calendar::zone_names()),
        start in 1_600_000_000_000i64..1_900_000_000_000,
        cuts in proptest::collection::vec(0..(9 * 86_400_000i64), 1..6),
        times in times(),
    ) {
        let named: Vec<(String, String)> =
            times.iter().map(|(h, m)| (format!("{h}-{m}"), format!("{h:02}:{m:02}"))).collect();
        let events: Vec<(&str, &str)> = named.iter().map(|(name, at)| (name.as_str(), at.as_str())).collect();
        let plan = plan(daily(zone, &events));
        let mut cuts: Vec<Wall> = cuts.into_iter().map(|cut| Wall(start + cut)).collect();
        cuts.push(Wall(start));
        cuts.sort();
        let (first, last) = (cuts[0], cuts[cuts.len() - 1]);
        let whole = plan.between(first, last);
        let parts: Vec<_> = cuts.windows(2).flat_map(|pair| plan.between(pair[0], pair[1])).collect();
        prop_assert_eq!(&whole, &parts);
        prop_assert!(whole.windows(2).all(|pair| pair[0].due <= pair[1].due));
        for occurrence in &whole {
            let (date, time) = plan.local(occurrence.due);
            let planned = (occurrence.date.to_string(), occurrence.at.to_string());
            prop_assert!((date, time) >= planned, "{:?}", occurrence);
        }
        // By the next one after each, the same.
        let mut by_next = Vec::new();
        let mut at = first;
        while let Some(next) = plan.next(at).filter(|next| next.due <= last) {
            at = next.due;
            by_next.extend(whole.iter().filter(|it| it.due == at).cloned());
        }
        prop_assert_eq!(whole, by_next);
    }
}
