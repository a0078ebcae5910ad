//! Rows of the configuration: priority groups, endpoints, triggers, notifications.

use std::collections::{BTreeMap, BTreeSet};

use onealert_core::{
    config::{Endpoint, Notification, PriorityGroup, Trigger},
    ids::{DriverId, EndpointId, GroupId, NotificationId, TriggerId},
};
use serde_json::Value;

use super::{check_name, judge, refuse, refuse_both};
use crate::{caller::Caller, needs::*, roles::Action, schema};

impl Caller {
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
        let mut seen = BTreeSet::new();
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

    /// Every endpoint. Who sends sees them too, by name, in what was sent; addresses are configuration.
    pub async fn endpoints(&self) -> Result<Vec<Listed<Endpoint>>, Problem> {
        self.require(Action::LookAtConfiguration)?;
        let mut all = self.needs.endpoints().await?;
        let mut schemas = BTreeMap::new();
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
        if row.message.body.chars().count() > 10_000 {
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
