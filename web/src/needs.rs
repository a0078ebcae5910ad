//! What pages and API need from the host: the one trait that it implements.
//!
//! Rules for an implementation:
//! - Roles are checked here in `web` before a call; the host checks again only what `web` cannot know (fencing, versions).
//! - A write on a server that may not configure answers [`Problem::read_only`] whatever the pages offered.
//! - A write is validated, committed and visible to the next read before its future ends.
//! - Methods that return plain values answer from memory at once and never wait.

use std::{future::Future, net::IpAddr, pin::Pin, sync::Arc};

use onealert_core::{
    calendar::Calendar,
    config::{Endpoint, Notification, PriorityGroup, Trigger, canonical},
    ids::{ActivationId, CalendarId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId, UserId},
};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

pub use crate::{
    problem::{FieldProblem, Problem},
    redundancy::RedundancyNeeds,
    view::*,
};

/// An answer that may take a moment. Make one with `Box::pin(async move { … })`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// Names the text of a stored row, so that a write can say which one it read.
pub fn etag<T: Serialize>(row: &T) -> String {
    let digest = Sha256::digest(canonical(row).as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The host, as pages and API see it.
pub trait Needs: RedundancyNeeds + Send + Sync + 'static {
    // Who this is, from memory.

    /// Which server this is and whether it takes configuration.
    fn identity(&self) -> Identity;
    /// The answer for a load balancer. Must say 503 when the loop has not ticked for two seconds.
    fn balancer_status(&self) -> BalancerStatus;
    /// The account of a signed-in user as it is at present; `None` once it is inactive or gone, which ends its sessions.
    fn account(&self, user: &UserId) -> Option<Account>;
    /// The live state. A value is published at each change worth seeing and at least once a second.
    fn live(&self) -> watch::Receiver<Arc<Live>>;
    /// What can be heard.
    fn sounds(&self) -> Sounds;

    /// What this server runs and where it stands, for tooling that compares servers.
    fn versions(&self) -> ServerVersions;

    // Signing in.

    /// Checks name and password. A wrong pair is [`Problem::unauthorised`] after the same time whether the name exists.
    fn authenticate(&self, user: &str, password: Password, peer: IpAddr) -> Answer<'_, Account>;
    /// Every account.
    fn users(&self) -> Answer<'_, Vec<UserView>>;
    /// The actor's own password. A wrong old one is 422 at `/old`, a weak one 422 at `/new`.
    fn change_password(&self, by: Actor, old: Password, new: Password) -> Answer<'_, ()>;

    // Looking.

    /// The installation.
    fn status(&self) -> Answer<'_, Status>;
    /// Activations that run, newest first.
    fn running(&self) -> Answer<'_, Vec<Running>>;
    /// Sent notifications, newest first.
    fn sent(&self, query: SentQuery) -> Answer<'_, SentPage>;
    /// One of them, or the present state of one that runs.
    fn sent_detail(&self, activation: ActivationId) -> Answer<'_, SentDetail>;
    /// The servers that have a tab in Sent Notifications: on the primary all that are or ever were, on a secondary itself.
    fn senders(&self) -> Answer<'_, Vec<Sender>>;
    /// The newest lines of a log, newest first.
    fn log(&self, log: Log, limit: u32) -> Answer<'_, Vec<LogLine>>;

    // Sending. Allowed on every server, secondaries too.

    /// Sends a notification. The future ends when it is safe.
    fn send(&self, by: Actor, request: SendRequest) -> Answer<'_, Accepted>;
    /// Sets off a trigger that has no driver. One with a driver is 422.
    fn post_event(&self, by: Actor, trigger: TriggerId, event: EventIn) -> Answer<'_, Accepted>;
    /// Stops an activation on whichever server runs it. One that has ended is 404.
    fn stop(&self, by: Actor, activation: ActivationId) -> Answer<'_, ()>;
    /// Stops everything that runs; says how many.
    fn stop_all(&self, by: Actor) -> Answer<'_, u32>;

    // Drivers.

    /// Drivers and the files found.
    fn drivers(&self) -> Answer<'_, Drivers>;
    /// One driver with its forms.
    fn driver(&self, id: DriverId) -> Answer<'_, DriverDetail>;
    /// Asks the driver whether these settings will do, without saving. 422 names the fields. An absent secret means the
    /// stored one (see [`crate::schema::keep_secrets`]).
    fn check_driver(&self, id: DriverId, settings: Value) -> Answer<'_, ()>;
    /// Enables a driver with these settings: checked, saved, started. Never on with settings that were not accepted.
    fn enable_driver(&self, by: Actor, id: DriverId, settings: Value, expect: Expect) -> Answer<'_, ()>;
    /// Saves settings; the driver is started again with them if it is enabled.
    fn save_driver(&self, by: Actor, id: DriverId, settings: Value, expect: Expect) -> Answer<'_, ()>;
    /// Disables a driver. Settings and history stay.
    fn disable_driver(&self, by: Actor, id: DriverId) -> Answer<'_, ()>;
    /// Takes another version of a driver that is configured, from the driver folder. 422 at `/version`: no such file, or more than
    /// one; at `/confirm_downgrade`: it is older than the one in use and that was not confirmed.
    fn switch_driver(&self, by: Actor, id: DriverId, wanted: DriverSwitch) -> Answer<'_, ()>;
    /// Changes who is trusted with driver files; gives the number of a key that was added, or the checksum of the file.
    fn change_trust(&self, by: Actor, change: TrustChange) -> Answer<'_, String>;
    /// A request that a device made under the driver's path. Needs no login; the driver judges it.
    fn driver_http(&self, id: DriverId, request: DeviceRequest) -> Answer<'_, DeviceAnswer>;

    // Phones.

    /// Whether phones obey this name and password. From memory; takes the same time whatever is wrong.
    fn phone_authorised(&self, user: &str, password: &Password) -> bool;
    /// The name that they obey.
    fn phone_login(&self) -> Answer<'_, PhoneLogin>;
    /// Sets it; `None` keeps the password of the same name, an empty name removes both.
    fn save_phone_login(&self, by: Actor, user: String, password: Option<Password>) -> Answer<'_, ()>;

    // Servers.

    /// Gives a server another display name. One that another server has is 422 at `/name`.
    fn rename_server(&self, by: Actor, id: ServerId, name: String) -> Answer<'_, ()>;
    /// The settings that are this server's own.
    fn local_settings(&self) -> Answer<'_, LocalSettingsView>;
    /// Changes them, on every server, a secondary too. They count at once. Wrong values are 422 at their names.
    fn save_local_settings(&self, by: Actor, settings: LocalSettings) -> Answer<'_, ()>;
    /// Every server, the primary first, deprovisioned ones last.
    fn servers(&self) -> Answer<'_, Vec<ServerRow>>;
    /// Takes a server out for good. `confirm` is its display name, typed by the one who wants it: 422 at `/confirm` otherwise.
    fn deprovision(&self, by: Actor, server: ServerId, confirm: String) -> Answer<'_, Deprovisioned>;
    /// Has a secondary build its copy anew while it goes on with the one it has. Answers whether it began at once.
    fn reconfigure(&self, by: Actor, server: ServerId) -> Answer<'_, bool>;
    /// Makes this server the primary.
    fn promote(&self, by: Actor, request: PromoteRequest) -> Answer<'_, Promoted>;
    /// The conflict reports of this server, newest first.
    fn conflicts(&self) -> Answer<'_, Vec<Conflict>>;
    /// What the licence allows.
    fn licence(&self) -> Answer<'_, Licence>;
    /// Sets how many secondaries the licence allows.
    fn set_licence(&self, by: Actor, secondaries: u32) -> Answer<'_, Licence>;

    // Priority groups.

    /// Every group, `DEFAULT` first.
    fn groups(&self) -> Answer<'_, Vec<GroupView>>;
    /// Creates or replaces a group. A name that is taken is 422 at `/name`; `DEFAULT` keeps its name.
    fn save_group(&self, by: Actor, group: PriorityGroup, expect: Expect) -> Answer<'_, GroupId>;
    /// Deletes a group; its triggers and calendars go to `move_to`. `DEFAULT` cannot be deleted (422), nor a group in use when
    /// nothing or no other group is named (422 at `/move_to`).
    fn delete_group(
        &self,
        by: Actor,
        id: GroupId,
        move_to: Option<GroupId>,
        expect: Expect,
    ) -> Answer<'_, GroupDeleted>;

    // Endpoints.

    /// Every endpoint, by name.
    fn endpoints(&self) -> Answer<'_, Vec<Listed<Endpoint>>>;
    /// One endpoint.
    fn endpoint(&self, id: EndpointId) -> Answer<'_, Listed<Endpoint>>;
    /// Creates or replaces an endpoint. `web` has checked the address by the driver's schema.
    fn save_endpoint(&self, by: Actor, endpoint: Endpoint, expect: Expect) -> Answer<'_, EndpointId>;
    /// Deletes an endpoint, and takes it out of the notifications that name it in the same transaction.
    fn delete_endpoint(&self, by: Actor, id: EndpointId, expect: Expect) -> Answer<'_, ()>;

    // Calendars.

    /// Every calendar, by name, with what is to come of it.
    fn calendars(&self) -> Answer<'_, Vec<CalendarView>>;
    /// One calendar.
    fn calendar(&self, id: CalendarId) -> Answer<'_, CalendarView>;
    /// What saving this calendar would change in the days to come. A calendar that could not be saved is 422.
    fn preview_calendar(&self, calendar: Calendar) -> Answer<'_, CalendarPreview>;
    /// Creates or replaces a calendar. Every fault is 422 at its place.
    fn save_calendar(&self, by: Actor, calendar: Calendar, expect: Expect) -> Answer<'_, CalendarId>;
    /// Deletes a calendar. What it started stays, and its history too.
    fn delete_calendar(&self, by: Actor, id: CalendarId, expect: Expect) -> Answer<'_, ()>;

    // Triggers.

    /// Every trigger, by name.
    fn triggers(&self) -> Answer<'_, Vec<Listed<Trigger>>>;
    /// One trigger.
    fn trigger(&self, id: TriggerId) -> Answer<'_, Listed<Trigger>>;
    /// Creates or replaces a trigger. `web` has checked the settings by the driver's schema.
    fn save_trigger(&self, by: Actor, trigger: Trigger, expect: Expect) -> Answer<'_, TriggerId>;
    /// Deletes a trigger, and takes it out of the notifications that name it in the same transaction.
    fn delete_trigger(&self, by: Actor, id: TriggerId, expect: Expect) -> Answer<'_, ()>;

    // Notifications.

    /// Every notification, by name.
    fn notifications(&self) -> Answer<'_, Vec<Listed<Notification>>>;
    /// One notification.
    fn notification(&self, id: NotificationId) -> Answer<'_, Listed<Notification>>;
    /// Creates or replaces a notification. A trigger or endpoint that does not exist is 422.
    fn save_notification(&self, by: Actor, notification: Notification, expect: Expect) -> Answer<'_, NotificationId>;
    /// Deletes a notification, and takes it out of the calendars that start it in the same transaction. Its history stays.
    fn delete_notification(&self, by: Actor, id: NotificationId, expect: Expect) -> Answer<'_, ()>;
}
