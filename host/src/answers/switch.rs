//! Changing the version of a driver that is in use: judged with the stored settings before anything changes, and never to an
//! earlier version unless that was meant.

use onealert_core::{
    config::{Change, Config, Driver, Table},
    ids::DriverId,
};
use onealert_drivers::Found;
use onealert_plugin_api::document::Description;
use onealert_store::change::Expected;
use onealert_web::needs::{Actor, DriverSwitch, FieldProblem, Problem};

use super::{Answers, configure, drivers, secrets, trust};
use crate::{hub::Hub, seal::Row};

/// The versions in the driver folder that could be used in place of the one in use, the newest first.
pub(super) fn others(found: &[Found], config: &Config, id: &DriverId) -> Vec<String> {
    let in_use = config.drivers.get(id).map(|row| row.sha256.as_str());
    let mut others: Vec<_> = drivers::usable(found, id).filter(|(sha256, _)| Some(sha256.as_str()) != in_use).collect();
    others.sort_by(|a, b| b.1.manifest.version.cmp(&a.1.manifest.version));
    others.into_iter().map(|(_, described)| described.manifest.version.to_string()).collect()
}

/// Takes another version. Its file goes to every server, each of which starts it beside the old one and changes over when it
/// runs.
pub(super) async fn switch(answers: &Answers, by: Actor, id: DriverId, wanted: DriverSwitch) -> Result<(), Problem> {
    answers.must_configure()?;
    let hub = &answers.0;
    let config = hub.config();
    let row = config.drivers.get(&id).ok_or_else(|| Problem::not_found("driver", &id))?;
    let (sha256, described) = choose(&hub.drivers.found(), row, &wanted)?;
    if sha256 == row.sha256 {
        return Ok(());
    }
    let mut settings = row.settings.clone();
    secrets::seal(hub, secrets::of_driver(&id), &described.settings_schema, &mut settings)?;
    drivers::judge(hub, &id, &sha256, &described, &settings).await?;
    let (from, to) = (&row.version, described.manifest.version.clone());
    let what = format!("changed driver {id} from version {from} to {to}");
    let mut expected = vec![configure::as_it_is(Table::Drivers, id.as_str(), row)];
    let (mut changes, seen) = sealed_anew(hub, &config, &id, &described)?;
    expected.extend(seen);
    changes.extend(trust::signature(&hub.drivers.found(), &config, &sha256));
    let row = Driver { name: described.manifest.name, version: to, sha256, settings, ..row.clone() };
    changes.push(Change::put(Table::Drivers, id.as_str(), &row));
    configure::write(answers, by, what, changes, expected).await
}

/// Endpoints and triggers of the driver in which this version calls something secret that is stored readable: the changes
/// that seal it, and what they expect to find.
fn sealed_anew(
    hub: &Hub,
    config: &Config,
    id: &DriverId,
    described: &Description,
) -> Result<(Vec<Change>, Vec<Expected>), Problem> {
    let (mut changes, mut expected) = (Vec::new(), Vec::new());
    for row in config.endpoints.values().filter(|row| row.driver == *id) {
        let (mut sealed, place) = (row.clone(), Row { table: Table::Endpoints, key: row.id.as_str() });
        secrets::seal(hub, place, &described.endpoint_schema, &mut sealed.address)?;
        if sealed != *row {
            expected.push(configure::as_it_is(Table::Endpoints, row.id.as_str(), row));
            changes.push(Change::put(Table::Endpoints, row.id.as_str(), &sealed));
        }
    }
    for row in config.triggers.values().filter(|row| row.driver.as_ref() == Some(id)) {
        let (mut sealed, place) = (row.clone(), Row { table: Table::Triggers, key: row.id.as_str() });
        secrets::seal(hub, place, &described.trigger_schema, &mut sealed.settings)?;
        if sealed != *row {
            expected.push(configure::as_it_is(Table::Triggers, row.id.as_str(), row));
            changes.push(Change::put(Table::Triggers, row.id.as_str(), &sealed));
        }
    }
    Ok((changes, expected))
}

