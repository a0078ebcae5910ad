//! What the tables of the configuration are called in front of operators: the one place that knows.

use crate::config::Table;

impl Table {
    /// One of its rows, in the operator's words.
    pub const fn noun(self) -> &'static str {
        match self {
            Table::Settings => "setting",
            Table::Servers => "server",
            Table::PriorityGroups => "priority group",
            Table::Drivers => "driver",
            Table::Endpoints => "endpoint",
            Table::Triggers => "trigger",
            Table::Notifications => "notification",
            Table::Calendars => "calendar",
            Table::Users => "user",
        }
    }

    /// Several of its rows, in the operator's words.
    pub const fn nouns(self) -> &'static str {
        match self {
            Table::PriorityGroups => "priority groups",
            // Their names are the words.
            table => table.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_for_an_operator_is_a_name_for_a_database() {
        for table in Table::ALL {
            assert!(!table.noun().contains('_') && !table.nouns().contains('_'), "{table:?}");
            assert_eq!(format!("{}s", table.noun()), table.nouns());
        }
    }
}
