//! The fake host's answers about who takes over from whom: a server that waits for an administrator, a drill that found
//! something.

use onealert_core::{calendar::When, ids::ServerId};
use onealert_web::needs::*;

use super::{PA1, PA2, PB1, World, now};

/// What a drill is said to have found.
pub fn report() -> DrillReport {
    let case = |dead: &str, text: &str, state, takeover_ms| DrillCase {
        group: "DEFAULT".to_owned(),
        what: vec!["Storm warning → Tornado".to_owned()],
        dead: dead.to_owned(),
        before: "pa-1".to_owned(),
        after: "pa-2".to_owned(),
        state,
        text: text.to_owned(),
        takeover_ms,
        stranded: Vec::new(),
    };
    let mut left_out = case("pa-2", "pa-1, but not to every endpoint", State::Bad, None);
    left_out.stranded = vec!["Old horn: no enabled driver reaches it".to_owned()];
    DrillReport {
        at: now(),
        server: "pa-1".to_owned(),
        by: "ann".to_owned(),
        took_ms: 48,
        state: State::Bad,
        text: "1 of 2 cases would not be covered; 1 takeover rehearsed, it took 6.3 ms".to_owned(),
        cases: vec![case("pa-1", "pa-2", State::Ok, Some(6.3)), left_out],
        silence_ms: 1250,
        single: vec![DrillEndpoint {
            name: "Gym horn".to_owned(),
            server: "pa-1".to_owned(),
            why: "pb-1 tried last and did not reach it".to_owned(),
        }],
        drivers: vec![DrillDriver {
            name: "Algo".to_owned(),
            server: "pb-1".to_owned(),
            text: "is 1.0.0 there, 1.1.0 is enabled".to_owned(),
        }],
        bells: vec![DrillBell {
            calendar: "School".to_owned(),
            zone: "America/Chicago".to_owned(),
            date: "2026-11-30".to_owned(),
            at: "08:00".to_owned(),
            due: now(),
            event: "First bell".to_owned(),
            notification: "Bell".to_owned(),
            before: "pa-1".to_owned(),
            after: "pa-2".to_owned(),
            state: State::Bad,
            stranded: vec!["Gym horn: its driver is missing on the server that would send".to_owned()],
        }],
    }
}

