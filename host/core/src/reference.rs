//! Rows that name other rows. Two administrators at one moment must not leave a name of nothing behind: one saves a row that
//! names what the other deletes, and neither row is the other's, so that no comparison of one row finds it.

use std::collections::BTreeMap;

use crate::{
    calendar::Calendar,
    config::{BadRow, Change, Config, Notification, Table, Trigger},
    ids::{CalendarId, EndpointId, GroupId, NotificationId, TriggerId},
};

/// A row that would name another one which is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {} {key:?} would name the {} {named:?}, which is not there", table.noun(), of.noun())]
pub struct Dangling {
    /// The table of the row that names.
    pub table: Table,
    /// Its key.
    pub key: String,
    /// The table of the row that is named.
    pub of: Table,
    /// Its key.
    pub named: String,
}

/// The first name of nothing that these changes would leave behind. What the same row names in vain already does not count: an
/// old fault stands in the way of nobody.
///
/// Looked at are the groups of triggers and calendars, the triggers and endpoints of notifications, and the notifications of
/// calendars. Rows of servers and drivers are never deleted, so that what names them does not lose them.
///
/// # Errors
/// A row cannot be read as its table's type.
pub fn dangling(config: &Config, changes: &[Change]) -> Result<Option<Dangling>, BadRow> {
    let mut put = Config::default();
    let mut touched: BTreeMap<(Table, &str), bool> = BTreeMap::new();
    for change in changes {
        put.apply(change)?;
        touched.insert((change.table, &change.key), change.row.is_some());
    }
    let there = |name: &Name<'_>| match touched.get(&(name.of, name.named)) {
        Some(put) => *put,
        None => has(config, name.of, name.named),
    };
    let put_in_vain = names(&put).find(|name| !there(name) && !names_of(config, name).any(|before| before == *name));
    // Only what is deleted now can be missing from a row that is not touched; most changes delete nothing.
    let deletes = touched.values().any(|put| !put);
    let left_in_vain = || {
        let deleted = |name: &Name<'_>| touched.get(&(name.of, name.named)) == Some(&false);
        let stays = |name: &Name<'_>| !touched.contains_key(&(name.table, name.key));
        names(config).find(|name| deleted(name) && stays(name) && has(config, name.of, name.named))
    };
    Ok(put_in_vain.or_else(|| deletes.then(left_in_vain)?).map(|name| name.to_dangling()))
}

/// That a row names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name<'a> {
    table: Table,
    key: &'a str,
    of: Table,
    named: &'a str,
}

impl Name<'_> {
    fn to_dangling(self) -> Dangling {
        Dangling { table: self.table, key: self.key.to_owned(), of: self.of, named: self.named.to_owned() }
    }
}

fn has(config: &Config, table: Table, key: &str) -> bool {
    match table {
        Table::PriorityGroups => config.groups.contains_key(&GroupId::from(key)),
        Table::Endpoints => config.endpoints.contains_key(&EndpointId::from(key)),
        Table::Triggers => config.triggers.contains_key(&TriggerId::from(key)),
        Table::Notifications => config.notifications.contains_key(&NotificationId::from(key)),
        // Nothing names a row of these, or they are never deleted.
        Table::Settings | Table::Servers | Table::Drivers | Table::Calendars | Table::Users => true,
    }
}

/// Every name in this configuration.
fn names(config: &Config) -> impl Iterator<Item = Name<'_>> {
    let triggers = config.triggers.values().map(of_trigger);
    let notifications = config.notifications.values().flat_map(of_notification);
    triggers.chain(notifications).chain(config.calendars.values().flat_map(of_calendar))
}

/// Every name in the row that holds this one.
fn names_of<'a>(config: &'a Config, name: &Name<'_>) -> Box<dyn Iterator<Item = Name<'a>> + 'a> {
    match name.table {
        Table::Triggers => Box::new(config.triggers.get(&TriggerId::from(name.key)).map(of_trigger).into_iter()),
        Table::Notifications => {
            let row = config.notifications.get(&NotificationId::from(name.key));
            Box::new(row.into_iter().flat_map(of_notification))
        }
        Table::Calendars => {
            Box::new(config.calendars.get(&CalendarId::from(name.key)).into_iter().flat_map(of_calendar))
        }
        _ => Box::new(std::iter::empty()),
    }
}

fn of_trigger(row: &Trigger) -> Name<'_> {
    Name { table: Table::Triggers, key: row.id.as_str(), of: Table::PriorityGroups, named: row.group.as_str() }
}

