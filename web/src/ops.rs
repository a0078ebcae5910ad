//! What a caller can do, each once: roles, read-only servers and schemas are checked here, for pages and API alike.

use onealert_core::{
    config::{Endpoint, Notification, PriorityGroup, Trigger},
    ids::{ActivationId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId},
};
use serde_json::Value;

use crate::{caller::Caller, needs::*, roles::Action, schema};

/// Longest name of a configuration row.
const NAME_MAX: usize = 200;
/// How many lines of a list are given at most.
const LIMIT_MAX: u32 = 500;

impl Caller {
    // Looking.

    /// The installation.
    pub async fn status(&self) -> Result<Status, Problem> {
        self.require(Action::Look)?;
        self.needs.status().await
    }

    /// What the answering server runs and where it stands. Signed in only: what exactly runs tells an attacker where to begin.
    pub fn versions(&self) -> Result<ServerVersions, Problem> {
        self.require(Action::Look)?;
        Ok(self.needs.versions())
    }

    /// What runs.
    pub async fn running(&self) -> Result<Vec<Running>, Problem> {
        self.require(Action::Look)?;
        self.needs.running().await
    }

    /// Sent notifications.
    pub async fn sent(&self, mut query: SentQuery) -> Result<SentPage, Problem> {
        self.require(Action::Look)?;
        query.limit = query.limit.clamp(1, LIMIT_MAX);
        self.needs.sent(query).await
    }

    /// One sent notification.
    pub async fn sent_detail(&self, activation: ActivationId) -> Result<SentDetail, Problem> {
        self.require(Action::Look)?;
        self.needs.sent_detail(activation).await
    }

    /// The servers that have a tab in Sent Notifications.
    pub async fn senders(&self) -> Result<Vec<Sender>, Problem> {
        self.require(Action::Look)?;
        self.needs.senders().await
    }

    /// A log.
    pub async fn log(&self, log: Log, limit: u32) -> Result<Vec<LogLine>, Problem> {
        self.require(Action::Administer)?;
        self.needs.log(log, limit.clamp(1, LIMIT_MAX)).await
    }

    // Accounts.

    /// Every account.
    pub async fn users(&self) -> Result<Vec<UserView>, Problem> {
        self.require(Action::Administer)?;
        self.needs.users().await
    }

    /// Changes the caller's own password.
    pub async fn change_password(&self, old: Password, new: Password) -> Result<(), Problem> {
        self.require_change(Action::ChangeOwnPassword)?;
        if new.reveal().chars().count() < 8 {
            return Err(Problem::invalid(vec![FieldProblem::new("/new", "must have at least 8 characters")]));
        }
        self.needs.change_password(self.actor(), old, new).await
    }

    // Sending.

