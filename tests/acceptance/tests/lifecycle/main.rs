//! The life of servers and of the publisher, on real processes: deprovision and rejoin, promotion, fencing, restore,
//! rebuilding a copy, repair, licence. Nobody edits a file; every step is a command, a page's API or a kill.

mod copies;
mod departure;
mod farewell;
mod impatient;
mod publisher;
mod rivals;
mod set_back;
#[allow(dead_code, reason = "these stories use a part of the site")]
#[path = "../takeover/site.rs"]
mod site;
mod world;