impl RedundancyNeeds for World {
    fn redundancy(&self) -> Answer<'_, Redundancy> {
        self.look(|state| {
            let servers = state.status.servers.iter().map(|server| {
                let held = server.id == PA2 && !state.returned;
                Returning {
                    id: server.id,
                    name: server.name.clone(),
                    state: if held { State::Warning } else { State::Ok },
                    text: if held {
                        "Back since 10:02:11, an administrator has to let it return".to_owned()
                    } else {
                        "Takes activations".to_owned()
                    },
                    held,
                    since: held.then(now),
                    until: held.then(now),
                    waits_for: if held { vec!["operator".to_owned()] } else { Vec::new() },
                    by: if held { vec!["pa-1".to_owned()] } else { Vec::new() },
                }
            });
            Ok(Redundancy { manual_return: state.manual_return, servers: servers.collect() })
        })
    }
    fn save_redundancy(&self, by: Actor, settings: RedundancySettings) -> Answer<'_, ()> {
        self.configure(|state| {
            state.manual_return = settings.manual_return;
            state.note(&by, format!("manual return {}", settings.manual_return));
            Ok(())
        })
    }
    fn return_server(&self, by: Actor, server: ServerId) -> Answer<'_, ()> {
        self.act(|state| {
            if server != PA2 || state.returned {
                return Err(Problem::new(422, "Nothing to do", "It does not hold back."));
            }
            state.returned = true;
            state.note(&by, "let pa-2 return");
            Ok(())
        })
    }
    fn what_if(&self, query: WhatIfQuery) -> Answer<'_, WhatIf> {
        self.look(|state| {
            let name = |id: &ServerId| Named {
                id: id.to_string(),
                name: state
                    .status
                    .servers
                    .iter()
                    .find(|server| server.id == *id)
                    .map_or("?".into(), |it| it.name.clone()),
            };
            let sender = [PA1, PA2, PB1].into_iter().find(|id| !query.dead.contains(id));
            let member = |id: ServerId| WhatIfMember {
                id,
                name: name(&id).name,
                state: if query.dead.contains(&id) { State::Bad } else { State::Ok },
                text: if query.dead.contains(&id) { "assumed dead".to_owned() } else { "up".to_owned() },
            };
            let row = state.notifications.values().next().ok_or_else(|| Problem::not_found("notification", "any"))?;
            let endpoint = |id: &onealert_core::ids::EndpointId| WhatIfEndpoint {
                id: id.clone(),
                name: id.to_string(),
                state: if sender.is_some() { State::Ok } else { State::Bad },
                text: if sender.is_some() { "pa-1 reached it the last time" } else { "stranded: nobody sends" }
                    .to_owned(),
            };
            let run = WhatIfRun {
                notification: Named { id: row.id.to_string(), name: row.name.clone() },
                group: Named { id: "DEFAULT".to_owned(), name: "DEFAULT".to_owned() },
                sender: sender.as_ref().map(name),
                text: sender
                    .map_or("Nobody sends: no server is up".to_owned(), |id| format!("{} sends", name(&id).name)),
                state: if sender.is_some() { State::Ok } else { State::Bad },
                succession: [PA1, PA2, PB1].iter().filter(|id| !query.dead.contains(id)).map(name).collect(),
                members: [PA1, PA2, PB1].map(member).to_vec(),
                endpoints: row.endpoints.iter().map(endpoint).collect(),
                stranded: 0,
            };
            let bell = |at: &str, event: &str| WhatIfBell {
                event: event.to_owned(),
                date: "2026-11-30".to_owned(),
                at: at.to_owned(),
                due: now(),
                notification: run.notification.clone(),
                sender: run.sender.clone(),
                state: run.state,
                text: run.text.replace("sends", "rings"),
                endpoints: run.endpoints.len() as u32,
                stranded: Vec::new(),
                run: 0,
            };
            let (at, days) = match &query.cause {
                WhatIfCause::Trigger { at, .. } | WhatIfCause::Notification { at, .. } => {
                    (at.unwrap_or_else(now), Vec::new())
                }
                WhatIfCause::Bells { calendar, on } => {
                    let named = |row: &onealert_core::calendar::Calendar| WhatIfDay {
                        calendar: Named { id: row.id.to_string(), name: row.name.clone() },
                        zone: row.zone.clone(),
                        group: run.group.clone(),
                        text: match on {
                            When::Next => "Next: Monday 30 November 2026, 08:00".to_owned(),
                            When::Date(date) => format!("{}, Normal day: 2 events", date.long()),
                            When::Minute(date, time) => format!("{}, {time}", date.long()),
                        },
                        state: run.state,
                        bells: vec![bell("08:00", "First bell"), bell("08:50", "Second bell")],
                    };
                    let wanted =
                        state.calendars.values().filter(|row| calendar.as_ref().is_none_or(|id| *id == row.id));
                    (now(), wanted.map(named).collect())
                }
            };
            let text = match days.is_empty() {
                true => format!("{} is sent by hand", row.name),
                false => "The bells of School bells".to_owned(),
            };
            Ok(WhatIf { at, dead: query.dead.iter().map(name).collect(), text, days, runs: vec![run] })
        })
    }
    fn drill(&self, by: Actor) -> Answer<'_, DrillReport> {
        self.act(|state| {
            let report = DrillReport { by: by.user.to_string(), ..report() };
            state.drill = Some(report.clone());
            Ok(report)
        })
    }
    fn drill_report(&self) -> Answer<'_, DrillReport> {
        self.look(|state| state.drill.clone().ok_or_else(|| Problem::not_found("report", "of a drill")))
    }
}
