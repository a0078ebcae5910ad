//! The answers that pages and API need, given by the world.

use std::{net::IpAddr, sync::Arc};

use onealert_core::{
    calendar::Calendar,
    config::{Endpoint, Notification, PriorityGroup, Role, Trigger},
    ids::{ActivationId, CalendarId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId, UserId},
};
use onealert_web::needs::*;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{World, calendars, configuration, looking, sample};

impl Needs for World {
    fn identity(&self) -> Identity {
        self.state.lock().expect("no test panics inside a change").identity.clone()
    }
    fn balancer_status(&self) -> BalancerStatus {
        self.state.lock().expect("no test panics inside a change").balancer.clone()
    }
    fn account(&self, user: &UserId) -> Option<Account> {
        let state = self.state.lock().expect("no test panics inside a change");
        state.accounts.get(user).map(|(account, _)| account.clone())
    }
    fn live(&self) -> watch::Receiver<Arc<Live>> {
        self.live.subscribe()
    }
    fn sounds(&self) -> Sounds {
        Sounds {
            tones: ["chime", "alarm", "bell"].map(str::to_owned).to_vec(),
            files: vec!["all clear.wav".to_owned(), "lockdown.wav".to_owned()],
        }
    }

    fn authenticate(&self, user: &str, password: Password, _peer: IpAddr) -> Answer<'_, Account> {
        self.look(|state| match state.accounts.get(&UserId::from(user)) {
            Some((account, known)) if known == password.reveal() => Ok(account.clone()),
            _ => Err(Problem::unauthorised("The user name or the password is not right.")),
        })
    }
    fn users(&self) -> Answer<'_, Vec<UserView>> {
        self.look(|state| {
            let view = |account: &Account| UserView {
                id: account.user.clone(),
                name: account.name.clone(),
                role: account.role,
                active: true,
            };
            Ok(state.accounts.values().map(|(account, _)| view(account)).collect())
        })
    }
    fn change_password(&self, by: Actor, old: Password, new: Password) -> Answer<'_, ()> {
        self.configure(|state| {
            let entry = state.accounts.get_mut(&by.user).ok_or_else(|| Problem::not_found("user", &by.user))?;
            if entry.1 != old.reveal() {
                return Err(Problem::invalid(vec![FieldProblem::new("/old", "is not your present password")]));
            }
            new.reveal().clone_into(&mut entry.1);
            Ok(())
        })
    }

    fn versions(&self) -> ServerVersions {
        looking::versions(&self.state.lock().expect("no test panics inside a change"))
    }
    fn status(&self) -> Answer<'_, Status> {
        let broken = self.state.lock().expect("no test panics inside a change").broken;
        assert!(!broken, "a fault in the host");
        self.look(|state| Ok(state.status.clone()))
    }
    fn running(&self) -> Answer<'_, Vec<Running>> {
        self.look(|state| Ok(state.running.clone()))
    }
    fn sent(&self, query: SentQuery) -> Answer<'_, SentPage> {
        self.look(|state| Ok(looking::sent(state, &query)))
    }
    fn sent_detail(&self, activation: ActivationId) -> Answer<'_, SentDetail> {
        self.look(|state| {
            let found = state.sent.iter().find(|detail| detail.row.activation == activation);
            found.cloned().ok_or_else(|| Problem::not_found("activation", activation))
        })
    }
    fn senders(&self) -> Answer<'_, Vec<Sender>> {
        self.look(|state| Ok(looking::senders(state)))
    }
    fn log(&self, log: Log, limit: u32) -> Answer<'_, Vec<LogLine>> {
        self.look(|state| match log {
            Log::Audit => Ok(state.log.iter().take(limit as usize).cloned().collect()),
            Log::Sync => Ok(sample::sync_log()),
        })
    }

    fn send(&self, by: Actor, request: SendRequest) -> Answer<'_, Accepted> {
        self.act(|state| {
            let found = state.notifications.get(&request.notification).cloned();
            let found = found.ok_or_else(|| Problem::not_found("notification", &request.notification))?;
            let key = request.idempotency_key.map(|key| (by.user.clone(), key));
            if let Some(known) = key.as_ref().and_then(|key| state.keys.get(key)) {
                return Ok(Accepted { activations: vec![*known], degraded: false, duplicate: true, owner: None });
            }
            let id = state.start(&found, &by.user.to_string());
            if let Some(key) = key {
                state.keys.insert(key, id);
            }
            state.note(&by, format!("sent {}", found.name));
            let owner = Some(state.identity.name.clone());
            Ok(Accepted { activations: vec![id], degraded: false, duplicate: false, owner })
        })
    }
    fn post_event(&self, by: Actor, trigger: TriggerId, event: EventIn) -> Answer<'_, Accepted> {
        self.act(|state| {
            let row = state.triggers.get(&trigger).ok_or_else(|| Problem::not_found("trigger", &trigger))?;
            if row.driver.is_some() {
                let text = "is watched by a driver; only triggers of pages and API can be set off";
                return Err(Problem::invalid(vec![FieldProblem::new("", text)]));
            }
            let driven: Vec<_> =
                state.notifications.values().filter(|it| it.triggers.contains(&trigger)).cloned().collect();
            let source = format!("{} ({})", by.user, event.title);
            let activations = driven.iter().map(|it| state.start(it, &source)).collect();
            Ok(Accepted { activations, degraded: true, duplicate: false, owner: Some(state.identity.name.clone()) })
        })
    }
    fn stop(&self, by: Actor, activation: ActivationId) -> Answer<'_, ()> {
        self.act(|state| {
            let before = state.running.len();
            state.running.retain(|run| run.activation != activation);
            if state.running.len() == before {
                return Err(Problem::not_found("running activation", activation));
            }
            state.note(&by, format!("stopped {activation}"));
            Ok(())
        })
    }
    fn stop_all(&self, by: Actor) -> Answer<'_, u32> {
        self.act(|state| {
            let count = std::mem::take(&mut state.running).len() as u32;
            state.note(&by, format!("stopped all {count}"));
            Ok(count)
        })
    }

    fn drivers(&self) -> Answer<'_, Drivers> {
        self.look(|state| {
            let drivers = state.drivers.values().map(|detail| detail.view.clone()).collect();
            let (files, keys, pins) = (state.files.clone(), state.trusted.clone(), state.pins.clone());
            Ok(Drivers { drivers, files, keys, pins })
        })
    }
    fn driver(&self, id: DriverId) -> Answer<'_, DriverDetail> {
        self.look(|state| {
            let mut detail = state.drivers.get(&id).cloned().ok_or_else(|| Problem::not_found("driver", &id))?;
            // Left in on purpose: the pages must take it out a second time.
            detail.settings = state.stored_settings.get(&id).cloned().unwrap_or(Value::Null);
            Ok(detail)
        })
    }
    fn check_driver(&self, id: DriverId, settings: Value) -> Answer<'_, ()> {
        self.look(|_| configuration::driver_says(&id, &settings))
    }
    fn enable_driver(&self, by: Actor, id: DriverId, settings: Value, expect: Expect) -> Answer<'_, ()> {
        self.configure(|state| configuration::save_driver(state, &by, &id, settings, &expect, Some(true)))
    }
    fn save_driver(&self, by: Actor, id: DriverId, settings: Value, expect: Expect) -> Answer<'_, ()> {
        self.configure(|state| configuration::save_driver(state, &by, &id, settings, &expect, None))
    }
    fn disable_driver(&self, by: Actor, id: DriverId) -> Answer<'_, ()> {
        self.configure(|state| {
            let detail = state.drivers.get_mut(&id).ok_or_else(|| Problem::not_found("driver", &id))?;
            detail.view.enabled = false;
            state.note(&by, format!("disabled {id}"));
            Ok(())
        })
    }
    fn switch_driver(&self, by: Actor, id: DriverId, wanted: DriverSwitch) -> Answer<'_, ()> {
        self.configure(|state| configuration::switch_driver(state, &by, &id, &wanted))
    }
    fn change_trust(&self, by: Actor, change: TrustChange) -> Answer<'_, String> {
        self.configure(|state| configuration::change_trust(state, &by, change))
    }
    fn driver_http(&self, id: DriverId, request: DeviceRequest) -> Answer<'_, DeviceAnswer> {
        self.act(|state| {
            if !state.drivers.contains_key(&id) {
                return Err(Problem::not_found("driver", &id));
            }
            let said = json!({"method": request.method, "path": request.path, "query": request.query}).to_string();
            state.requests.push(request);
            Ok(DeviceAnswer { status: 201, content_type: "application/x-said+json".to_owned(), body: said.into() })
        })
    }

    fn phone_authorised(&self, user: &str, password: &Password) -> bool {
        let state = self.state.lock().expect("no test panics inside a change");
        state.phones.as_ref().is_some_and(|(known, secret)| known == user && secret == password.reveal())
    }
    fn phone_login(&self) -> Answer<'_, PhoneLogin> {
        self.look(|state| {
            let user = state.phones.as_ref().map(|(user, _)| user.clone()).unwrap_or_default();
            Ok(PhoneLogin { user, set: state.phones.is_some() })
        })
    }
    fn save_phone_login(&self, _: Actor, user: String, password: Option<Password>) -> Answer<'_, ()> {
        self.configure(|state| {
            state.phones = match password {
                _ if user.is_empty() => None,
                Some(password) if password.reveal().len() < 12 => {
                    let wrong = FieldProblem::new("/password", "must have at least 12 characters");
                    return Err(Problem::invalid(vec![wrong]));
                }
                Some(password) => Some((user, password.reveal().to_owned())),
                None => state.phones.take(),
            };
            Ok(())
        })
    }
    fn rename_server(&self, by: Actor, id: ServerId, name: String) -> Answer<'_, ()> {
        self.configure(|state| {
            if state.status.servers.iter().any(|server| server.id != id && server.name == name) {
                return Err(Problem::invalid(vec![FieldProblem::new("/name", "is the name of another server")]));
            }
            let server = state.status.servers.iter_mut().find(|server| server.id == id);
            let server = server.ok_or_else(|| Problem::not_found("server", id))?;
            server.name.clone_from(&name);
            state.note(&by, format!("renamed {id} to {name}"));
            Ok(())
        })
    }
    fn local_settings(&self) -> Answer<'_, LocalSettingsView> {
        self.look(|state| {
            let choice = |name: &str, address: &str| InterfaceChoice { name: name.into(), address: address.into() };
            let interfaces = vec![choice("lo", "127.0.0.1"), choice("eth0", "10.0.0.11")];
            Ok(LocalSettingsView { settings: state.local.clone(), interfaces })
        })
    }
    fn save_local_settings(&self, _: Actor, settings: LocalSettings) -> Answer<'_, ()> {
        self.act(|state| {
            if settings.multicast_address.starts_with("10.") {
                let wrong = FieldProblem::new("/multicast_address", "is not a multicast address");
                return Err(Problem::invalid(vec![wrong]));
            }
            state.local = settings;
            Ok(())
        })
    }
    fn servers(&self) -> Answer<'_, Vec<ServerRow>> {
        self.look(|state| Ok(configuration::servers(state)))
    }
    fn deprovision(&self, by: Actor, server: ServerId, confirm: String) -> Answer<'_, Deprovisioned> {
        self.configure(|state| configuration::deprovision(state, &by, server, &confirm))
    }
    fn reconfigure(&self, by: Actor, server: ServerId) -> Answer<'_, bool> {
        self.configure(|state| {
            let row = configuration::servers(state).into_iter().find(|row| row.id == server);
            let row = row.ok_or_else(|| Problem::not_found("server", server))?;
            state.note(&by, format!("rebuilds the copy of {}", row.name));
            Ok(true)
        })
    }
    fn promote(&self, by: Actor, request: PromoteRequest) -> Answer<'_, Promoted> {
        self.act(|state| {
            if state.identity.role == Role::Primary {
                return Err(Problem::new(409, "Not promoted", "This server is the primary."));
            }
            if !request.even_though_primary_answers {
                return Err(Problem::new(409, "Not promoted", "The primary pa-1 answers."));
            }
            state.note(&by, "promoted this server".to_owned());
            Ok(Promoted { generation: "2".to_owned(), fork: 7, ..Promoted::default() })
        })
    }
    fn conflicts(&self) -> Answer<'_, Vec<Conflict>> {
        self.look(|_| Ok(vec![configuration::conflict()]))
    }
    fn licence(&self) -> Answer<'_, Licence> {
        self.look(|state| Ok(configuration::licence(state)))
    }
    fn set_licence(&self, _: Actor, secondaries: u32) -> Answer<'_, Licence> {
        self.configure(|state| {
            state.licence = secondaries;
            Ok(configuration::licence(state))
        })
    }

    fn groups(&self) -> Answer<'_, Vec<GroupView>> {
        self.look(|state| Ok(configuration::groups(state)))
    }
    fn save_group(&self, by: Actor, group: PriorityGroup, expect: Expect) -> Answer<'_, GroupId> {
        self.configure(|state| configuration::save_group(state, &by, group, &expect))
    }
    fn delete_group(
        &self,
        by: Actor,
        id: GroupId,
        move_to: Option<GroupId>,
        expect: Expect,
    ) -> Answer<'_, GroupDeleted> {
        self.configure(|state| configuration::delete_group(state, &by, &id, move_to, &expect))
    }

    fn endpoints(&self) -> Answer<'_, Vec<Listed<Endpoint>>> {
        self.look(|state| Ok(state.endpoints.values().map(|row| configuration::endpoint(state, row)).collect()))
    }
    fn endpoint(&self, id: EndpointId) -> Answer<'_, Listed<Endpoint>> {
        self.look(|state| {
            let row = state.endpoints.get(&id).ok_or_else(|| Problem::not_found("endpoint", &id))?;
            Ok(configuration::endpoint(state, row))
        })
    }
    fn save_endpoint(&self, by: Actor, endpoint: Endpoint, expect: Expect) -> Answer<'_, EndpointId> {
        self.configure(|state| configuration::save_endpoint(state, &by, endpoint, &expect))
    }
    fn delete_endpoint(&self, by: Actor, id: EndpointId, expect: Expect) -> Answer<'_, ()> {
        self.configure(|state| {
            configuration::delete(&mut state.endpoints, &id, &expect, "endpoint")?;
            state.notifications.values_mut().for_each(|row| row.endpoints.retain(|endpoint| *endpoint != id));
            state.note(&by, format!("deleted endpoint {id}"));
            Ok(())
        })
    }

    fn calendars(&self) -> Answer<'_, Vec<CalendarView>> {
        self.look(|state| Ok(state.calendars.values().map(|row| calendars::view(state, row)).collect()))
    }
    fn calendar(&self, id: CalendarId) -> Answer<'_, CalendarView> {
        self.look(|state| {
            let row = state.calendars.get(&id).ok_or_else(|| Problem::not_found("calendar", &id))?;
            Ok(calendars::view(state, row))
        })
    }
    fn preview_calendar(&self, calendar: Calendar) -> Answer<'_, CalendarPreview> {
        self.look(|state| calendars::preview(state, calendar))
    }
    fn save_calendar(&self, by: Actor, calendar: Calendar, expect: Expect) -> Answer<'_, CalendarId> {
        self.configure(|state| calendars::save(state, &by, calendar, &expect))
    }
    fn delete_calendar(&self, by: Actor, id: CalendarId, expect: Expect) -> Answer<'_, ()> {
        self.configure(|state| {
            configuration::delete(&mut state.calendars, &id, &expect, "calendar")?;
            state.note(&by, format!("deleted calendar {id}"));
            Ok(())
        })
    }

    fn triggers(&self) -> Answer<'_, Vec<Listed<Trigger>>> {
        self.look(|state| Ok(state.triggers.values().map(|row| configuration::trigger(state, row)).collect()))
    }
    fn trigger(&self, id: TriggerId) -> Answer<'_, Listed<Trigger>> {
        self.look(|state| {
            let row = state.triggers.get(&id).ok_or_else(|| Problem::not_found("trigger", &id))?;
            Ok(configuration::trigger(state, row))
        })
    }
    fn save_trigger(&self, by: Actor, trigger: Trigger, expect: Expect) -> Answer<'_, TriggerId> {
        self.configure(|state| {
            let id = TriggerId::from(configuration::key(&trigger.id.0, &trigger.name));
            configuration::put(
                &mut state.triggers,
                id.clone(),
                Trigger { id: id.clone(), ..trigger },
                &expect,
                "trigger",
            )?;
            state.note(&by, format!("saved trigger {id}"));
            Ok(id)
        })
    }
    fn delete_trigger(&self, by: Actor, id: TriggerId, expect: Expect) -> Answer<'_, ()> {
        self.configure(|state| {
            configuration::delete(&mut state.triggers, &id, &expect, "trigger")?;
            state.notifications.values_mut().for_each(|row| row.triggers.retain(|trigger| *trigger != id));
            state.note(&by, format!("deleted trigger {id}"));
            Ok(())
        })
    }

    fn notifications(&self) -> Answer<'_, Vec<Listed<Notification>>> {
        self.look(|state| Ok(state.notifications.values().map(configuration::listed).collect()))
    }
    fn notification(&self, id: NotificationId) -> Answer<'_, Listed<Notification>> {
        self.look(|state| {
            let row = state.notifications.get(&id).ok_or_else(|| Problem::not_found("notification", &id))?;
            Ok(configuration::listed(row))
        })
    }
    fn save_notification(&self, by: Actor, row: Notification, expect: Expect) -> Answer<'_, NotificationId> {
        self.configure(|state| {
            let id = NotificationId::from(configuration::key(&row.id.0, &row.name));
            let row = Notification { id: id.clone(), ..row };
            configuration::put(&mut state.notifications, id.clone(), row, &expect, "notification")?;
            state.note(&by, format!("saved notification {id}"));
            Ok(id)
        })
    }
    fn delete_notification(&self, by: Actor, id: NotificationId, expect: Expect) -> Answer<'_, ()> {
        self.configure(|state| {
            configuration::delete(&mut state.notifications, &id, &expect, "notification")?;
            state.note(&by, format!("deleted notification {id}"));
            Ok(())
        })
    }
}
