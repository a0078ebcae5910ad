//! CAP alerts, from any feed, file or sender, become trigger events.
//!
//! Three rooms: [`wire`] turns bytes into messages, [`judge`] turns messages into verdicts and events, [`io`] brings the bytes
//! and carries the events to the server. The first two know neither a socket nor a clock.

pub mod driver;
pub mod io;
pub mod judge;
pub mod samples;
pub mod settings;
pub mod source;
mod state;
pub mod wire;

pub use judge::explain;

/// Reads many documents, one after the other; gives how many messages they held. For measuring.
pub fn parse_many<'a>(documents: impl IntoIterator<Item = &'a [u8]>) -> usize {
    documents
        .into_iter()
        .map(|bytes| wire::read(bytes, wire::Hint::default()).map_or(0, |document| document.messages.len()))
        .sum()
}

onealert_plugin_api::export_plugin!(driver::Cap, id: "org.onealert.cap", vendor: "OneAlert", name: "CAP alerts and weather feeds");