    /// Sends a notification.
    pub async fn send(
        &self,
        notification: NotificationId,
        idempotency_key: Option<String>,
    ) -> Result<Accepted, Problem> {
        self.require(Action::Send)?;
        if idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > 200) {
            return Err(Problem::bad_request("The Idempotency-Key must have 1 to 200 characters."));
        }
        self.needs.send(self.actor(), SendRequest { notification, idempotency_key }).await
    }

    /// Sets off a trigger.
    pub async fn post_event(&self, trigger: TriggerId, event: EventIn) -> Result<Accepted, Problem> {
        self.require(Action::Send)?;
        self.needs.post_event(self.actor(), trigger, event).await
    }

    /// Stops one activation.
    pub async fn stop(&self, activation: ActivationId) -> Result<(), Problem> {
        self.require(Action::Send)?;
        self.needs.stop(self.actor(), activation).await
    }

    /// Stops everything.
    pub async fn stop_all(&self) -> Result<u32, Problem> {
        self.require(Action::Send)?;
        self.needs.stop_all(self.actor()).await
    }

    // Drivers.

    /// Drivers and files found.
    pub async fn drivers(&self) -> Result<Drivers, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.drivers().await
    }

    /// One driver. Secrets are taken out here too: no other page or answer shows settings.
    pub async fn driver(&self, id: DriverId) -> Result<DriverDetail, Problem> {
        self.require(Action::LookAtConfiguration)?;
        let mut detail = self.needs.driver(id).await?;
        schema::blank_secrets(&detail.settings_schema, &mut detail.settings);
        Ok(detail)
    }

    /// Asks the driver whether settings will do.
    pub async fn check_driver(&self, id: DriverId, settings: Value) -> Result<(), Problem> {
        self.require(Action::Configure)?;
        self.judge_settings(&id, &settings).await?;
        self.needs.check_driver(id, settings).await
    }

    /// Enables a driver with these settings.
    pub async fn enable_driver(&self, id: DriverId, settings: Value, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.judge_settings(&id, &settings).await?;
        self.needs.enable_driver(self.actor(), id, settings, expect).await
    }

    /// Saves a driver's settings.
    pub async fn save_driver(&self, id: DriverId, settings: Value, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.judge_settings(&id, &settings).await?;
        self.needs.save_driver(self.actor(), id, settings, expect).await
    }

    /// Disables a driver.
    pub async fn disable_driver(&self, id: DriverId) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.needs.disable_driver(self.actor(), id).await
    }

    /// Takes another version of a driver.
    pub async fn switch_driver(&self, id: DriverId, wanted: DriverSwitch) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.needs.switch_driver(self.actor(), id, wanted).await
    }

    async fn judge_settings(&self, id: &DriverId, settings: &Value) -> Result<(), Problem> {
        let detail = self.needs.driver(id.clone()).await?;
        judge(&detail.settings_schema, settings, "", detail.etag.is_empty())
    }

    // Phones.

    /// The login that phones obey.
    pub async fn phone_login(&self) -> Result<PhoneLogin, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.phone_login().await
    }

    /// Sets it.
    pub async fn save_phone_login(&self, user: String, password: Option<Password>) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        if user.len() > NAME_MAX {
            let message = format!("must have at most {NAME_MAX} characters");
            return Err(Problem::invalid(vec![FieldProblem::new("/user", message)]));
        }
        self.needs.save_phone_login(self.actor(), user, password).await
    }

    // Servers.

    /// Gives a server another display name.
    pub async fn rename_server(&self, id: ServerId, mut name: String) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        refuse(check_name(&mut name))?;
        self.needs.rename_server(self.actor(), id, name).await
    }

    /// The settings that are this server's own.
    pub async fn local_settings(&self) -> Result<LocalSettingsView, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.local_settings().await
    }

    /// Changes them. A secondary takes them too: they are no configuration.
    pub async fn save_local_settings(&self, settings: LocalSettings) -> Result<(), Problem> {
        self.require(Action::ChangeLocalSettings)?;
        self.needs.save_local_settings(self.actor(), settings).await
    }

    /// Every server.
    pub async fn servers(&self) -> Result<Vec<ServerRow>, Problem> {
        self.require(Action::Administer)?;
        self.needs.servers().await
    }

    /// One server.
    pub async fn server(&self, id: ServerId) -> Result<ServerRow, Problem> {
        let found = self.servers().await?.into_iter().find(|row| row.id == id);
        found.ok_or_else(|| Problem::not_found("server", id))
    }

    /// Takes a server out for good.
    pub async fn deprovision(&self, server: ServerId, confirm: String) -> Result<Deprovisioned, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.deprovision(self.actor(), server, confirm).await
    }

    /// Has a secondary build its copy anew.
    pub async fn reconfigure(&self, server: ServerId) -> Result<bool, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.reconfigure(self.actor(), server).await
    }

    /// Makes this server the primary.
    pub async fn promote(&self, request: PromoteRequest) -> Result<Promoted, Problem> {
        self.require(Action::Administer)?;
        self.needs.promote(self.actor(), request).await
    }

    /// The conflict reports of this server.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, Problem> {
        self.require(Action::Administer)?;
        self.needs.conflicts().await
    }

    /// What the licence allows.
    pub async fn licence(&self) -> Result<Licence, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.licence().await
    }

    /// Sets how many secondaries the licence allows.
    pub async fn set_licence(&self, secondaries: u32) -> Result<Licence, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.set_licence(self.actor(), secondaries).await
    }

    // Priority groups.

    /// Every priority group.
    pub async fn groups(&self) -> Result<Vec<GroupView>, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.groups().await
    }

    /// One priority group.
    pub async fn group(&self, id: &GroupId) -> Result<GroupView, Problem> {
        let found = self.groups().await?.into_iter().find(|group| group.listed.row.id == *id);
        found.ok_or_else(|| Problem::not_found("priority group", id))
    }

    /// Creates or replaces a priority group.
    pub async fn save_group(&self, mut group: PriorityGroup, expect: Expect) -> Result<GroupId, Problem> {
        self.require_change(Action::Configure)?;
        let mut wrong = check_name(&mut group.name);
        if group.servers.is_empty() {
            wrong.push(FieldProblem::new("/servers", "must hold at least one server, otherwise nobody sends"));
        }
        let mut seen = std::collections::BTreeSet::new();
        if !group.servers.iter().all(|server| seen.insert(*server)) {
            wrong.push(FieldProblem::new("/servers", "must hold each server once"));
        }
        refuse(wrong)?;
        self.needs.save_group(self.actor(), group, expect).await
    }

    /// Deletes a priority group; its triggers go to another one, which must be named where there are any.
    pub async fn delete_group(
        &self,
        id: GroupId,
        move_to: Option<GroupId>,
        expect: Expect,
    ) -> Result<GroupDeleted, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.delete_group(self.actor(), id, move_to, expect).await
    }

    // Endpoints.

    /// Every endpoint. Who sends sees them too, by name, in what was sent; addresses are configuration.
    pub async fn endpoints(&self) -> Result<Vec<Listed<Endpoint>>, Problem> {
        self.require(Action::LookAtConfiguration)?;
        let mut all = self.needs.endpoints().await?;
        let mut schemas = std::collections::BTreeMap::new();
        for listed in &mut all {
            let driver = &listed.row.driver;
            if !schemas.contains_key(driver) {
                schemas.insert(driver.clone(), self.endpoint_schema(driver).await?);
            }
            schema::blank_secrets(&schemas[driver], &mut listed.row.address);
        }
        Ok(all)
    }

    /// One endpoint.
    pub async fn endpoint(&self, id: EndpointId) -> Result<Listed<Endpoint>, Problem> {
        self.require(Action::LookAtConfiguration)?;
        let mut listed = self.needs.endpoint(id).await?;
        let form = self.endpoint_schema(&listed.row.driver).await?;
        schema::blank_secrets(&form, &mut listed.row.address);
        Ok(listed)
    }

    /// Creates or replaces an endpoint.
    pub async fn save_endpoint(&self, mut endpoint: Endpoint, expect: Expect) -> Result<EndpointId, Problem> {
        self.require_change(Action::Configure)?;
        let wrong = check_name(&mut endpoint.name);
        let form = self.endpoint_schema(&endpoint.driver).await?;
        let judged = if form.is_null() {
            let text = format!("the driver {} is not known here, or has no endpoints", endpoint.driver);
            Err(Problem::invalid(vec![FieldProblem::new("/driver", text)]))
        } else {
            judge(&form, &endpoint.address, "/address", expect == Expect::New)
        };
        refuse_both(wrong, judged)?;
        self.needs.save_endpoint(self.actor(), endpoint, expect).await
    }

    /// Deletes an endpoint.
    pub async fn delete_endpoint(&self, id: EndpointId, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.needs.delete_endpoint(self.actor(), id, expect).await
    }

    async fn endpoint_schema(&self, driver: &DriverId) -> Result<Value, Problem> {
        Ok(self.known_driver(driver).await?.map_or(Value::Null, |detail| detail.endpoint_schema))
    }

    async fn known_driver(&self, driver: &DriverId) -> Result<Option<DriverDetail>, Problem> {
        match self.needs.driver(driver.clone()).await {
            Ok(detail) => Ok(Some(detail)),
            Err(problem) if problem.status == 404 => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    // Triggers.

    /// Every trigger.
    pub async fn triggers(&self) -> Result<Vec<Listed<Trigger>>, Problem> {
        self.require(Action::LookAtConfiguration)?;
        let mut all = self.needs.triggers().await?;
        for listed in &mut all {
            self.blank_trigger(&mut listed.row).await?;
        }
        Ok(all)
    }

    /// One trigger.
    pub async fn trigger(&self, id: TriggerId) -> Result<Listed<Trigger>, Problem> {
        self.require(Action::LookAtConfiguration)?;
        let mut listed = self.needs.trigger(id).await?;
        self.blank_trigger(&mut listed.row).await?;
        Ok(listed)
    }

    async fn blank_trigger(&self, trigger: &mut Trigger) -> Result<(), Problem> {
        if let Some(driver) = &trigger.driver
            && let Some(detail) = self.known_driver(driver).await?
        {
            schema::blank_secrets(&detail.trigger_schema, &mut trigger.settings);
        }
        Ok(())
    }

    /// Creates or replaces a trigger.
    pub async fn save_trigger(&self, mut trigger: Trigger, expect: Expect) -> Result<TriggerId, Problem> {
        self.require_change(Action::Configure)?;
        let wrong = check_name(&mut trigger.name);
        let judged = match &trigger.driver {
            None => Ok(()),
            Some(driver) => match self.known_driver(driver).await? {
                Some(detail) if !detail.trigger_schema.is_null() => {
                    judge(&detail.trigger_schema, &trigger.settings, "/settings", expect == Expect::New)
                }
                _ => {
                    let text = format!("the driver {driver} is not known here, or has no triggers");
                    Err(Problem::invalid(vec![FieldProblem::new("/driver", text)]))
                }
            },
        };
        refuse_both(wrong, judged)?;
        self.needs.save_trigger(self.actor(), trigger, expect).await
    }

    /// Deletes a trigger.
    pub async fn delete_trigger(&self, id: TriggerId, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.needs.delete_trigger(self.actor(), id, expect).await
    }

    // Notifications.

    /// Every notification.
    pub async fn notifications(&self) -> Result<Vec<Listed<Notification>>, Problem> {
        self.require(Action::Look)?;
        self.needs.notifications().await
    }

    /// One notification.
    pub async fn notification(&self, id: NotificationId) -> Result<Listed<Notification>, Problem> {
        self.require(Action::Look)?;
        self.needs.notification(id).await
    }

    /// Creates or replaces a notification.
    pub async fn save_notification(&self, mut row: Notification, expect: Expect) -> Result<NotificationId, Problem> {
        self.require_change(Action::EditNotifications)?;
        let mut wrong = check_name(&mut row.name);
        if !(1..=100).contains(&row.message.repeats) {
            wrong.push(FieldProblem::new("/message/repeats", "must be between 1 and 100"));
        }
        if row.message.hold_seconds > 3600 {
            wrong.push(FieldProblem::new("/message/hold_seconds", "must be 3600 or less"));
        }
        if row.message.body.len() > 10_000 {
            wrong.push(FieldProblem::new("/message/body", "must have at most 10 000 characters"));
        }
        refuse(wrong)?;
        self.needs.save_notification(self.actor(), row, expect).await
    }

    /// Deletes a notification.
    pub async fn delete_notification(&self, id: NotificationId, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::EditNotifications)?;
        self.needs.delete_notification(self.actor(), id, expect).await
    }
}

fn check_name(name: &mut String) -> Vec<FieldProblem> {
    *name = name.trim().to_owned();
    match name.chars().count() {
        0 => vec![FieldProblem::new("/name", "must not be empty")],
        n if n > NAME_MAX => {
            vec![FieldProblem::new("/name", format!("must have at most {NAME_MAX} characters, it has {n}"))]
        }
        _ => Vec::new(),
    }
}

/// Judges a value by a driver's schema. A secret may be missing where one is stored already.
fn judge(form: &Value, value: &Value, below: &str, is_new: bool) -> Result<(), Problem> {
    let wrong = schema::check(form, value, is_new);
    refuse(
        wrong.into_iter().map(|problem| FieldProblem { path: format!("{below}{}", problem.path), ..problem }).collect(),
    )
}

fn refuse(wrong: Vec<FieldProblem>) -> Result<(), Problem> {
    if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
}

fn refuse_both(mut wrong: Vec<FieldProblem>, judged: Result<(), Problem>) -> Result<(), Problem> {
    if let Err(problem) = judged {
        wrong.extend(problem.fields);
    }
    refuse(wrong)
}
