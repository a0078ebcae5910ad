//! From what servers said to one verdict: pure, so that every case can be told as a test.
//!
//! The primary's configuration is the measure: product, schema, protocol, platform and contract as the primary runs them,
//! drivers as its configuration names them. Every server that answered is compared with it, the primary too, whose own driver
//! may have failed to start.

use onealert_core::{
    config::Role,
    version::{Difference, VersionSet, VersionVerdict, compare},
};
use serde::Serialize;

use crate::ask::{NotTold, Other, Told};

/// What an upgrade script needs to know, the best first. The exit status says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is equal, and every copy stands where the primary stands.
    Match,
    /// Everything is equal; a copy has not caught up yet.
    Behind,
    /// The product is the same; a driver, the platform or the plugin contract differs. Synchronisation goes on.
    Drivers,
    /// Product or schema differ: synchronisation has stopped, takeover works.
    Differs,
    /// A server did not answer, or the primary is not among those that did: nothing can be said of the whole.
    NotAsked,
    /// They cannot go on like this: two primaries, a server that the primary does not know, or mesh protocols so far apart that
    /// neither can take over from the other.
    Apart,
}

impl Verdict {
    /// The program's exit status. 3 is a wrong command line.
    pub fn exit_status(self) -> u8 {
        match self {
            Verdict::Match => 0,
            Verdict::Differs => 1,
            Verdict::NotAsked => 2,
            Verdict::Drivers => 4,
            Verdict::Behind => 5,
            Verdict::Apart => 6,
        }
    }

    /// The verdict in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Verdict::Match => "all servers match and are in step",
            Verdict::Behind => "all servers match; a copy of the configuration has not caught up yet",
            Verdict::Drivers => {
                "the product is the same everywhere, something beside it differs; synchronisation goes on"
            }
            Verdict::Differs => "synchronisation has stopped until the versions match; takeover works meanwhile",
            Verdict::NotAsked => "not every server that matters could be asked",
            Verdict::Apart => "these servers cannot work together as they are",
        }
    }
}

/// One server and what it said.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Where it was asked.
    pub address: String,
    /// What it said.
    pub answer: Result<Told, NotTold>,
}

/// What is said of one server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What differs from the measure.
    pub versions: VersionVerdict,
    /// How many changes it is behind the primary; `None` where that cannot be said.
    pub lag: Option<u64>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, in sentences that name both sides.
    pub findings: Vec<String>,
}

/// The whole comparison.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The worst of all.
    pub verdict: Verdict,
    /// Index of the primary among the servers asked.
    pub primary: Option<usize>,
    /// One for each server asked; `None` for those that did not answer.
    pub judged: Vec<Option<Judged>>,
    /// What concerns no single server.
    pub findings: Vec<String>,
    /// Servers that others name and that were not asked.
    pub unasked: Vec<Other>,
}

/// Compares what servers said.
pub fn judge(all: &[Answered]) -> Comparison {
    let told = |index: usize| all[index].answer.as_ref().ok();
    let primaries: Vec<usize> =
        (0..all.len()).filter(|index| told(*index).is_some_and(|told| told.role == Role::Primary)).collect();
    let mut findings = Vec::new();
    let mut verdict = Verdict::Match;
    if all.iter().any(|one| one.answer.is_err()) {
        verdict = Verdict::NotAsked;
    }
    if primaries.is_empty() {
        verdict = Verdict::NotAsked;
        findings.push("no primary among the servers that answered: there is nothing to compare with".to_owned());
    }
    if let [first, second, ..] = primaries[..] {
        verdict = Verdict::Apart;
        let name = |index| told(index).map_or("", |told| told.name.as_str());
        let (first, second) = (name(first), name(second));
        findings.push(format!(
            "both {first} and {second} say that they are the primary; only one may take configuration: \
             look at System Status of both before anything else"
        ));
    }
    let primary = primaries.first().copied();
    let measure = primary.and_then(told);
    let judged: Vec<Option<Judged>> = all.iter().map(|one| Some(one_of(measure?, one.answer.as_ref().ok()?))).collect();
    let worst = judged.iter().flatten().map(|judged| judged.verdict).max().unwrap_or(Verdict::Match);
    Comparison { verdict: verdict.max(worst), primary, judged, findings, unasked: unasked(all) }
}

