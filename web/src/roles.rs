//! Who may do what: the one table for pages and API.

use onealert_core::config::UserRole;

use crate::needs::Problem;

/// Something that a role allows or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See status, notifications and what was sent.
    Look,
    /// Change one's own password.
    ChangeOwnPassword,
    /// Send notifications, set off triggers, stop what runs.
    Send,
    /// See endpoints, triggers, priority groups and drivers.
    LookAtConfiguration,
    /// Create, change and delete notifications.
    EditNotifications,
    /// Create, change and delete calendars: bells and other events at a time.
    EditSchedules,
    /// Change endpoints, triggers, priority groups and drivers.
    Configure,
    /// Change the settings that are each server's own.
    ChangeLocalSettings,
    /// See accounts and logs.
    Administer,
}

impl Action {
    /// The least role that may do it. Each role may do what the one below it may (see the order of [`UserRole`]).
    pub const fn least(self) -> UserRole {
        match self {
            Action::Look | Action::ChangeOwnPassword => UserRole::Viewer,
            Action::Send => UserRole::Sender,
            Action::LookAtConfiguration | Action::EditNotifications | Action::EditSchedules => UserRole::Editor,
            Action::Configure | Action::ChangeLocalSettings | Action::Administer => UserRole::Admin,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Action::Look => "see this",
            Action::ChangeOwnPassword => "change a password",
            Action::Send => "send or stop notifications",
            Action::LookAtConfiguration => "see the configuration",
            Action::EditNotifications => "change notifications",
            Action::EditSchedules => "change schedules",
            Action::Configure => "change the configuration",
            Action::ChangeLocalSettings => "change the settings of this server",
            Action::Administer => "see accounts and logs",
        }
    }
}

/// Whether a role allows an action.
pub fn can(role: UserRole, action: Action) -> bool {
    role >= action.least()
}

/// Refuses an action that the role does not allow.
///
/// # Errors
/// 403, naming the role that is needed.
pub fn require(role: UserRole, action: Action) -> Result<(), Problem> {
    if can(role, action) {
        return Ok(());
    }
    let (have, need) = (role_name(role), role_name(action.least()));
    let detail =
        format!("Your role is {have}. To {}, the role {need} is needed. Ask an administrator.", action.words());
    Err(Problem::forbidden(detail))
}

/// A role's name for people.
pub const fn role_name(role: UserRole) -> &'static str {
    match role {
        UserRole::Viewer => "Viewer",
        UserRole::Sender => "Sender",
        UserRole::Editor => "Editor",
        UserRole::Admin => "Admin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Action; 9] = [
        Action::Look,
        Action::ChangeOwnPassword,
        Action::Send,
        Action::LookAtConfiguration,
        Action::EditNotifications,
        Action::EditSchedules,
        Action::Configure,
        Action::ChangeLocalSettings,
        Action::Administer,
    ];

    #[test]
    fn every_cell_of_the_table() {
        use UserRole::{Admin, Editor, Sender, Viewer};
        let table = [
            (Action::Look, [true, true, true, true]),
            (Action::ChangeOwnPassword, [true, true, true, true]),
            (Action::Send, [false, true, true, true]),
            (Action::LookAtConfiguration, [false, false, true, true]),
            (Action::EditNotifications, [false, false, true, true]),
            (Action::EditSchedules, [false, false, true, true]),
            (Action::Configure, [false, false, false, true]),
            (Action::ChangeLocalSettings, [false, false, false, true]),
            (Action::Administer, [false, false, false, true]),
        ];
        assert_eq!(table.map(|(action, _)| action), ALL, "each action has a line");
        for (action, cells) in table {
            for (role, allowed) in [Viewer, Sender, Editor, Admin].into_iter().zip(cells) {
                assert_eq!(can(role, action), allowed, "{role:?} {action:?}");
                assert_eq!(require(role, action).is_ok(), allowed, "{role:?} {action:?}");
            }
        }
    }
}