fn of_notification(row: &Notification) -> impl Iterator<Item = Name<'_>> {
    let name = |of, named| Name { table: Table::Notifications, key: row.id.as_str(), of, named };
    let triggers = row.triggers.iter().map(move |id| name(Table::Triggers, id.as_str()));
    triggers.chain(row.endpoints.iter().map(move |id| name(Table::Endpoints, id.as_str())))
}

fn of_calendar(row: &Calendar) -> impl Iterator<Item = Name<'_>> {
    let name = |of, named| Name { table: Table::Calendars, key: row.id.as_str(), of, named };
    let events = row.templates.iter().flat_map(|template| &template.events);
    let notifications = events.flat_map(|event| &event.notifications);
    let notifications = notifications.map(move |id| name(Table::Notifications, id.as_str()));
    std::iter::once(name(Table::PriorityGroups, row.group.as_str())).chain(notifications)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A row of each table that names or is named.
    fn rows() -> Vec<(Table, &'static str, Value)> {
        let event = json!({"name": "First bell", "at": "08:00", "notifications": ["bell"]});
        vec![
            (Table::PriorityGroups, "East", json!({"id": "East", "name": "East", "servers": []})),
            (Table::Endpoints, "hall", json!({"id": "hall", "name": "Hall", "driver": "org.onealert.skeleton"})),
            (Table::Triggers, "button", json!({"id": "button", "name": "Button", "group": "East"})),
            (
                Table::Notifications,
                "bell",
                json!({"id": "bell", "name": "Bell", "triggers": ["button"], "endpoints": ["hall"]}),
            ),
            (
                Table::Calendars,
                "year",
                json!({"id": "year", "name": "Year", "zone": "America/Chicago", "group": "East",
                       "templates": [{"name": "Day", "events": [event]}]}),
            ),
        ]
    }

    fn without(gone: Option<Table>) -> Vec<Change> {
        let rows = rows().into_iter().filter(|(table, ..)| Some(*table) != gone);
        rows.map(|(table, key, row)| Change::put(table, key, &row)).collect()
    }

    fn config(gone: Option<Table>) -> Config {
        let mut config = Config::default();
        for change in without(gone) {
            config.apply(&change).expect("a row");
        }
        config
    }

    fn found(config: &Config, changes: &[Change]) -> Option<String> {
        dangling(config, changes).expect("rows").map(|dangling| dangling.to_string())
    }

    #[test]
    fn what_a_row_names_must_be_there_or_come_with_it() {
        assert_eq!(found(&Config::default(), &without(None)), None, "all at once");
        for (gone, said) in [
            (Table::PriorityGroups, r#"the trigger "button" would name the priority group "East", which is not there"#),
            (Table::Endpoints, r#"the notification "bell" would name the endpoint "hall", which is not there"#),
            (Table::Triggers, r#"the notification "bell" would name the trigger "button", which is not there"#),
            (Table::Notifications, r#"the calendar "year" would name the notification "bell", which is not there"#),
        ] {
            assert_eq!(found(&Config::default(), &without(Some(gone))).as_deref(), Some(said), "put without it");
        }
    }

    #[test]
    fn what_a_row_names_is_not_deleted_under_it() {
        let config = config(None);
        for (table, key, who) in [
            (Table::PriorityGroups, "East", "trigger"),
            (Table::Endpoints, "hall", "notification"),
            (Table::Triggers, "button", "notification"),
            (Table::Notifications, "bell", "calendar"),
        ] {
            let found = found(&config, &[Change::delete(table, key)]);
            assert!(found.as_ref().is_some_and(|said| said.contains(who) && said.contains(key)), "{found:?}");
        }
        let with_its_users = [(Table::Calendars, "year"), (Table::Notifications, "bell"), (Table::Endpoints, "hall")];
        let changes = with_its_users.map(|(table, key)| Change::delete(table, key));
        assert_eq!(found(&config, &changes), None, "who named it goes too");
    }

    #[test]
    fn what_was_named_in_vain_before_stands_in_nobodys_way() {
        let config = config(Some(Table::Endpoints));
        let (table, key, mut row) = rows().swap_remove(3);
        row["name"] = "Another name".into();
        assert_eq!(found(&config, &[Change::put(table, key, &row)]), None);
        assert_eq!(found(&config, &[Change::delete(Table::Endpoints, "hall")]), None, "nothing is lost by it");
        row["endpoints"] = json!(["hall", "lobby"]);
        let said = r#"the notification "bell" would name the endpoint "lobby", which is not there"#;
        assert_eq!(found(&config, &[Change::put(table, key, &row)]).as_deref(), Some(said));
    }
}