fn one_of(primary: &Told, server: &Told) -> Judged {
    let measure = VersionSet { drivers: primary.enabled.clone(), ..primary.versions.clone() };
    let versions = compare(&measure, &server.versions);
    let mut findings: Vec<String> =
        versions.differences.iter().map(|difference| sentence(primary, server, difference)).collect();
    let mut verdict = match &versions {
        versions if !versions.allows_mesh() => Verdict::Apart,
        versions if !versions.allows_sync() => Verdict::Differs,
        versions if !versions.differences.is_empty() => Verdict::Drivers,
        _ => Verdict::Match,
    };
    let itself = server.id == primary.id;
    if !itself && !primary.others.iter().any(|other| other.id == server.id) {
        verdict = verdict.max(Verdict::Apart);
        findings.push(format!(
            "{} does not know {}: it was deprovisioned, or belongs to another site; join it again",
            primary.name, server.name
        ));
    }
    let lag = (primary.epoch == server.epoch).then(|| primary.position.saturating_sub(server.position));
    // Where versions differ a copy stands still, and that has been said.
    if versions.allows_sync() && !itself && (lag != Some(0) || server.sync != "ok") {
        verdict = verdict.max(Verdict::Behind);
        findings.push(match lag {
            None => format!("{} holds another generation of the configuration: {}", server.name, server.sync_text),
            Some(0) => format!("{} is not in step: {}", server.name, server.sync_text),
            Some(lag) => format!("{} is {lag} changes behind {}: {}", server.name, primary.name, server.sync_text),
        });
    }
    Judged { versions, lag, verdict, findings }
}

fn sentence(primary: &Told, server: &Told, difference: &Difference) -> String {
    let Difference { what, ours, theirs, advice, .. } = difference;
    // For drivers the measure is what is configured, which may not even run on the primary itself.
    let verb = if what.starts_with("driver ") { "configures" } else { "has" };
    format!("{what}: {} {verb} {ours}, {} has {theirs}; {advice}", primary.name, server.name)
}

fn unasked(all: &[Answered]) -> Vec<Other> {
    let told: Vec<&Told> = all.iter().filter_map(|one| one.answer.as_ref().ok()).collect();
    let mut unasked: Vec<Other> = Vec::new();
    for other in told.iter().flat_map(|told| &told.others) {
        let asked = told.iter().any(|told| told.id == other.id)
            || all.iter().any(|one| !other.web.is_empty() && one.address == other.web);
        if !asked && !unasked.iter().any(|known| known.id == other.id) {
            unasked.push(other.clone());
        }
    }
    unasked
}

#[cfg(test)]
pub(crate) mod tests {
    use onealert_core::{
        ids::{DriverId, ServerId},
        version::DriverVersion,
    };

    use super::*;

    pub(crate) fn told(number: u128, role: Role) -> Told {
        let name = format!("pa-{number}");
        let other =
            |id: u128, role| Other { id: ServerId(id), name: format!("pa-{id}"), role, web: format!("https://{id}") };
        let others = match role {
            Role::Primary => vec![other(2, Role::Secondary), other(3, Role::Secondary)],
            Role::Secondary => vec![other(1, Role::Primary)],
        };
        let algo = (DriverId::from("com.algo"), driver("2.0.0", "aaaaaaaaaaaaaaaa"));
        let versions = VersionSet {
            product: "1.4.0".parse().expect("a version"),
            schema: 1,
            protocol: 1,
            platform: "x86_64-linux".to_owned(),
            plugin_api: "1.0.0".parse().expect("a version"),
            drivers: [algo.clone()].into(),
        };
        let (epoch, sync, sync_text) = ("e1".to_owned(), "ok".to_owned(), "In sync".to_owned());
        let id = ServerId(number);
        Told { id, name, role, versions, enabled: [algo].into(), epoch, position: 50, sync, sync_text, others }
    }

    fn driver(version: &str, sha256: &str) -> DriverVersion {
        DriverVersion { version: version.parse().expect("a version"), sha256: sha256.to_owned() }
    }

    pub(crate) fn answered(told: Told) -> Answered {
        Answered { address: format!("https://{}", told.id.0), answer: Ok(told) }
    }

    /// The verdict on a primary and a secondary that is changed, with everything that is said.
    fn pair(change: impl FnOnce(&mut Told)) -> (Verdict, String) {
        let mut second = told(2, Role::Secondary);
        change(&mut second);
        let comparison = judge(&[answered(told(1, Role::Primary)), answered(second)]);
        let said = comparison.judged.iter().flatten().flat_map(|judged| judged.findings.clone());
        let said = said.chain(comparison.findings.clone()).collect::<Vec<_>>().join("\n");
        (comparison.verdict, said)
    }

