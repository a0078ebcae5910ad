//! Opens a driver's library inside a worker: the one place of the host that runs foreign code.
#![allow(unsafe_code)] // dlopen runs the library's constructors; a worker process of its own is the wall around that

use std::path::Path;

use abi_stable::{library::lib_header_from_path, std_types::RVec};
use onealert_plugin_api::abi::{HostArc, PluginBox, PluginModV1_Ref};

/// A loaded library.
pub(crate) struct Loaded {
    module: PluginModV1_Ref,
}

impl Loaded {
    /// Loads the library. The text completes `plugin <file>: ` of a message.
    pub fn load(path: &Path) -> Result<Loaded, String> {
        // Loaded here first for the loader's own words, and never unloaded: vendor threads may run in it.
        // SAFETY: constructors of the library run here. Nothing about them can be known; that is why this process exists.
        let library = unsafe { libloading::Library::new(path) };
        let library = library.map_err(|error| loader_words(&error.to_string()))?;
        Box::leak(Box::new(library));
        let header = lib_header_from_path(path).map_err(|error| abi_words(&error.to_string()))?;
        let module = header.init_root_module::<PluginModV1_Ref>().map_err(|error| abi_words(&error.to_string()))?;
        Ok(Loaded { module })
    }

    /// The driver's description as JSON.
    pub fn describe(&self) -> Vec<u8> {
        (self.module.describe())().into_vec()
    }

    /// Opens the driver; the error is a failure as JSON.
    pub fn open(&self, host: HostArc, document: Vec<u8>) -> Result<PluginBox, Vec<u8>> {
        (self.module.open())(host, RVec::from(document)).into_result().map_err(RVec::into_vec)
    }
}

/// The loader's message in words that name what is missing.
fn loader_words(text: &str) -> String {
    match text.split_once(": cannot open shared object file") {
        Some((name, _)) => {
            let name = name.rsplit(['/', ' ']).next().unwrap_or(name);
            format!("needs {name}, not installed")
        }
        None => format!("did not load: {text}"),
    }
}

/// The part of an abi_stable message that a person can use: what stands after the first `Error:`. The rest is logged.
fn abi_words(text: &str) -> String {
    tracing::debug!(report = text, "the interface does not fit");
    let first = text.split("Error:").nth(1).unwrap_or(text);
    let line = first.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    format!("interface differs: {line} (full report in the log)")
}
