//! What can be said beforehand of who reaches what: names, what was seen in what was sent, endpoints that are left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use onealert_core::{
    activation::EndpointState,
    calendar::calendars_of,
    config::{Config, DEFAULT_GROUP, Notification},
    ids::{DriverId, EndpointId, GroupId, ServerId},
    plan::{Plan, Reach},
    time::Wall,
    version::DriverVersion,
};
use onealert_store::history::SentFilter;
use onealert_web::needs::DrillEndpoint;

use crate::records::Records;

/// How many of the newest sent notifications are looked through.
const LOOK_BACK: usize = 500;

/// Names for people.
pub struct Names(pub Arc<Config>);

impl Names {
    /// A server's name.
    pub fn server(&self, id: ServerId) -> String {
        self.0.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone())
    }

    /// An endpoint's name.
    pub fn endpoint(&self, id: &EndpointId) -> String {
        self.0.endpoints.get(id).map_or_else(|| id.to_string(), |row| row.name.clone())
    }
}

/// Which servers reached which endpoints the last time that they tried.
#[derive(Default)]
pub struct Reached(BTreeMap<EndpointId, BTreeMap<ServerId, (bool, Wall)>>);

impl Reached {
    /// What the newest sent notifications say. A log that cannot be read says nothing.
    pub async fn read(records: &Records) -> Reached {
        let page = match records.page(SentFilter::default(), None, LOOK_BACK).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(error, "the sent notifications cannot be read to see who reached what");
                return Reached::default();
            }
        };
        let mut found = Reached::default();
        for record in page.entries.iter().flat_map(|entry| &entry.records) {
            for (endpoint, state) in record.content.endpoints.iter().zip(&record.states) {
                let reached = match state {
                    EndpointState::Acked { .. } => true,
                    EndpointState::Failed { .. } => false,
                    EndpointState::Pending | EndpointState::Sent => continue,
                };
                let of = found.0.entry(endpoint.clone()).or_default();
                let last = of.entry(record.server).or_insert((reached, record.ended));
                if last.1 < record.ended {
                    *last = (reached, record.ended);
                }
            }
        }
        found
    }

    /// Whether a server reached an endpoint the last time, and when that was; `None`: it never tried.
    pub fn last(&self, endpoint: &EndpointId, server: ServerId) -> Option<(bool, Wall)> {
        self.0.get(endpoint)?.get(&server).copied()
    }

    /// The servers that reached an endpoint the last time that they tried, or that failed to.
    pub fn servers(&self, endpoint: &EndpointId, reached: bool) -> Vec<ServerId> {
        let of = self.0.get(endpoint).into_iter().flatten();
        of.filter(|(_, (last, _))| *last == reached).map(|(server, _)| *server).collect()
    }
}

/// An endpoint's driver, if it is enabled.
pub fn driver_of<'a>(config: &'a Config, endpoint: &EndpointId) -> Option<&'a DriverId> {
    config.endpoints.get(endpoint).map(|row| &row.driver)
}

/// Why an endpoint would not be reached, in a sentence; `None`: it would be.
pub fn left_out(
    config: &Arc<Config>,
    endpoint: &EndpointId,
    plan: &Plan,
    needs: &BTreeMap<DriverId, DriverVersion>,
) -> Option<String> {
    let driver = driver_of(config, endpoint);
    let name = Names(config.clone()).endpoint(endpoint);
    match plan.reach(driver, needs) {
        Reach::Yes | Reach::Differs { .. } => None,
        Reach::Lacks => Some(format!("{name}: its driver is missing on the server that would send")),
        Reach::NoDriver => Some(format!("{name}: no enabled driver reaches it")),
        Reach::NobodySends => Some(format!("{name}: nobody sends")),
    }
}

/// Endpoints of notifications that only one server reaches, as far as groups, drivers and what was sent say.
pub fn single(
    config: &Arc<Config>,
    names: &Names,
    servers: &BTreeMap<ServerId, BTreeMap<DriverId, DriverVersion>>,
    reached: &Reached,
) -> Vec<DrillEndpoint> {
    let mut found: BTreeMap<EndpointId, DrillEndpoint> = BTreeMap::new();
    for notification in config.notifications.values() {
        for endpoint in &notification.endpoints {
            let Some(driver) = driver_of(config, endpoint) else { continue };
            let group = members(config, notification);
            let able: Vec<ServerId> = group
                .iter()
                .copied()
                .filter(|server| servers.get(server).is_some_and(|drivers| drivers.contains_key(driver)))
                .collect();
            let failed = reached.servers(endpoint, false);
            let left: Vec<ServerId> = able.iter().copied().filter(|server| !failed.contains(server)).collect();
            let why = if group.len() == 1 {
                "its priority group has no other server".to_owned()
            } else if able.len() == 1 {
                "no other server that is up has its driver".to_owned()
            } else if left.len() == 1 && reached.last(endpoint, left[0]).is_some_and(|(reached, _)| reached) {
                let others: Vec<String> = failed.iter().map(|server| names.server(*server)).collect();
                format!("{} tried last and did not reach it", others.join(", "))
            } else {
                continue;
            };
            let Some(server) = left.first().or(able.first()) else { continue };
            let (name, server) = (names.endpoint(endpoint), names.server(*server));
            found.entry(endpoint.clone()).or_insert(DrillEndpoint { name, server, why });
        }
    }
    found.into_values().collect()
}

/// Every server of the groups by which triggers and calendars start a notification, or of the default group.
fn members(config: &Config, notification: &Notification) -> BTreeSet<ServerId> {
    let triggers = notification.triggers.iter().filter_map(|id| config.triggers.get(id)).map(|row| &row.group);
    let groups: Vec<&GroupId> = triggers.chain(calendars_of(config, &notification.id).map(|row| &row.group)).collect();
    let default = GroupId::from(DEFAULT_GROUP);
    let groups = if groups.is_empty() { vec![&default] } else { groups };
    groups.into_iter().flat_map(|group| config.group_order(group)).collect()
}
