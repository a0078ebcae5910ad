//! Who may sign in, and passwords.

use onealert_core::{
    config::{Change, Table, User},
    ids::UserId,
};
use onealert_web::needs::{Account, Actor, FieldProblem, Password, Problem, UserView};

use super::{Answers, configure};
use crate::{hub::Hub, passwords::weakness};

pub(super) fn account(hub: &Hub, user: &UserId) -> Option<Account> {
    let config = hub.config();
    let row = config.users.get(user).filter(|row| row.active)?;
    Some(Account { user: row.id.clone(), name: row.name.clone(), role: row.role })
}

pub(super) async fn authenticate(hub: &Hub, user: UserId, password: Password) -> Result<Account, Problem> {
    let config = hub.config();
    let stored = config.users.get(&user).filter(|row| row.active).map(|row| row.password_hash.as_str());
    if hub.passwords.check(stored, password.reveal()).await {
        return account(hub, &user).ok_or_else(wrong);
    }
    Err(wrong())
}

fn wrong() -> Problem {
    Problem::unauthorised("The user name and the password do not match.")
}

pub(super) fn users(hub: &Hub) -> Vec<UserView> {
    let view = |row: &User| UserView { id: row.id.clone(), name: row.name.clone(), role: row.role, active: row.active };
    hub.config().users.values().map(view).collect()
}

pub(super) async fn change_password(answers: &Answers, by: Actor, old: Password, new: Password) -> Result<(), Problem> {
    let hub = &answers.0;
    answers.must_configure()?;
    let row = hub.config().users.get(&by.user).cloned().ok_or_else(wrong)?;
    if !hub.passwords.check(Some(&row.password_hash), old.reveal()).await {
        return Err(Problem::invalid(vec![FieldProblem::new("/old", "is not the present password")]));
    }
    if let Some(lacks) = weakness(new.reveal()) {
        return Err(Problem::invalid(vec![FieldProblem::new("/new", lacks)]));
    }
    let password_hash = hub.passwords.make(new.reveal()).await.ok_or_else(Problem::internal)?;
    let expected = configure::as_it_is(Table::Users, row.id.as_str(), &row);
    let changed = User { password_hash, ..row };
    let change = Change::put(Table::Users, changed.id.as_str(), &changed);
    configure::write(answers, by, "changed the own password", vec![change], vec![expected]).await
}
