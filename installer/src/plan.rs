//! In which order an installation is upgraded, what comes next, and what has to be cured before.
//!
//! Primary first: it drains, is upgraded and returns; the secondaries send meanwhile, and stand still with their copies until
//! they follow, one at a time (redundancy sheet, section 7).

use std::fmt::Write;

use onealert_core::config::Role;
use serde::Serialize;

use crate::{
    ask::Told,
    report,
    verdict::{Answered, Comparison, Verdict},
};

/// The plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The version that all are to run.
    to: semver::Version,
    /// The servers in the order in which they are upgraded.
    steps: Vec<Step>,
    /// The server to upgrade now; none when all are done, or when something has to be cured first.
    next: Option<String>,
    /// What has to be cured before the next one is touched.
    blocked: Vec<String>,
}

/// One server of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    name: String,
    address: String,
    role: Role,
    runs: semver::Version,
    done: bool,
}

impl Plan {
    /// 0: everything is upgraded and in step. 1: `next` names a server. 2: something is to be cured first.
    pub fn exit_status(&self) -> u8 {
        match (&self.next, self.blocked.is_empty()) {
            (Some(_), _) => 1,
            (None, true) => 0,
            (None, false) => 2,
        }
    }
}

/// Makes a plan from what servers said.
pub fn plan(all: &[Answered], comparison: &Comparison, to: semver::Version) -> Plan {
    let mut told: Vec<(&str, &Told, Option<Verdict>)> = Vec::new();
    let mut blocked = comparison.findings.clone();
    for (one, judged) in all.iter().zip(&comparison.judged) {
        match &one.answer {
            Ok(said) => told.push((&one.address, said, judged.as_ref().map(|judged| judged.verdict))),
            Err(error) => blocked.push(format!("{} does not answer: {error}", one.address)),
        }
        // While one server is upgraded the others send: each must be able to.
        if let Some(judged) = judged.as_ref().filter(|judged| judged.verdict == Verdict::Apart) {
            blocked.extend(judged.findings.iter().cloned());
        }
    }
    for other in &comparison.unasked {
        blocked.push(format!("{} was not asked; add --server {}, or --all", other.name, other.web));
    }
    let product = comparison.primary.and_then(|index| Some(&all[index].answer.as_ref().ok()?.versions.product));
    for (_, said, verdict) in &told {
        // A server that runs what the primary runs has no reason to be behind: it must hold the newest configuration before
        // the next one goes.
        if *verdict == Some(Verdict::Behind) && Some(&said.versions.product) == product {
            blocked.push(format!("{} is not in step with the primary yet: {}", said.name, said.sync_text));
        }
        if said.versions.product > to {
            blocked.push(format!("{} runs {}, which is later than {to}", said.name, said.versions.product));
        }
    }
    told.sort_by_key(|(_, said, _)| (said.role != Role::Primary, said.name.to_lowercase()));
    let steps: Vec<Step> = told
        .iter()
        .map(|(address, said, _)| Step {
            name: said.name.clone(),
            address: (*address).to_owned(),
            role: said.role,
            runs: said.versions.product.clone(),
            done: said.versions.product == to,
        })
        .collect();
    let next = steps.iter().find(|step| !step.done).filter(|_| blocked.is_empty()).map(|step| step.name.clone());
    Plan { to, steps, next, blocked }
}

/// The plan for people.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").expect("writing to a string");
    line(format_args!("upgrade to {}, one server at a time, in this order:", plan.to));
    for (number, step) in plan.steps.iter().enumerate() {
        let state = match (step.done, plan.next.as_ref() == Some(&step.name)) {
            (true, _) => "done",
            (false, true) => "NEXT",
            (false, false) => "later",
        };
        let (name, role) = (&step.name, report::role(step.role));
        line(format_args!("{:>3}. {name} ({role}) at {}, runs {}: {state}", number + 1, step.address, step.runs));
    }
    for cause in &plan.blocked {
        line(format_args!("first cure: {cause}"));
    }
    match (&plan.next, plan.blocked.is_empty()) {
        (Some(next), _) => line(format_args!(
            "stop {next} (it drains by itself), put the program of {} in place, start it, then ask again",
            plan.to
        )),
        (None, true) => line(format_args!("nothing is left to upgrade")),
        (None, false) => line(format_args!("nothing is upgraded before that")),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ask::NotTold,
        verdict::{judge, tests::*},
    };

    fn of(all: &[Answered]) -> Plan {
        plan(all, &judge(all), "1.5.0".parse().expect("a version"))
    }

    fn site(upgraded: &[u128]) -> Vec<Answered> {
        // Asked in any order.
        [(3, Role::Secondary), (1, Role::Primary), (2, Role::Secondary)]
            .into_iter()
            .map(|(number, role)| {
                let mut told = told(number, role);
                if upgraded.contains(&number) {
                    told.versions.product = "1.5.0".parse().expect("a version");
                }
                answered(told)
            })
            .collect()
    }

    #[test]
    fn the_primary_goes_first_then_one_secondary_at_a_time() {
        for (upgraded, next, status) in
            [(&[][..], Some("pa-1"), 1), (&[1], Some("pa-2"), 1), (&[1, 2], Some("pa-3"), 1), (&[1, 2, 3], None, 0)]
        {
            let plan = of(&site(upgraded));
            assert_eq!((plan.next.as_deref(), plan.exit_status()), (next, status), "{plan:?}");
            let order: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
            assert_eq!(order, ["pa-1", "pa-2", "pa-3"]);
        }
    }

    #[test]
    fn nothing_is_touched_while_a_server_is_silent_unasked_or_behind() {
        let mut all = site(&[]);
        all[0].answer = Err(NotTold::NoAnswer("connection refused".to_owned()));
        let plan = of(&all);
        assert_eq!((plan.next.as_deref(), plan.exit_status()), (None, 2));
        assert!(text(&plan).contains("first cure: https://3 does not answer: connection refused"), "{}", text(&plan));
        let plan = of(&site(&[])[..2]);
        assert!(plan.blocked[0].starts_with("pa-2 was not asked"), "{plan:?}");
        let mut all = site(&[1, 2]);
        if let Ok(told) = &mut all[2].answer {
            told.position = 1;
        }
        let plan = of(&all);
        assert!(plan.blocked[0].starts_with("pa-2 is not in step"), "{plan:?}");
    }

    #[test]
    fn a_secondary_upgraded_too_early_does_not_hold_the_plan_up() {
        let plan = of(&site(&[2]));
        assert_eq!(plan.next.as_deref(), Some("pa-1"), "{plan:?}");
    }
}
