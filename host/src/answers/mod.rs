//! What pages and API ask for, answered from memory, the loop and the databases. One file a subject; this one only lists
//! them.

mod accounts;
mod activator;
mod attention;
mod balancer;
mod calendars;
mod configure;
pub(crate) mod driver_on;
mod drivers;
mod groups;
mod logs;
mod own;
mod phones;
mod redundancy;
mod secrets;
mod sending;
mod sent;
mod sent_detail;
mod servers;
mod status;
mod switch;
mod trust;
mod versions;
mod what_if;
mod what_if_bells;

use std::{net::IpAddr, sync::Arc};

use onealert_core::{
    calendar::Calendar,
    config::{Endpoint, Notification, PriorityGroup, Trigger},
    ids::{ActivationId, CalendarId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId, UserId},
    life::{Deed, Denial, Life},
};
use onealert_web::needs::*;
use serde_json::Value;
use tokio::sync::watch;

use crate::hub::Hub;
pub use attention::Known;
pub(crate) use redundancy::clock as clock_text;
pub use status::live;

/// The host, as pages and API see it.
pub struct Answers(pub Arc<Hub>);

impl Needs for Answers {
    fn identity(&self) -> Identity {
        let hub = &self.0;
        let config = hub.config();
        let primary = config.primary().filter(|primary| primary.id != hub.server);
        Identity {
            id: hub.server,
            name: config.servers.get(&hub.server).map_or_else(|| hub.settings.name.clone(), |row| row.name.clone()),
            role: hub.place().role,
            version: crate::product::version().to_string(),
            primary: primary.map(|row| PrimaryLink { name: row.name.clone(), url: row.web.clone() }),
            can_configure: self.can_configure(),
            fenced: matches!(hub.place().life, Life::Fenced { .. } | Life::SetBack),
            closed: match hub.may(Deed::Send) {
                Err(why @ (Denial::Inert | Denial::Restored | Denial::Unlicensed)) => Some(why.to_string()),
                _ => None,
            },
        }
    }
    fn balancer_status(&self) -> BalancerStatus {
        balancer::answer(&self.0)
    }
    fn account(&self, user: &UserId) -> Option<Account> {
        accounts::account(&self.0, user)
    }
    fn live(&self) -> watch::Receiver<Arc<Live>> {
        self.0.live.subscribe()
    }
    fn sounds(&self) -> Sounds {
        let tones = onealert_media::render::tone_names().iter().map(|name| (*name).to_owned()).collect();
        let files = self.0.sound_files.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Sounds { tones, files }
    }
    fn versions(&self) -> ServerVersions {
        versions::versions(&self.0)
    }
    fn authenticate(&self, user: &str, password: Password, _peer: IpAddr) -> Answer<'_, Account> {
        let user = UserId(user.trim().to_lowercase());
        Box::pin(async move { accounts::authenticate(&self.0, user, password).await })
    }
    fn users(&self) -> Answer<'_, Vec<UserView>> {
        Box::pin(async { Ok(accounts::users(&self.0)) })
    }
    fn change_password(&self, by: Actor, old: Password, new: Password) -> Answer<'_, ()> {
        Box::pin(async move { accounts::change_password(self, by, old, new).await })
    }
    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async { status::status(&self.0).await })
    }
    fn running(&self) -> Answer<'_, Vec<Running>> {
        Box::pin(async { status::running(&self.0).await })
    }
    fn sent(&self, query: SentQuery) -> Answer<'_, SentPage> {
        Box::pin(async move { sent::page(&self.0, query).await })
    }
    fn sent_detail(&self, activation: ActivationId) -> Answer<'_, SentDetail> {
        Box::pin(async move { sent_detail::detail(&self.0, activation).await })
    }
    fn senders(&self) -> Answer<'_, Vec<Sender>> {
        Box::pin(async { sent::senders(&self.0).await })
    }
    fn log(&self, log: Log, limit: u32) -> Answer<'_, Vec<LogLine>> {
        Box::pin(async move { logs::log(&self.0, log, limit).await })
    }
    fn send(&self, by: Actor, request: SendRequest) -> Answer<'_, Accepted> {
        Box::pin(async move { sending::send(&self.0, by, request).await })
    }
    fn post_event(&self, by: Actor, trigger: TriggerId, event: EventIn) -> Answer<'_, Accepted> {
        Box::pin(async move { sending::post_event(&self.0, by, trigger, event).await })
    }
    fn stop(&self, by: Actor, activation: ActivationId) -> Answer<'_, ()> {
        Box::pin(async move { sending::stop(&self.0, by, activation).await })
    }
    fn stop_all(&self, by: Actor) -> Answer<'_, u32> {
        Box::pin(async move { sending::stop_all(&self.0, by).await })
    }
    fn drivers(&self) -> Answer<'_, Drivers> {
        Box::pin(async { drivers::list(&self.0).await })
    }
    fn driver(&self, id: DriverId) -> Answer<'_, DriverDetail> {
        Box::pin(async move { drivers::detail(&self.0, id).await })
    }
    fn check_driver(&self, id: DriverId, settings: Value) -> Answer<'_, ()> {
        Box::pin(async move { drivers::check(&self.0, &id, settings).await.map(|_| ()) })
    }
    fn enable_driver(&self, by: Actor, id: DriverId, settings: Value, expect: Expect) -> Answer<'_, ()> {
        Box::pin(async move { drivers::save(self, by, id, settings, expect, Some(true)).await })
    }
    fn save_driver(&self, by: Actor, id: DriverId, settings: Value, expect: Expect) -> Answer<'_, ()> {
        Box::pin(async move { drivers::save(self, by, id, settings, expect, None).await })
    }
    fn disable_driver(&self, by: Actor, id: DriverId) -> Answer<'_, ()> {
        Box::pin(async move { drivers::disable(self, by, id).await })
    }
    fn change_trust(&self, by: Actor, change: TrustChange) -> Answer<'_, String> {
        Box::pin(async move { trust::change(self, by, change).await })
    }
    fn switch_driver(&self, by: Actor, id: DriverId, wanted: DriverSwitch) -> Answer<'_, ()> {
        Box::pin(async move { switch::switch(self, by, id, wanted).await })
    }
    fn driver_http(&self, id: DriverId, request: DeviceRequest) -> Answer<'_, DeviceAnswer> {
        Box::pin(async move { drivers::http(&self.0, id, request).await })
    }
    fn phone_authorised(&self, user: &str, password: &Password) -> bool {
        phones::authorised(&self.0, user, password)
    }
    fn phone_login(&self) -> Answer<'_, PhoneLogin> {
        Box::pin(async { Ok(phones::login(&self.0)) })
    }
    fn save_phone_login(&self, by: Actor, user: String, password: Option<Password>) -> Answer<'_, ()> {
        Box::pin(async move { phones::save(self, by, user, password).await })
    }
    fn rename_server(&self, by: Actor, id: ServerId, name: String) -> Answer<'_, ()> {
        Box::pin(async move { own::rename(self, by, id, name).await })
    }
    fn local_settings(&self) -> Answer<'_, LocalSettingsView> {
        Box::pin(async { Ok(own::settings(&self.0)) })
    }
    fn save_local_settings(&self, by: Actor, settings: LocalSettings) -> Answer<'_, ()> {
        Box::pin(async move { own::change(&self.0, by, settings).await })
    }
    fn servers(&self) -> Answer<'_, Vec<ServerRow>> {
        Box::pin(async { Ok(servers::servers(&self.0)) })
    }
    fn deprovision(&self, by: Actor, server: ServerId, confirm: String) -> Answer<'_, Deprovisioned> {
        Box::pin(async move { servers::deprovision(self, by, server, confirm).await })
    }
    fn reconfigure(&self, by: Actor, server: ServerId) -> Answer<'_, bool> {
        Box::pin(async move { servers::reconfigure(self, &by, server) })
    }
    fn promote(&self, by: Actor, request: PromoteRequest) -> Answer<'_, Promoted> {
        Box::pin(async move { servers::promote(self, by, request).await })
    }
    fn conflicts(&self) -> Answer<'_, Vec<Conflict>> {
        Box::pin(async { servers::conflicts(&self.0).await })
    }
    fn licence(&self) -> Answer<'_, Licence> {
        Box::pin(async { Ok(servers::licence(&self.0)) })
    }
    fn set_licence(&self, by: Actor, secondaries: u32) -> Answer<'_, Licence> {
        Box::pin(async move { servers::set_licence(self, by, secondaries).await })
    }
    fn groups(&self) -> Answer<'_, Vec<GroupView>> {
        Box::pin(async { groups::list(&self.0).await })
    }
    fn save_group(&self, by: Actor, group: PriorityGroup, expect: Expect) -> Answer<'_, GroupId> {
        Box::pin(async move { groups::save(self, by, group, expect).await })
    }
    fn delete_group(
        &self,
        by: Actor,
        id: GroupId,
        move_to: Option<GroupId>,
        expect: Expect,
    ) -> Answer<'_, GroupDeleted> {
        Box::pin(async move { groups::delete(self, by, id, move_to, expect).await })
    }
    fn endpoints(&self) -> Answer<'_, Vec<Listed<Endpoint>>> {
        Box::pin(async { Ok(configure::endpoints(&self.0)) })
    }
    fn endpoint(&self, id: EndpointId) -> Answer<'_, Listed<Endpoint>> {
        Box::pin(async move { find(configure::endpoints(&self.0), "endpoint", |listed| listed.row.id == id, &id) })
    }
    fn save_endpoint(&self, by: Actor, endpoint: Endpoint, expect: Expect) -> Answer<'_, EndpointId> {
        Box::pin(async move { configure::save_endpoint(self, by, endpoint, expect).await })
    }
    fn delete_endpoint(&self, by: Actor, id: EndpointId, expect: Expect) -> Answer<'_, ()> {
        Box::pin(async move { configure::delete_endpoint(self, by, id, expect).await })
    }
    fn calendars(&self) -> Answer<'_, Vec<CalendarView>> {
        Box::pin(async { calendars::list(&self.0).await })
    }
    fn calendar(&self, id: CalendarId) -> Answer<'_, CalendarView> {
        Box::pin(async move {
            let found = calendars::list(&self.0).await?.into_iter().find(|view| view.listed.row.id == id);
            found.ok_or_else(|| Problem::not_found("calendar", &id))
        })
    }
    fn preview_calendar(&self, calendar: Calendar) -> Answer<'_, CalendarPreview> {
        Box::pin(async move { calendars::preview(&self.0, calendar) })
    }
    fn save_calendar(&self, by: Actor, calendar: Calendar, expect: Expect) -> Answer<'_, CalendarId> {
        Box::pin(async move { calendars::save(self, by, calendar, expect).await })
    }
    fn delete_calendar(&self, by: Actor, id: CalendarId, expect: Expect) -> Answer<'_, ()> {
        Box::pin(async move { calendars::delete(self, by, id, expect).await })
    }
    fn triggers(&self) -> Answer<'_, Vec<Listed<Trigger>>> {
        Box::pin(async { Ok(configure::triggers(&self.0)) })
    }
    fn trigger(&self, id: TriggerId) -> Answer<'_, Listed<Trigger>> {
        Box::pin(async move { find(configure::triggers(&self.0), "trigger", |listed| listed.row.id == id, &id) })
    }
    fn save_trigger(&self, by: Actor, trigger: Trigger, expect: Expect) -> Answer<'_, TriggerId> {
        Box::pin(async move { configure::save_trigger(self, by, trigger, expect).await })
    }
    fn delete_trigger(&self, by: Actor, id: TriggerId, expect: Expect) -> Answer<'_, ()> {
        Box::pin(async move { configure::delete_trigger(self, by, id, expect).await })
    }
    fn notifications(&self) -> Answer<'_, Vec<Listed<Notification>>> {
        Box::pin(async { Ok(configure::notifications(&self.0)) })
    }
    fn notification(&self, id: NotificationId) -> Answer<'_, Listed<Notification>> {
        Box::pin(
            async move { find(configure::notifications(&self.0), "notification", |listed| listed.row.id == id, &id) },
        )
    }
    fn save_notification(&self, by: Actor, notification: Notification, expect: Expect) -> Answer<'_, NotificationId> {
        Box::pin(async move { configure::save_notification(self, by, notification, expect).await })
    }
    fn delete_notification(&self, by: Actor, id: NotificationId, expect: Expect) -> Answer<'_, ()> {
        Box::pin(async move { configure::delete_notification(self, by, id, expect).await })
    }
}

impl Answers {
    /// Whether configuration may be changed here; why not otherwise.
    fn can_configure(&self) -> Result<(), String> {
        self.0.may(Deed::Configure).map_err(|why| why.to_string())
    }

    /// The refusal of a write on a server that may not configure.
    fn must_configure(&self) -> Result<(), Problem> {
        self.can_configure().map_err(|why| {
            let config = self.0.config();
            let primary = config.primary().map(|row| row.web.clone());
            Problem::read_only(why, primary)
        })
    }
}

fn find<T>(
    all: Vec<Listed<T>>,
    kind: &str,
    is: impl Fn(&Listed<T>) -> bool,
    key: &impl std::fmt::Display,
) -> Result<Listed<T>, Problem> {
    all.into_iter().find(is).ok_or_else(|| Problem::not_found(kind, key))
}
