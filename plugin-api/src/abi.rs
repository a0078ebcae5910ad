//! The binary interface between a driver's library and the worker that loads it: frozen for API major 1.
//!
//! Never add a field or a method here: abi_stable refuses every driver that is older than the host as soon as one of these
//! types grows. New abilities are new [documents](crate::document) and new [capability words](crate::capability).
// abi_stable's macros write unsafe impls, and names and paths that the lints do not like; nothing in this file does by hand.
#![allow(unsafe_code, unused_qualifications, non_camel_case_types, non_local_definitions, clippy::mem_forget)]

use abi_stable::{
    StableAbi,
    library::{RootModule, RootModuleResult},
    package_version_strings,
    prefix_type::PrefixTypeTrait,
    sabi_trait,
    sabi_trait::TD_Opaque,
    sabi_types::VersionStrings,
    std_types::{RArc, RBox, RResult, RVec},
};

/// What the exported static of a driver is made of; for [`export_plugin!`](crate::export_plugin) only.
pub use abi_stable::library::{CheckTypeLayout, LibHeader};

/// What the worker gives to a driver.
#[sabi_trait]
pub trait Host: Send + Sync {
    /// [any thread] Takes a reply, a request, an event or a log line: one [`ToHost`](crate::document::ToHost) as JSON.
    #[sabi(last_prefix_field)]
    fn emit(&self, document: RVec<u8>);
}

/// An opened driver.
#[sabi_trait]
pub trait Plugin: Send + Sync {
    /// [worker's dispatch thread] Takes one [`ToDriver`](crate::document::ToDriver) as JSON. Must return at once; the
    /// answer comes by [`Host::emit`].
    #[sabi(last_prefix_field)]
    fn handle(&self, document: RVec<u8>);
}

/// The worker's side, shared with the driver.
pub type HostArc = Host_TO<'static, RArc<()>>;

/// The driver's side, owned by the worker.
pub type PluginBox = Plugin_TO<'static, RBox<()>>;

/// The functions that a driver's library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModV1_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginModV1 {
    /// [worker's main thread, once] Gives a [`Description`](crate::document::Description) as JSON.
    pub describe: extern "C" fn() -> RVec<u8>,
    /// [worker's main thread] Takes an [`Open`](crate::document::Open) as JSON and gives the opened driver, or a
    /// [`Failure`](crate::document::Failure) as JSON.
    #[sabi(last_prefix_field)]
    pub open: extern "C" fn(HostArc, RVec<u8>) -> RResult<PluginBox, RVec<u8>>,
}

impl RootModule for PluginModV1_Ref {
    abi_stable::declare_root_module_statics! {PluginModV1_Ref}
    const BASE_NAME: &'static str = "onealert_plugin";
    const NAME: &'static str = "onealert_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

struct Emitting<F>(F);

impl<F: Fn(&[u8]) + Send + Sync> Host for Emitting<F> {
    fn emit(&self, document: RVec<u8>) {
        (self.0)(&document);
    }
}

/// The worker's side, made of a function that takes each document. For the worker only.
pub fn host(emit: impl Fn(&[u8]) + Send + Sync + 'static) -> HostArc {
    Host_TO::from_ptr(RArc::new(Emitting(emit)), TD_Opaque)
}

/// Hands a document to a driver. For the worker only.
pub fn handle(plugin: &PluginBox, document: Vec<u8>) {
    plugin.handle(RVec::from(document));
}

struct Taking(Box<dyn crate::author::Take>);

impl Plugin for Taking {
    fn handle(&self, document: RVec<u8>) {
        self.0.take(&document);
    }
}

/// A driver with its manifest, as [`export_plugin!`](crate::export_plugin) puts it together.
pub trait Exported: 'static {
    /// The driver's own type.
    type Driver: crate::driver::Driver;
    /// The manifest as it stands in the library's section.
    const MANIFEST: &'static str;
}

extern "C" fn describe<X: Exported>() -> RVec<u8> {
    RVec::from(crate::author::describe::<X::Driver>(X::MANIFEST))
}

extern "C" fn open<X: Exported>(host: HostArc, document: RVec<u8>) -> RResult<PluginBox, RVec<u8>> {
    let emit: crate::author::Emit = std::sync::Arc::new(move |document| host.emit(RVec::from(document)));
    match crate::author::open::<X::Driver>(emit, &document) {
        Ok(taker) => RResult::ROk(Plugin_TO::from_value(Taking(taker), TD_Opaque)),
        Err(failure) => RResult::RErr(RVec::from(failure)),
    }
}

fn module<X: Exported>() -> PluginModV1_Ref {
    PluginModV1 { describe: describe::<X>, open: open::<X> }.leak_into_prefix()
}

/// The constructor behind the exported static; for [`export_plugin!`](crate::export_plugin) only.
pub extern "C" fn construct<X: Exported>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(module::<X>)
}
