//! Judges a library's bytes without running any of them: steps 1 to 5 and 9 of the plugin sheet's section 8.

use object::{
    Object, ObjectSection,
    elf::{self, FileHeader64},
    read::elf::{ElfFile64, FileHeader},
};
use onealert_plugin_api::{
    manifest::{API, FORMAT, Manifest, SECTION},
    version,
};

/// What the bytes are, without having run them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What the library says of itself.
    pub manifest: Manifest,
    /// The compiler that made it, if it says so.
    pub compiler: Option<String>,
}

/// Why bytes cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It may still be growing.
    #[error("incomplete, {0} bytes so far; waiting")]
    Incomplete(usize),
    /// Not an ELF shared object.
    #[error("not a shared library")]
    NotALibrary,
    /// For another processor.
    #[error("built for {found}, this server is {}", std::env::consts::ARCH)]
    Target {
        /// The processor it was built for.
        found: String,
    },
    /// Needs a newer C library.
    #[error("needs glibc {}.{}, this system has {}.{}; build it on an older system", needs.0, needs.1, has.0, has.1)]
    Glibc {
        /// What it needs.
        needs: (u32, u32),
        /// What there is.
        has: (u32, u32),
    },
    /// No manifest section.
    #[error("no plugin manifest; build it with plugin-api")]
    NoManifest,
    /// The section does not hold a manifest.
    #[error("the plugin manifest cannot be read: {0}")]
    BadManifest(String),
    /// A manifest of another form.
    #[error("manifest format {0}, this server reads {FORMAT}")]
    Format(u64),
    /// The plugin API does not fit.
    #[error("{id} {version} {misfit}")]
    Api {
        /// The driver's id.
        id: String,
        /// The driver's version.
        version: String,
        /// What does not fit.
        misfit: version::Misfit,
    },
    /// A compiler that makes wrong code.
    #[error("built with rustc {0}, which can emit empty vtable entries; rebuild with 1.98.1 or later")]
    Compiler(String),
}

/// Compilers whose libraries are not loaded.
const DENIED: &[&str] = &["1.98.0"];

/// Judges a library.
///
/// # Errors
/// The first reason why it cannot be used.
pub fn inspect(bytes: &[u8]) -> Result<Inspected, Refusal> {
    if !bytes.starts_with(&elf::ELFMAG) {
        // A copy that has not got beyond its first bytes is not judged yet.
        return Err(if elf::ELFMAG.starts_with(bytes) {
            Refusal::Incomplete(bytes.len())
        } else {
            Refusal::NotALibrary
        });
    }
    let header = FileHeader64::<object::Endianness>::parse(bytes).map_err(|_| incomplete_or_other(bytes))?;
    let endian = header.endian().map_err(|_| Refusal::NotALibrary)?;
    let machine = header.e_machine(endian);
    let expected = match std::env::consts::ARCH {
        "x86_64" => elf::EM_X86_64,
        "aarch64" => elf::EM_AARCH64,
        _ => machine,
    };
    if machine != expected {
        return Err(Refusal::Target { found: processor(machine) });
    }
    if header.e_type(endian) != elf::ET_DYN {
        return Err(Refusal::NotALibrary);
    }
    // The section table lies at the end: a file that is cut anywhere fails here.
    let file = ElfFile64::<object::Endianness>::parse(bytes).map_err(|_| Refusal::Incomplete(bytes.len()))?;
    let whole = file.sections().all(|section| section.data().is_ok());
    if file.sections().next().is_none() || !whole {
        return Err(Refusal::Incomplete(bytes.len()));
    }
    let needs = newest_glibc(bytes);
    if let (Some(needs), Some(has)) = (needs, system_glibc())
        && needs > has
    {
        return Err(Refusal::Glibc { needs, has });
    }
    let manifest = manifest(&file)?;
    version::fits(&manifest.api, &API).map_err(|misfit| Refusal::Api {
        id: manifest.id.clone(),
        version: manifest.version.to_string(),
        misfit,
    })?;
    let compiler = compiler(&file);
    if let Some(denied) = compiler.as_ref().filter(|version| DENIED.contains(&version.as_str())) {
        return Err(Refusal::Compiler(denied.clone()));
    }
    Ok(Inspected { manifest, compiler })
}

