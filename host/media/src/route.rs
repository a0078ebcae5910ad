//! Which interface the default route uses: where multicast leaves and is listened to when nothing is configured.

use std::net::Ipv4Addr;

const UP: u32 = 0x1;

/// The name and first IPv4 address of the default route's interface; nothing when there is no default route or no address.
pub fn default_interface() -> Option<(String, Ipv4Addr)> {
    let name = default_route(&std::fs::read_to_string("/proc/net/route").ok()?)?;
    let address = nix::ifaddrs::getifaddrs()
        .ok()?
        .filter(|interface| interface.interface_name == name)
        .find_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))?;
    Some((name, address))
}

/// The interface of the default route with the lowest metric, from the kernel's table.
fn default_route(table: &str) -> Option<String> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let [name, destination, _gateway, flags, _references, _use, metric, mask, ..] = columns[..] else {
                return None;
            };
            let up = u32::from_str_radix(flags, 16).ok()? & UP != 0;
            let everything = destination == "00000000" && mask == "00000000";
            (up && everything).then_some((metric.parse::<u32>().ok()?, name.to_owned()))
        })
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    fn the_default_route_with_the_lowest_metric_that_is_up_wins() {
        let table = format!(
            "{HEAD}wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth1\t00000000\t0100000A\t0002\t0\t0\t50\t00000000\t0\t0\t0\n\
             eth2\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"
        );
        assert_eq!(default_route(&table).as_deref(), Some("eth0"));
    }

    #[test]
    fn a_table_without_default_route_or_with_nonsense_gives_none() {
        assert_eq!(default_route(HEAD), None);
        assert_eq!(default_route(""), None);
        assert_eq!(default_route(&format!("{HEAD}eth0 00000000 zz\nxx 00000000 0 0003 0 0 many 00000000\n")), None);
    }
}
