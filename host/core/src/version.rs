//! What must match between servers, and what is said when it does not (redundancy sheet, section 1; design, D9).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::DriverId;

/// What a server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSet {
    /// The product.
    pub product: semver::Version,
    /// The form of the configuration tables.
    pub schema: u32,
    /// The mesh protocol; understood one step down and one step up.
    pub protocol: u32,
    /// The platform, such as `x86_64-linux-gnu`.
    pub platform: String,
    /// The plugin contract it offers.
    pub plugin_api: semver::Version,
    /// Every enabled driver, as it is on this server.
    #[serde(default)]
    pub drivers: BTreeMap<DriverId, DriverVersion>,
}

/// A driver as one server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverVersion {
    /// Its version.
    pub version: semver::Version,
    /// SHA-256 of its file, as hexadecimal digits.
    pub sha256: String,
}

/// How well a server's drivers suit an activation: greater is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// A driver that it needs is missing: some endpoints cannot be reached from there.
    Lacks,
    /// A driver that it needs is there in another version, or as another file.
    Differs,
    /// Everything that it needs is there as the configuration has enabled it.
    Matches,
}

/// How well the drivers of a server (`has`) suit what is needed.
pub fn fit(needs: &BTreeMap<DriverId, DriverVersion>, has: &BTreeMap<DriverId, DriverVersion>) -> Fit {
    let each = needs.iter().map(|(id, wanted)| match has.get(id) {
        None => Fit::Lacks,
        Some(found) if found == wanted => Fit::Matches,
        Some(_) => Fit::Differs,
    });
    each.min().unwrap_or(Fit::Matches)
}

/// What a comparison of two servers says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VersionVerdict {
    /// Every difference, in words that name both sides; empty when they match.
    pub differences: Vec<Difference>,
}

/// One difference between two servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `product`, `schema`, `protocol`, `platform`, `plugin_api`, or `driver` and its id.
    pub what: String,
    /// This server's value.
    pub ours: String,
    /// The other server's value.
    pub theirs: String,
    /// Whether configuration is not synchronised because of it.
    pub stops_sync: bool,
    /// What to do, for the operator.
    #[serde(default)]
    pub advice: String,
}

impl VersionVerdict {
    /// Whether configuration may be synchronised between the two.
    pub fn allows_sync(&self) -> bool {
        !self.differences.iter().any(|difference| difference.stops_sync)
    }

    /// Whether the two understand each other on the mesh: takeover works then, whatever else differs.
    pub fn allows_mesh(&self) -> bool {
        !self.differences.iter().any(|difference| difference.what == PROTOCOL)
    }

    /// The drivers that differ: their configuration is not applied, and a matching server is preferred for activations that
    /// need them.
    pub fn differing_drivers(&self) -> impl Iterator<Item = DriverId> {
        let ids = self.differences.iter().filter_map(|difference| difference.what.strip_prefix(DRIVER));
        ids.map(DriverId::from)
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Difference { what, ours, theirs, advice, .. } = self;
        write!(f, "{what}: this server has {ours}, the other has {theirs}; {advice}")
    }
}

impl std::fmt::Display for VersionVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.differences.is_empty() {
            return f.write_str("versions match");
        }
        for (turn, difference) in self.differences.iter().enumerate() {
            let between = if turn == 0 { "" } else { ". " };
            write!(f, "{between}{difference}")?;
        }
        Ok(())
    }
}

const PROTOCOL: &str = "protocol";
const DRIVER: &str = "driver ";

/// What is said between two servers that speak different synchronisation protocols: they hear each other, and nothing is
/// synchronised. `None` where they speak the same.
pub fn compare_sync(ours: u32, theirs: u32) -> Option<VersionVerdict> {
    let difference = Difference {
        what: "sync protocol".to_owned(),
        ours: ours.to_string(),
        theirs: theirs.to_string(),
        stops_sync: true,
        advice:
            "run the same product version on both; synchronisation goes on by itself then, takeover works meanwhile"
                .to_owned(),
    };
    (ours != theirs).then(|| VersionVerdict { differences: vec![difference] })
}