/// The one file that is meant, if it may be used.
fn choose(found: &[Found], row: &Driver, wanted: &DriverSwitch) -> Result<(String, Description), Problem> {
    let (id, version) = (&row.id, &wanted.version);
    let wrong = |field: &str, text: String| Problem::invalid(vec![FieldProblem::new(field, text)]);
    let mut fits: Vec<_> =
        drivers::usable(found, id).filter(|(_, it)| it.manifest.version.to_string() == *version).collect();
    fits.sort_by(|a, b| a.0.cmp(&b.0));
    fits.dedup_by(|a, b| a.0 == b.0);
    let (sha256, described) = match fits.len() {
        1 => fits.remove(0),
        0 => {
            return Err(wrong(
                "/version",
                format!("is not in the driver folder; put the file of {id} {version} there first"),
            ));
        }
        _ => {
            let text =
                format!("stands for {} different files in the driver folder; remove all but the right one", fits.len());
            return Err(wrong("/version", text));
        }
    };
    let to = &described.manifest.version;
    if *to == row.version && sha256 != row.sha256 {
        let text = format!("is in use with other contents; a changed driver must bear another version than {to}");
        return Err(wrong("/version", text));
    }
    if *to < row.version && !wanted.confirm_downgrade {
        let text = format!("{to} is older than {} in use; confirm the downgrade", row.version);
        return Err(wrong("/confirm_downgrade", text));
    }
    Ok((sha256, described))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use onealert_drivers::Verdict;
    use onealert_plugin_api::manifest::Manifest;
    use serde_json::Value;

    use super::*;

    fn file(version: &str, sha256: &str) -> Found {
        let manifest: Manifest = serde_json::from_value(serde_json::json!({
            "format": 1, "id": "com.algo", "name": "Algo", "vendor": "Algo", "version": version, "api": "1.0.0"
        }))
        .expect("a manifest");
        let described: Description = serde_json::from_value(serde_json::json!({
            "manifest": manifest, "capabilities": [], "settings_schema": {}, "endpoint_schema": null, "trigger_schema": null
        }))
        .expect("a description");
        let verdict = Verdict::Ready(Box::new(described));
        Found {
            file: PathBuf::from("a.so"),
            sha256: Some(sha256.to_owned()),
            manifest: Some(manifest),
            signature: None,
            standing: None,
            verdict,
        }
    }

    fn in_use(version: &str, sha256: &str) -> Driver {
        Driver {
            id: DriverId::from("com.algo"),
            name: "Algo".to_owned(),
            version: version.parse().expect("a version"),
            sha256: sha256.to_owned(),
            enabled: true,
            settings: Value::Null,
        }
    }

    fn to(version: &str, confirm_downgrade: bool) -> DriverSwitch {
        DriverSwitch { version: version.to_owned(), confirm_downgrade }
    }

    #[test]
    fn an_older_version_is_taken_only_when_that_was_meant() {
        let (files, row) = ([file("2.0.3", "aa"), file("2.1.0", "bb")], in_use("2.1.0", "bb"));
        let problem = choose(&files, &row, &to("2.0.3", false)).expect_err("older");
        assert_eq!(problem.fields[0].path, "/confirm_downgrade");
        assert_eq!(problem.fields[0].message, "2.0.3 is older than 2.1.0 in use; confirm the downgrade");
        assert_eq!(choose(&files, &row, &to("2.0.3", true)).expect("meant").0, "aa");
    }

    #[test]
    fn a_newer_version_needs_no_word_and_a_missing_or_doubled_one_is_refused() {
        let (files, row) = ([file("2.0.3", "aa"), file("2.1.0", "bb"), file("2.1.0", "bb")], in_use("2.0.3", "aa"));
        assert_eq!(choose(&files, &row, &to("2.1.0", false)).expect("the same file twice is one").0, "bb");
        let problem = choose(&files, &row, &to("3.0.0", false)).expect_err("not there");
        assert!(problem.fields[0].message.contains("not in the driver folder"), "{problem:?}");
        let files = [file("2.1.0", "bb"), file("2.1.0", "cc")];
        let problem = choose(&files, &row, &to("2.1.0", false)).expect_err("two files of one name");
        assert!(problem.fields[0].message.contains("2 different files"), "{problem:?}");
    }

    #[test]
    fn other_bytes_under_the_version_in_use_are_refused() {
        let problem =
            choose(&[file("2.0.3", "bb")], &in_use("2.0.3", "aa"), &to("2.0.3", true)).expect_err("ambiguous");
        assert!(problem.fields[0].message.contains("in use with other contents"), "{problem:?}");
    }
}
