//! What concerns one server: its display name, and the settings that are its own.

use std::net::Ipv4Addr;

use onealert_core::{
    config::{Change, Server, Table},
    ids::ServerId,
};
use onealert_media::engine::Interface;
use onealert_web::needs::{Actor, FieldProblem, InterfaceChoice, LocalSettings, LocalSettingsView, Problem};

use super::{Answers, configure};
use crate::{
    hub::Hub,
    locality::{self, AUTO},
    sound::Outlet,
};

/// Gives a server another display name.
pub(super) async fn rename(answers: &Answers, by: Actor, id: ServerId, name: String) -> Result<(), Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let row = config.servers.get(&id).filter(|row| !row.deprovisioned);
    let row = row.ok_or_else(|| Problem::not_found("server", id))?;
    let same = |other: &&Server| !other.deprovisioned && other.id != id && other.name.eq_ignore_ascii_case(&name);
    if config.servers.values().any(|other| same(&other)) {
        let message = "is the name of another server; choose one that tells them apart";
        return Err(Problem::invalid(vec![FieldProblem::new("/name", message)]));
    }
    let key = id.to_string();
    let expected = configure::as_it_is(Table::Servers, &key, row);
    let what = format!("renamed server {:?} to {name:?}", row.name);
    let change = Change::put(Table::Servers, &key, &Server { name, ..row.clone() });
    configure::write(answers, by, what, vec![change], vec![expected]).await
}

/// The settings that are this server's own, and what there is to choose from.
pub(super) fn settings(hub: &Hub) -> LocalSettingsView {
    let now = hub.locality.now();
    let choice = |way: locality::Way| InterfaceChoice { name: way.name, address: way.address.to_string() };
    LocalSettingsView {
        settings: LocalSettings {
            multicast_address: now.multicast.map(|address| address.to_string()).unwrap_or_default(),
            network_interface: locality::interface_text(now.interface),
        },
        interfaces: locality::ways().into_iter().map(choice).collect(),
    }
}

/// Changes them. They are no configuration: every server takes them, a secondary too.
pub(super) async fn change(hub: &Hub, by: Actor, settings: LocalSettings) -> Result<(), Problem> {
    let outlet = read(&settings)?;
    tokio::task::block_in_place(|| hub.locality.change(outlet)).map_err(|error| {
        tracing::error!(%error, "the local settings were not stored");
        Problem::unavailable("This server's own database did not take the change. Nothing was saved. The log says why.")
    })?;
    tracing::info!(
        user = %by.user, peer = %by.peer, multicast_address = settings.multicast_address,
        network_interface = settings.network_interface, "local settings changed"
    );
    Ok(())
}

fn read(settings: &LocalSettings) -> Result<Outlet, Problem> {
    let mut problems = Vec::new();
    let multicast = match settings.multicast_address.trim() {
        "" => None,
        text => match text.parse::<Ipv4Addr>() {
            // 224.0.0.0/24 belongs to routing protocols: switches flood it and routers never pass it on.
            Ok(address) if address.is_multicast() && address.octets()[..3] != [224, 0, 0] => Some(address),
            _ => {
                let message = format!("{text} is not a multicast address for audio; use one such as 239.192.0.1");
                problems.push(FieldProblem::new("/multicast_address", message));
                None
            }
        },
    };
    let interface = match settings.network_interface.trim() {
        AUTO => Interface::Auto,
        text => match text.parse::<Ipv4Addr>() {
            Ok(address) if locality::has(address) => Interface::Address(address),
            _ => {
                let message = format!("{text} is neither {AUTO} nor an IPv4 address of this server");
                problems.push(FieldProblem::new("/network_interface", message));
                Interface::Auto
            }
        },
    };
    if problems.is_empty() { Ok(Outlet { interface, multicast }) } else { Err(Problem::invalid(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(multicast_address: &str, network_interface: &str) -> Result<Outlet, Vec<String>> {
        let settings =
            LocalSettings { multicast_address: multicast_address.into(), network_interface: network_interface.into() };
        read(&settings).map_err(|problem| problem.fields.into_iter().map(|field| field.path).collect())
    }

    #[test]
    fn addresses_are_read_and_wrong_ones_are_named() {
        let loopback = Ipv4Addr::LOCALHOST;
        assert_eq!(said("", "auto"), Ok(Outlet { interface: Interface::Auto, multicast: None }));
        let both = Outlet { interface: Interface::Address(loopback), multicast: Some(Ipv4Addr::new(239, 192, 0, 1)) };
        assert_eq!(said(" 239.192.0.1 ", "127.0.0.1"), Ok(both));
        for wrong in ["10.0.0.1", "224.0.0.1", "ff02::1", "239.1.1"] {
            assert_eq!(said(wrong, "auto"), Err(vec!["/multicast_address".to_owned()]), "{wrong}");
        }
        for wrong in ["", "eth0", "203.0.113.9"] {
            assert_eq!(said("", wrong), Err(vec!["/network_interface".to_owned()]), "{wrong}");
        }
    }
}