/// What differs between this server and another, and what to do about it.
///
/// Product and schema stop synchronisation, and so does a mesh protocol more than one step away. The platform is a warning:
/// drivers are files of one platform, so servers of two platforms cannot share them. The plugin contract is told because a
/// driver may need it; a driver's own difference stops only that driver's configuration.
pub fn compare(ours: &VersionSet, theirs: &VersionSet) -> VersionVerdict {
    let mut differences = Vec::new();
    let mut differs = |what: String, ours: String, theirs: String, stops_sync: bool, advice: &str| {
        differences.push(Difference { what, ours, theirs, stops_sync, advice: advice.to_owned() });
    };
    if ours.product != theirs.product {
        let advice = "upgrade the older one; synchronisation goes on by itself, takeover works meanwhile";
        differs("product".into(), ours.product.to_string(), theirs.product.to_string(), true, advice);
    }
    if ours.schema != theirs.schema {
        let advice = "run the same product version on both; takeover works meanwhile";
        differs("schema".into(), ours.schema.to_string(), theirs.schema.to_string(), true, advice);
    }
    if ours.protocol.abs_diff(theirs.protocol) > 1 {
        let advice = "upgrade the older one at once: until then neither can take over from the other";
        differs(PROTOCOL.into(), ours.protocol.to_string(), theirs.protocol.to_string(), true, advice);
    }
    if ours.platform != theirs.platform {
        let advice = "install drivers for both platforms, or the same platform on both servers";
        differs("platform".into(), ours.platform.clone(), theirs.platform.clone(), false, advice);
    }
    if ours.plugin_api != theirs.plugin_api {
        let advice = "run the same product version on both, so that every driver loads on both";
        differs("plugin_api".into(), ours.plugin_api.to_string(), theirs.plugin_api.to_string(), false, advice);
    }
    let ids: BTreeSet<&DriverId> = ours.drivers.keys().chain(theirs.drivers.keys()).collect();
    for id in ids {
        let (here, there) = (ours.drivers.get(id), theirs.drivers.get(id));
        if here == there {
            continue;
        }
        // Equal versions with unequal files are the case that nobody sees without the checksum.
        let text = |driver: Option<&DriverVersion>| match driver {
            None => "none".to_owned(),
            Some(DriverVersion { version, sha256 }) => {
                format!("{version} (file {})", sha256.get(..12).unwrap_or(sha256))
            }
        };
        let advice = match (here, there) {
            (None, _) => "enable the driver on the primary again so that this server receives the file",
            (_, None) => "enable the driver on the primary again so that the other server receives the file",
            _ => "enable one version on the primary; its file then goes to every server",
        };
        differs(format!("{DRIVER}{id}"), text(here), text(there), false, advice);
    }
    VersionVerdict { differences }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(product: &str, drivers: &[(&str, &str, &str)]) -> VersionSet {
        let parse = |text: &str| text.parse::<semver::Version>().expect("a version");
        let driver = |(id, version, sha256): &(&str, &str, &str)| {
            (DriverId::from(*id), DriverVersion { version: parse(version), sha256: (*sha256).to_owned() })
        };
        VersionSet {
            product: parse(product),
            schema: 3,
            protocol: 2,
            platform: "x86_64-linux-gnu".to_owned(),
            plugin_api: parse("1.2.0"),
            drivers: drivers.iter().map(driver).collect(),
        }
    }

    #[test]
    fn equal_servers_match() {
        let one = version("1.4.0", &[("com.algo", "2.0.0", "aa")]);
        let verdict = compare(&one, &one.clone());
        assert_eq!(verdict.differences, []);
        assert!(verdict.allows_sync() && verdict.allows_mesh());
        assert_eq!(verdict.to_string(), "versions match");
    }

    #[test]
    fn a_product_difference_stops_synchronisation_but_never_takeover() {
        let verdict = compare(&version("1.4.0", &[]), &version("1.5.0", &[]));
        assert!(!verdict.allows_sync() && verdict.allows_mesh());
        let text = verdict.to_string();
        assert!(text.contains("this server has 1.4.0, the other has 1.5.0; upgrade the older one"), "{text}");
    }

    #[test]
    fn the_mesh_understands_one_step_and_no_more() {
        let (ours, mut theirs) = (version("1.4.0", &[]), version("1.4.0", &[]));
        theirs.protocol = 3;
        assert_eq!(compare(&ours, &theirs).differences, []);
        theirs.protocol = 4;
        let verdict = compare(&ours, &theirs);
        assert!(!verdict.allows_sync() && !verdict.allows_mesh());
    }

    #[test]
    fn schema_stops_and_platform_and_contract_warn() {
        let ours = version("1.4.0", &[]);
        let theirs = VersionSet { schema: 4, ..ours.clone() };
        assert!(!compare(&ours, &theirs).allows_sync());
        let plugin_api = semver::Version::new(1, 3, 0);
        let theirs = VersionSet { platform: "aarch64-linux-gnu".to_owned(), plugin_api, ..ours.clone() };
        let verdict = compare(&ours, &theirs);
        let what: Vec<&str> = verdict.differences.iter().map(|difference| difference.what.as_str()).collect();
        assert_eq!((what, verdict.allows_sync()), (vec!["platform", "plugin_api"], true));
    }

    #[test]
    fn drivers_are_compared_by_version_and_by_file_whoever_has_them() {
        let ours = version(
            "1.4.0",
            &[("com.algo", "2.0.0", "aaaaaaaaaaaaaaaa"), ("com.cap", "1.0.0", "11"), ("org.x", "1.0.0", "22")],
        );
        let theirs = version(
            "1.4.0",
            &[("com.algo", "2.0.0", "bbbbbbbbbbbbbbbb"), ("com.cap", "1.0.0", "11"), ("org.y", "1.0.0", "33")],
        );
        let verdict = compare(&ours, &theirs);
        assert!(verdict.allows_sync());
        let ids: Vec<DriverId> = verdict.differing_drivers().collect();
        assert_eq!(ids, ["com.algo", "org.x", "org.y"].map(DriverId::from));
        let text = verdict.to_string();
        assert!(
            text.contains(
                "driver com.algo: this server has 2.0.0 (file aaaaaaaaaaaa), the other has 2.0.0 (file bbbbbbbbbbbb)"
            ),
            "{text}"
        );
        assert!(text.contains("driver org.x: this server has 1.0.0 (file 22), the other has none"), "{text}");
    }
}
