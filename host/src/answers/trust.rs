//! Changes of who is trusted with driver files, and what is said of it.

use onealert_core::{
    config::{Change, Config, Driver},
    ids::DriverId,
    time::Wall,
};
use onealert_drivers::{
    Found, Verdict,
    trust::{Standing, TrustedKey},
};
use onealert_web::needs::{Actor, DriverKey, DriverPin, FieldProblem, NewDriverKey, Problem, TrustChange};

use super::{Answers, configure};
use crate::{hub::Hub, trust};

pub(super) fn keys(config: &Config) -> Vec<DriverKey> {
    let shown = |(id, row): (String, trust::Key)| DriverKey {
        id,
        name: row.name,
        prefixes: row.prefixes,
        by: row.by,
        at: row.at,
    };
    trust::keys(config).map(shown).collect()
}

pub(super) fn pins(config: &Config) -> Vec<DriverPin> {
    let shown = |(sha256, row): (String, trust::Pin)| DriverPin {
        sha256,
        driver: row.driver,
        version: row.version,
        by: row.by,
        at: row.at,
    };
    trust::pins(config).map(shown).collect()
}

/// Who vouches for a file, in words.
pub(super) fn words(config: &Config, sha256: &str, standing: &Standing) -> String {
    match standing {
        Standing::Signed(key) => {
            let name = trust::keys(config).find(|(id, _)| *id == key.to_string()).map(|(_, row)| row.name);
            format!("Signed by key {key} ({})", name.unwrap_or_default())
        }
        Standing::Pinned => {
            let who = trust::pins(config).find(|(pinned, _)| pinned == sha256).map(|(_, row)| (row.by, row.at));
            let who = who.map(|(by, at)| format!("; this very file was pinned by {by} on {}", day(at)));
            format!("Not signed by a trusted key{}", who.unwrap_or_default())
        }
    }
}

fn day(at: Wall) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// Who vouches for the file that a driver uses or would use.
pub(super) fn of_driver(hub: &Hub, config: &Config, id: &DriverId, sha256: Option<&str>) -> String {
    let Some(sha256) = sha256 else { return String::new() };
    match hub.drivers.standing(id.as_str(), sha256) {
        Ok(standing) => words(config, sha256, &standing),
        Err(why) => format!("Not trusted on this server: {why}"),
    }
}

/// The signature of a file that is about to be used, to travel with the configuration.
pub(super) fn signature(found: &[Found], config: &Config, sha256: &str) -> Option<Change> {
    let signed =
        |file: &&Found| file.sha256.as_deref() == Some(sha256) && matches!(file.standing, Some(Standing::Signed(_)));
    let text = found.iter().find(signed)?.signature.as_ref()?;
    let known = trust::of(config).signatures.get(sha256) == Some(text);
    (!known).then(|| trust::put_signature(sha256, text))
}

pub(super) async fn change(answers: &Answers, by: Actor, change: TrustChange) -> Result<String, Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let (id, what, change) = match change {
        TrustChange::AddKey(key) => add_key(&by, key)?,
        TrustChange::Pin(file) => pin(&answers.0, &by, &file.sha256)?,
        TrustChange::RemoveKey(id) => {
            trust::keys(&config).find(|(known, _)| *known == id).ok_or_else(|| Problem::not_found("key", &id))?;
            let rests = |standing: Standing, row: &Driver| {
                matches!(standing, Standing::Signed(key) if key.to_string() == id) && !is_pinned(&config, &row.sha256)
            };
            must_be_free(&answers.0, &config, rests, "disable it, or pin its file first")?;
            (id.clone(), format!("trusted the key {id} with drivers no longer"), trust::delete_key(&id))
        }
        TrustChange::Unpin(sha256) => {
            let pin = trust::pins(&config).find(|(known, _)| *known == sha256);
            let (_, row) = pin.ok_or_else(|| Problem::not_found("pinned file", &sha256))?;
            let rests = |standing: Standing, driver: &Driver| driver.sha256 == sha256 && standing == Standing::Pinned;
            must_be_free(&answers.0, &config, rests, "disable it first")?;
            let what = format!("took the pin of driver {} {} back", row.driver, row.version);
            (sha256.clone(), what, trust::delete_pin(&sha256))
        }
    };
    configure::write(answers, by, what, vec![change], Vec::new()).await?;
    Ok(id)
}

