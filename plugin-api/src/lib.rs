//! The contract between OneAlert and its drivers: everything that a vendor needs to write one, and nothing else.
//!
//! A driver is a type that implements [`Driver`](driver::Driver), exported with [`export_plugin!`]. `README.md` beside this
//! crate shows one in twenty minutes; `DESIGN.md` says why it is made this way and what may change when.
//!
//! Reading order: [`driver`] what you write, [`host`] what you are given, [`document`] what crosses, [`fake_host`] how you
//! test it, [`export_plugin!`] how it becomes a library. [`manifest`], [`capability`], [`schema`] and [`version`] are the
//! rules by which the server judges it; [`abi`] and the author side behind it are machinery that you never name.
#![deny(missing_docs)]

pub mod abi;
mod author;
pub mod capability;
pub mod document;
pub mod driver;
mod export;
pub mod fake_host;
pub mod host;
pub mod manifest;
pub mod schema;
pub mod version;

/// What [`export_plugin!`] needs from inside a vendor's crate. Not part of the contract.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        abi::{CheckTypeLayout, Exported, LibHeader, PluginModV1_Ref, construct},
        export::{array, assert_plain},
    };
}

/// The examples of the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
