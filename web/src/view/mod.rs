//! What pages and API show: plain values, filled in by the host.

mod calendars;
mod drivers;
mod own;
mod redundancy;
mod rows;
mod sent;
mod servers;
mod status;
mod trust;
mod versions;
mod who;

pub use calendars::*;
pub use drivers::*;
pub use own::*;
pub use redundancy::*;
pub use rows::*;
pub use sent::*;
pub use servers::*;
pub use status::*;
pub use trust::*;
pub use versions::*;
pub use who::*;
