//! Priority groups: who would send, and where the triggers of a deleted one go.

use onealert_core::{
    calendar::Calendar,
    config::{Change, Config, DEFAULT_GROUP, PriorityGroup, Table, Trigger},
    ids::GroupId,
};
use onealert_web::needs::{Actor, Expect, FieldProblem, GroupDeleted, GroupView, Named, Problem};

use super::{
    Answers,
    configure::{as_it_is, expect, key_from, listed, named, write},
};
use crate::hub::Hub;

pub(super) async fn list(hub: &Hub) -> Result<Vec<GroupView>, Problem> {
    let config = hub.config();
    let orders: Vec<_> = config.groups.values().map(|group| (group.clone(), config.group_order(&group.id))).collect();
    let owners = hub
        .way
        .look(move |node| orders.into_iter().map(|(group, order)| (group, node.would_own(&order))).collect::<Vec<_>>())
        .await
        .map_err(|error| Problem::unavailable(error.to_string()))?;
    let mut views: Vec<GroupView> = owners
        .into_iter()
        .map(|(group, sends)| {
            let uses = config.triggers.values().filter(|trigger| trigger.group == group.id);
            let used_by =
                uses.map(|trigger| Named { id: trigger.id.to_string(), name: trigger.name.clone() }).collect();
            let rings = config.calendars.values().filter(|calendar| calendar.group == group.id);
            let calendars =
                rings.map(|calendar| Named { id: calendar.id.to_string(), name: calendar.name.clone() }).collect();
            GroupView { listed: listed(group, used_by), calendars, sends }
        })
        .collect();
    views.sort_by_key(|view| (view.listed.row.id.as_str() != DEFAULT_GROUP, view.listed.row.name.to_lowercase()));
    Ok(views)
}

pub(super) async fn save(
    answers: &Answers,
    by: Actor,
    mut group: PriorityGroup,
    seen: Expect,
) -> Result<GroupId, Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    if group.id.as_str().is_empty() {
        group.id = GroupId(key_from(&group.name, |key| config.groups.contains_key(&GroupId::from(key))));
    }
    named(&group.name)?;
    let present = config.groups.get(&group.id);
    let mut problems = Vec::new();
    if group.id.as_str() == DEFAULT_GROUP && present.is_some_and(|present| present.name != group.name) {
        problems.push(FieldProblem::new("/name", "cannot be changed: this group always exists under its name"));
    }
    let same_name = |other: &&PriorityGroup| other.id != group.id && other.name.eq_ignore_ascii_case(&group.name);
    if config.groups.values().any(|other| same_name(&other)) {
        problems.push(FieldProblem::new("/name", "is taken by another priority group; choose another"));
    }
    for (index, server) in group.servers.iter().enumerate() {
        if config.servers.get(server).is_none_or(|row| row.deprovisioned) {
            problems
                .push(FieldProblem::new(format!("/servers/{index}"), format!("{server} is not a server of this site")));
        }
        if group.servers[..index].contains(server) {
            problems.push(FieldProblem::new(format!("/servers/{index}"), "stands in the list twice"));
        }
    }
    if group.servers.is_empty() {
        problems.push(FieldProblem::new("/servers", "must hold at least one server, or nobody would send"));
    }
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    let expected = expect(Table::PriorityGroups, group.id.as_str(), "priority group", present, &seen)?;
    let change = Change::put(Table::PriorityGroups, group.id.as_str(), &group);
    write(answers, by, format!("saved priority group {:?}", group.name), vec![change], expected).await?;
    Ok(group.id)
}

pub(super) async fn delete(
    answers: &Answers,
    by: Actor,
    id: GroupId,
    move_to: Option<GroupId>,
    seen: Expect,
) -> Result<GroupDeleted, Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    if id.as_str() == DEFAULT_GROUP {
        return Err(Problem::new(
            422,
            "Not deleted",
            "The priority group DEFAULT always exists and cannot be deleted.",
        ));
    }
    let present = config.groups.get(&id).ok_or_else(|| Problem::not_found("priority group", &id))?;
    let mut expected = expect(Table::PriorityGroups, id.as_str(), "priority group", Some(present), &seen)?;
    let users: Vec<&Trigger> = config.triggers.values().filter(|trigger| trigger.group == id).collect();
    let rings: Vec<&Calendar> = config.calendars.values().filter(|calendar| calendar.group == id).collect();
    let names = users.iter().map(|trigger| trigger.name.as_str()).chain(rings.iter().map(|row| row.name.as_str()));
    let names: Vec<&str> = names.collect();
    let moved_to = if names.is_empty() { None } else { Some(heir(&config, &id, move_to, &names)?) };
    let mut changes = Vec::new();
    if let Some(heir) = &moved_to {
        for trigger in &users {
            // As it was looked at: a change of the trigger at the same moment is not overwritten.
            expected.push(as_it_is(Table::Triggers, trigger.id.as_str(), *trigger));
            let moved = Trigger { group: heir.clone(), ..(*trigger).clone() };
            changes.push(Change::put(Table::Triggers, trigger.id.as_str(), &moved));
        }
        for calendar in &rings {
            expected.push(as_it_is(Table::Calendars, calendar.id.as_str(), *calendar));
            let moved = Calendar { group: heir.clone(), ..(*calendar).clone() };
            changes.push(Change::put(Table::Calendars, calendar.id.as_str(), &moved));
        }
        // It must still be there when they arrive.
        expected.push(as_it_is(Table::PriorityGroups, heir.as_str(), &config.groups[heir]));
    }
    let triggers = users.into_iter().map(|trigger| trigger.id.clone()).collect();
    let calendars = rings.into_iter().map(|calendar| calendar.id.clone()).collect();
    changes.push(Change::delete(Table::PriorityGroups, id.as_str()));
    let what = match &moved_to {
        Some(heir) => format!("deleted priority group {:?}; what used it went to {heir}", present.name),
        None => format!("deleted priority group {:?}", present.name),
    };
    write(answers, by, what, changes, expected).await?;
    Ok(GroupDeleted { moved_to, triggers, calendars })
}

/// The group that takes a deleted group's triggers and calendars: named by the caller, there, and another one.
fn heir(config: &Config, id: &GroupId, named: Option<GroupId>, users: &[&str]) -> Result<GroupId, Problem> {
    let wrong = |message: String| Err(Problem::invalid(vec![FieldProblem::new("/move_to", message)]));
    match named {
        None => {
            wrong(format!("must name the group that its triggers and calendars go to; in use by: {}", users.join(", ")))
        }
        Some(heir) if heir == *id => wrong("must be another group than the one that is deleted".to_owned()),
        Some(heir) if !config.groups.contains_key(&heir) => wrong(format!("{heir} is not a priority group")),
        Some(heir) => Ok(heir),
    }
}