fn incomplete_or_other(bytes: &[u8]) -> Refusal {
    match bytes.get(4) {
        None => Refusal::Incomplete(bytes.len()),
        Some(1) => Refusal::Target { found: "a 32-bit system".to_owned() },
        Some(_) if bytes.len() < 64 => Refusal::Incomplete(bytes.len()),
        Some(_) => Refusal::NotALibrary,
    }
}

fn processor(machine: elf::Machine) -> String {
    match machine {
        elf::EM_X86_64 => "x86_64".to_owned(),
        elf::EM_AARCH64 => "aarch64".to_owned(),
        elf::EM_ARM => "arm".to_owned(),
        elf::EM_RISCV => "riscv".to_owned(),
        other => format!("processor {}", other.0),
    }
}

fn manifest(file: &ElfFile64<'_, object::Endianness>) -> Result<Manifest, Refusal> {
    let section = file.section_by_name(SECTION).ok_or(Refusal::NoManifest)?;
    let bytes = section.data().map_err(|error| Refusal::BadManifest(error.to_string()))?;
    let bad = |error: serde_json::Error| Refusal::BadManifest(error.to_string());
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(bad)?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => serde_json::from_value(value).map_err(bad),
        Some(format) => Err(Refusal::Format(format)),
        None => Err(Refusal::BadManifest("it has no format number".to_owned())),
    }
}

fn compiler(file: &ElfFile64<'_, object::Endianness>) -> Option<String> {
    let comment = file.section_by_name(".comment")?;
    let text = String::from_utf8_lossy(comment.data().ok()?).into_owned();
    let after = text.split("rustc version ").nth(1)?;
    after.split_whitespace().next().map(str::to_owned)
}

/// The newest `GLIBC_x.y` that a library names.
fn newest_glibc(bytes: &[u8]) -> Option<(u32, u32)> {
    let file = ElfFile64::<object::Endianness>::parse(bytes).ok()?;
    let names = file.section_by_name(".dynstr")?;
    let text = names.data().ok()?;
    let versions = text.split(|byte| *byte == 0).filter_map(|name| {
        let name = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
        let mut parts = name.split('.').map(str::parse::<u32>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    });
    versions.max()
}

/// The newest version that this process's own C library offers.
fn system_glibc() -> Option<(u32, u32)> {
    static VERSION: std::sync::OnceLock<Option<(u32, u32)>> = std::sync::OnceLock::new();
    *VERSION.get_or_init(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let path =
            maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.ends_with("/libc.so.6"))?;
        newest_glibc(&std::fs::read(path).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_told_apart_from_what_is_not_complete() {
        assert_eq!(inspect(b"MZ not ours"), Err(Refusal::NotALibrary));
        assert_eq!(inspect(b""), Err(Refusal::Incomplete(0)));
        assert_eq!(inspect(b"\x7fEL"), Err(Refusal::Incomplete(3)));
        let own = std::fs::read("/proc/self/exe").expect("this program's own file");
        assert_eq!(inspect(&own), Err(Refusal::NoManifest), "a library that nobody made with plugin-api");
        assert_eq!(inspect(&own[..own.len() / 2]), Err(Refusal::Incomplete(own.len() / 2)));
        let mut other = own.clone();
        other[18] = 183;
        assert_eq!(
            inspect(&other).expect_err("for another processor").to_string(),
            "built for aarch64, this server is x86_64"
        );
    }

    #[test]
    fn this_system_knows_its_own_c_library() {
        assert!(system_glibc().is_some_and(|version| version >= (2, 17)));
    }
}
