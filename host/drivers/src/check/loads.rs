//! Level 1: the library loads and says what it is.

use std::time::Duration;

use object::{
    Object, ObjectSymbol,
    elf::FileHeader64,
    read::elf::{Dyn, ElfFile64, FileHeader},
};
use onealert_plugin_api::capability;

use super::{Check, Finding, Kit, LOAD, check};
use crate::{Timings, find, inspect};

/// The one symbol that the worker looks for.
const SYMBOL: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";

/// Larger than any driver with its libraries and debug information needs to be.
const LARGEST: usize = 256 << 20;

pub(super) async fn checks(kit: &mut Kit, checks: &mut Vec<Check>) {
    let bytes = tokio::fs::read(&kit.library).await;
    let bytes = bytes.map_err(|error| format!("cannot be read: {error}"));
    let short = Duration::from_secs(10);
    check(checks, "manifest", "It is a complete library for this system with a manifest that fits.", short, async {
        let inspected = inspect::inspect(bytes.as_ref()?).map_err(|refusal| refusal.to_string())?;
        let (manifest, compiler) = (inspected.manifest, inspected.compiler.unwrap_or_else(|| "unknown".to_owned()));
        Ok(Finding::Pass(format!(
            "{} {}, plugin API {}, rustc {compiler}",
            manifest.id, manifest.version, manifest.api
        )))
    })
    .await;
    if !matches!(checks.last(), Some(Check { finding: Finding::Pass(_), .. })) {
        return;
    }
    check(checks, "exports", "It exports the symbol that the worker looks for, and no other.", short, async {
        exports(bytes.as_ref()?)
    })
    .await;
    check(checks, "size", "It is no larger than 256 MiB.", short, async {
        let size = bytes.as_ref()?.len();
        let text = format!("{:.1} MiB, needs {}", size as f64 / f64::from(1 << 20), needed(bytes.as_ref()?));
        if size > LARGEST { Err(text) } else { Ok(Finding::Pass(text)) }
    })
    .await;
    let mut described = None;
    check(
        checks,
        "describe",
        "It loads, and describes itself as its manifest does, in schemas that make forms.",
        LOAD * 3,
        async {
            described = Some(find::describe(&kit.worker, &kit.library, &Timings::default()).await?);
            Ok(Finding::Pass(String::new()))
        },
    )
    .await;
    kit.description = described;
    let Some(description) = &kit.description else { return };
    check(
        checks,
        "capabilities",
        "It claims capabilities that exist, and has the schemas that they need.",
        short,
        async {
            let words = &description.capabilities;
            if let Some(unknown) = words.iter().find(|word| !capability::ALL.contains(&word.as_str())) {
                return Err(format!("capability {unknown} is not known; known are {}", capability::ALL.join(", ")));
            }
            let has = |word: &str| words.iter().any(|it| it == word);
            if has(capability::DELIVER) && description.endpoint_schema.is_null() {
                return Err("it delivers, but has no endpoint schema".to_owned());
            }
            if has(capability::WATCH) && description.trigger_schema.is_null() {
                return Err("it watches, but has no trigger schema".to_owned());
            }
            Ok(Finding::Pass(words.join(", ")))
        },
    )
    .await;
}

fn exports(bytes: &[u8]) -> Result<Finding, String> {
    let file = ElfFile64::<object::Endianness>::parse(bytes).map_err(|error| error.to_string())?;
    let defined = file.dynamic_symbols().filter(|symbol| symbol.is_definition() && symbol.is_global());
    let names: Vec<String> = defined
        .filter_map(|symbol| symbol.name_bytes().ok().map(|name| String::from_utf8_lossy(name).into_owned()))
        .collect();
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.as_bytes() != SYMBOL).collect();
    if others.len() == names.len() {
        return Err("it exports no driver; end the crate with export_plugin!".to_owned());
    }
    match others.as_slice() {
        [] => Ok(Finding::Pass(String::new())),
        [first, ..] => Err(format!("it also exports {first} ({} such); hide them", others.len())),
    }
}

/// The libraries that must be installed for it.
fn needed(bytes: &[u8]) -> String {
    let names = || -> object::Result<Vec<String>> {
        let header = FileHeader64::<object::Endianness>::parse(bytes)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, bytes)?;
        let Some((entries, link)) = sections.dynamic(endian, bytes)? else { return Ok(Vec::new()) };
        let strings = sections.strings(endian, bytes, link)?;
        let wanted = entries.iter().filter(|entry| entry.tag(endian) == object::elf::DT_NEEDED);
        Ok(wanted
            .filter_map(|entry| entry.string(endian, strings).ok())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    };
    names().map_or_else(|error| error.to_string(), |names| names.join(" "))
}