fn is_pinned(config: &Config, sha256: &str) -> bool {
    trust::pins(config).any(|(pinned, _)| pinned == sha256)
}

/// Trust on which an enabled driver rests is not taken away by the way: its endpoints would fall silent.
fn must_be_free(
    hub: &Hub,
    config: &Config,
    rests: impl Fn(Standing, &Driver) -> bool,
    advice: &str,
) -> Result<(), Problem> {
    let enabled = config.drivers.values().filter(|row| row.enabled);
    let rests = |row: &&Driver| hub.drivers.standing(row.id.as_str(), &row.sha256).is_ok_and(|it| rests(it, row));
    match enabled.clone().find(rests) {
        None => Ok(()),
        Some(row) => {
            Err(Problem::new(409, "In use", format!("The driver {} is enabled and rests on it: {advice}.", row.name)))
        }
    }
}

fn add_key(by: &Actor, new: NewDriverKey) -> Result<(String, String, Change), Problem> {
    let mut wrong = Vec::new();
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 100 {
        wrong.push(FieldProblem::new("/name", "must have from 1 to 100 characters"));
    }
    // People write `com.algo.*`; what counts is the beginning with its dot.
    let prefixes: Vec<String> =
        new.prefixes.iter().map(|it| it.trim().trim_end_matches('*').to_owned()).filter(|it| !it.is_empty()).collect();
    let fits = |it: &String| {
        it.trim_end_matches('.').split('.').count() >= 2
            && it.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if prefixes.is_empty() || !prefixes.iter().all(fits) {
        let text = "must name drivers by their ids, with two parts at least, such as com.algo.* or com.algo.ip";
        wrong.push(FieldProblem::new("/prefixes", text));
    }
    let key = TrustedKey::new(&new.key, prefixes.clone());
    let key = key.map_err(|error| wrong.push(FieldProblem::new("/key", error.to_string())));
    let (Ok(key), true) = (key, wrong.is_empty()) else { return Err(Problem::invalid(wrong)) };
    let (id, at) = (key.id.to_string(), crate::clock::wall());
    let what = format!("trusted the key {id} of {name:?} with drivers {}", prefixes.join(", "));
    let row = trust::Key { key: new.key.trim().to_owned(), name, prefixes, by: by.user.to_string(), at };
    Ok((id.clone(), what, trust::put_key(&id, &row)))
}

fn pin(hub: &Hub, by: &Actor, sha256: &str) -> Result<(String, String, Change), Problem> {
    let found = hub.drivers.found();
    let usable = |file: &&Found| matches!(file.verdict, Verdict::Unsigned(_) | Verdict::Ready(_));
    let file = found.iter().filter(usable).find(|file| file.sha256.as_deref() == Some(sha256));
    let manifest = file.and_then(|file| file.manifest.as_ref()).ok_or_else(|| {
        let text =
            "is the checksum of no file in the driver folder that could run; the Drivers page says what is there";
        Problem::invalid(vec![FieldProblem::new("/sha256", text)])
    })?;
    let row = trust::Pin {
        driver: DriverId::from(manifest.id.as_str()),
        version: manifest.version.to_string(),
        by: by.user.to_string(),
        at: crate::clock::wall(),
    };
    let what =
        format!("pinned driver {} {}, which no trusted key signed, by its checksum {sha256}", row.driver, row.version);
    Ok((sha256.to_owned(), what, trust::put_pin(sha256, &row)))
}