    #[test]
    fn equal_servers_in_step_match() {
        assert_eq!(pair(|_| {}), (Verdict::Match, String::new()));
    }

    #[test]
    fn another_product_stops_synchronisation_and_both_sides_are_named() {
        let (verdict, said) = pair(|second| {
            second.versions.product = "1.5.0".parse().expect("a version");
            // It stands still, which is no finding of its own.
            (second.position, second.sync) = (40, "bad".to_owned());
        });
        assert_eq!(verdict, Verdict::Differs);
        assert!(said.starts_with("product: pa-1 has 1.4.0, pa-2 has 1.5.0; upgrade the older one"), "{said}");
        assert!(!said.contains("behind"), "{said}");
    }

    #[test]
    fn another_driver_file_is_a_verdict_of_its_own() {
        let (verdict, said) = pair(|second| {
            second.versions.drivers.insert(DriverId::from("com.algo"), driver("2.0.0", "bbbbbbbbbbbbbbbb"));
        });
        assert_eq!(verdict, Verdict::Drivers);
        assert!(
            said.contains("pa-1 configures 2.0.0 (file aaaaaaaaaaaa), pa-2 has 2.0.0 (file bbbbbbbbbbbb)"),
            "{said}"
        );
    }

    #[test]
    fn a_driver_that_does_not_run_on_the_primary_itself_is_seen() {
        let mut first = told(1, Role::Primary);
        first.versions.drivers.clear();
        let comparison = judge(&[answered(first), answered(told(2, Role::Secondary))]);
        assert_eq!(comparison.verdict, Verdict::Drivers);
        let findings = &comparison.judged[0].as_ref().expect("judged").findings;
        assert!(findings[0].contains("pa-1 configures 2.0.0 (file aaaaaaaaaaaa), pa-1 has none"), "{findings:?}");
    }

    #[test]
    fn a_copy_that_lags_or_has_stopped_is_behind() {
        let (verdict, said) = pair(|second| second.position = 43);
        assert_eq!((verdict, said.as_str()), (Verdict::Behind, "pa-2 is 7 changes behind pa-1: In sync"));
        let (verdict, said) = pair(|second| second.sync = "warning".to_owned());
        assert_eq!((verdict, said.as_str()), (Verdict::Behind, "pa-2 is not in step: In sync"));
        let (verdict, said) = pair(|second| second.epoch = "e2".to_owned());
        assert_eq!(verdict, Verdict::Behind);
        assert!(said.contains("another generation"), "{said}");
    }

    #[test]
    fn protocols_two_steps_apart_two_primaries_and_strangers_are_the_worst() {
        let (verdict, said) = pair(|second| second.versions.protocol = 3);
        assert_eq!(verdict, Verdict::Apart);
        assert!(said.contains("neither can take over"), "{said}");
        let (verdict, said) = pair(|second| second.role = Role::Primary);
        assert_eq!(verdict, Verdict::Apart);
        assert!(said.contains("both pa-1 and pa-2"), "{said}");
        let (verdict, said) = pair(|second| (second.id, second.name) = (ServerId(9), "pa-9".to_owned()));
        assert_eq!(verdict, Verdict::Apart);
        assert!(said.contains("pa-1 does not know pa-9"), "{said}");
    }

    #[test]
    fn without_the_primary_or_with_a_silent_server_nothing_is_called_a_match() {
        let silent = Answered {
            address: "https://1".to_owned(),
            answer: Err(NotTold::NoAnswer("1:443: connect: connection refused".to_owned())),
        };
        let alone = judge(&[answered(told(2, Role::Secondary))]);
        assert_eq!((alone.verdict, alone.unasked.len()), (Verdict::NotAsked, 1));
        let both = judge(&[silent.clone(), answered(told(2, Role::Secondary))]);
        assert_eq!((both.verdict, both.unasked), (Verdict::NotAsked, Vec::new()), "it was asked, it did not answer");
        let first = judge(&[answered(told(1, Role::Primary)), silent]);
        assert_eq!(first.verdict, Verdict::NotAsked);
    }

    #[test]
    fn exit_statuses_differ_and_leave_3_to_the_command_line() {
        let all =
            [Verdict::Match, Verdict::Behind, Verdict::Drivers, Verdict::Differs, Verdict::NotAsked, Verdict::Apart];
        assert_eq!(all.map(Verdict::exit_status), [0, 5, 4, 1, 2, 6]);
        assert!(all.is_sorted(), "the worst wins");
    }
}
