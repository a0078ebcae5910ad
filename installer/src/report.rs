//! A comparison as text for people and as JSON for scripts.

use std::{collections::BTreeMap, fmt::Write};

use onealert_core::{
    config::Role,
    version::{Difference, DriverVersion},
};
use serde::Serialize;

use crate::{
    ask::{Other, Told},
    verdict::{Answered, Comparison, Verdict},
};

/// The JSON document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    verdict: Verdict,
    exit_status: u8,
    text: &'static str,
    /// The server that all are compared with.
    primary: Option<&'a str>,
    servers: Vec<Line<'a>>,
    /// What concerns no single server.
    findings: &'a [String],
    unasked: &'a [Other],
}

/// One server in it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    address: &'a str,
    verdict: Verdict,
    /// Why it did not say what it runs; everything below is then absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    told: Option<Facts<'a>>,
}

#[derive(Debug, Serialize)]
struct Facts<'a> {
    id: String,
    name: &'a str,
    role: Role,
    product: String,
    platform: &'a str,
    plugin_api: String,
    schema: u32,
    protocol: u32,
    drivers: BTreeMap<&'a str, &'a DriverVersion>,
    epoch: &'a str,
    position: u64,
    lag: Option<u64>,
    sync: &'a str,
    sync_text: &'a str,
    differences: &'a [Difference],
    findings: &'a [String],
}

/// The comparison for scripts.
pub fn document<'a>(all: &'a [Answered], comparison: &'a Comparison) -> Document<'a> {
    let servers = all.iter().zip(&comparison.judged).map(|(one, judged)| {
        let told = one.answer.as_ref().ok().map(|told| Facts {
            id: told.id.to_string(),
            name: &told.name,
            role: told.role,
            product: told.versions.product.to_string(),
            platform: &told.versions.platform,
            plugin_api: told.versions.plugin_api.to_string(),
            schema: told.versions.schema,
            protocol: told.versions.protocol,
            drivers: told.versions.drivers.iter().map(|(id, version)| (id.as_str(), version)).collect(),
            epoch: &told.epoch,
            position: told.position,
            lag: judged.as_ref().and_then(|judged| judged.lag),
            sync: &told.sync,
            sync_text: &told.sync_text,
            differences: judged.as_ref().map_or(&[], |judged| &judged.versions.differences),
            findings: judged.as_ref().map_or(&[], |judged| &judged.findings),
        });
        Line {
            address: &one.address,
            verdict: judged.as_ref().map_or(Verdict::NotAsked, |judged| judged.verdict),
            error: one.answer.as_ref().err().map(ToString::to_string),
            told,
        }
    });
    Document {
        verdict: comparison.verdict,
        exit_status: comparison.verdict.exit_status(),
        text: comparison.verdict.sentence(),
        primary: primary(all, comparison).map(|told| told.name.as_str()),
        servers: servers.collect(),
        findings: &comparison.findings,
        unasked: &comparison.unasked,
    }
}

fn primary<'a>(all: &'a [Answered], comparison: &Comparison) -> Option<&'a Told> {
    all.get(comparison.primary?)?.answer.as_ref().ok()
}

/// The comparison for people.
pub fn text(all: &[Answered], comparison: &Comparison) -> String {
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").expect("writing to a string");
    for (one, judged) in all.iter().zip(&comparison.judged) {
        let told = match &one.answer {
            Ok(told) => told,
            Err(error) => {
                line(format_args!("{}\n    NOT ASKED: {error}", one.address));
                continue;
            }
        };
        let versions = &told.versions;
        line(format_args!("{} ({}) at {}", told.name, role(told.role), one.address));
        line(format_args!(
            "    product {}, platform {}, contract {}, schema {}, protocol {}",
            versions.product, versions.platform, versions.plugin_api, versions.schema, versions.protocol
        ));
        for (id, driver) in &versions.drivers {
            line(format_args!("    driver {id} {} (file {})", driver.version, short(&driver.sha256)));
        }
        let lag = match (told.role, judged.as_ref().and_then(|judged| judged.lag)) {
            (Role::Primary, _) => String::new(),
            (Role::Secondary, Some(0)) => ", in step with the primary".to_owned(),
            (Role::Secondary, Some(lag)) => format!(", {lag} changes behind the primary"),
            (Role::Secondary, None) => ", not comparable with the primary's".to_owned(),
        };
        line(format_args!("    configuration at change {}{lag}", told.position));
        for finding in judged.iter().flat_map(|judged| &judged.findings) {
            line(format_args!("    DIFFERS: {finding}"));
        }
    }
    for finding in &comparison.findings {
        line(format_args!("{finding}"));
    }
    for other in &comparison.unasked {
        let place = if other.web.is_empty() { "without pages" } else { &other.web };
        line(format_args!("not asked: {} ({}), {place}", other.name, role(other.role)));
    }
    line(format_args!("{}", comparison.verdict.sentence()));
    out
}

/// A role for people.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Secondary => "secondary",
    }
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
