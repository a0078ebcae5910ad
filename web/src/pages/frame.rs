//! What stands around every page: product, this server, the worst state, navigation, banner.

use onealert_core::config::Role;

use super::status::is_stale;
use crate::{
    assets,
    caller::Caller,
    needs::{Live, PrimaryLink, ServerStatus, State},
    request::Request,
    roles::{Action, role_name},
    words,
};

/// Which live stream a page listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The header only.
    Frame,
    /// The header and System Status.
    Status,
}

impl Stream {
    /// Its word in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Frame => "frame",
            Stream::Status => "status",
        }
    }
}

/// The frame of a page for a signed-in user.
pub struct Frame {
    /// The page's title.
    pub title: String,
    /// The server's name.
    pub server: String,
    /// The server's role.
    pub role: &'static str,
    /// The product's version.
    pub version: String,
    /// The user's name.
    pub user: String,
    /// The user's role.
    pub user_role: &'static str,
    /// Menu entries, in rows: what is done every day, and what is set up.
    pub menu: [Vec<Entry>; 2],
    /// The header's live part.
    pub pulse: Pulse,
    /// Why configuration is locked here, for the banner.
    pub locked: Option<String>,
    /// The banner is a matter for somebody to act on.
    pub fenced: bool,
    /// The same page on the primary, on a secondary.
    pub primary: Option<PrimaryLink>,
    /// The user may send and stop.
    pub may_send: bool,
    /// Which stream to listen to.
    pub stream: &'static str,
    /// Names the styles and the script.
    pub revision: String,
    /// Said once on top, such as "Saved".
    pub notice: String,
}

/// A menu entry.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Where it leads.
    pub href: &'static str,
    /// It is the page that is shown.
    pub current: bool,
}

/// The part of the header that changes while one looks.
#[derive(askama::Template)]
#[template(path = "pulse.html")]
pub struct Pulse {
    /// The worst state's class.
    pub class: &'static str,
    /// The worst state in words.
    pub text: String,
    /// How many activations run.
    pub running: usize,
    /// "3 running", or nothing.
    pub running_text: String,
}

const DAILY: &[Place] = &[
    ("System Status", "/status", Action::Look),
    ("Sent Notifications", "/sent", Action::Look),
    ("Notifications", "/notifications", Action::Look),
    ("Schedules", "/schedules", Action::Look),
    ("Redundancy", "/redundancy", Action::LookAtConfiguration),
];

const SET_UP: &[Place] = &[
    ("Triggers", "/triggers", Action::LookAtConfiguration),
    ("Endpoints", "/endpoints", Action::LookAtConfiguration),
    ("Priority Groups", "/groups", Action::LookAtConfiguration),
    ("Drivers", "/drivers", Action::LookAtConfiguration),
    ("Phones", "/phones", Action::LookAtConfiguration),
    ("Local Settings", "/local", Action::LookAtConfiguration),
    ("Servers", "/servers", Action::Administer),
    ("Users", "/users", Action::Administer),
    ("Logging", "/logs", Action::Administer),
];

/// A menu entry's name, address, and what it takes to see it.
type Place = (&'static str, &'static str, Action);

impl Frame {
    /// The frame of the page that a request asks for.
    pub fn of(request: &Request, caller: &Caller, title: impl Into<String>) -> Frame {
        let (identity, path) = (&caller.identity, request.path.as_str());
        let entry = |(name, href, _): &Place| {
            let current = path == *href || path.starts_with(&format!("{href}/"));
            Entry { name, href, current }
        };
        let menu = [DAILY, SET_UP].map(|row| row.iter().filter(|(.., it)| caller.can(*it)).map(entry).collect());
        Frame {
            title: title.into(),
            server: identity.name.clone(),
            role: words::role(identity.role),
            version: identity.version.clone(),
            user: caller.account.name.clone(),
            user_role: role_name(caller.account.role),
            menu,
            pulse: Pulse::of(&caller.needs.live().borrow()),
            locked: identity.can_configure.clone().err(),
            fenced: identity.fenced,
            primary: elsewhere(caller, path),
            may_send: caller.can(Action::Send),
            stream: Stream::Frame.name(),
            revision: assets::revision(),
            notice: notice(request.query.get("done").unwrap_or_default()).to_owned(),
        }
    }

    /// Nothing can be changed by this user on this page: forms are shown and shut.
    pub fn shut(&self, caller: &Caller, action: Action) -> bool {
        self.locked.is_some() || !caller.can(action)
    }
}

/// What the page before did, told on this one. Fixed words: an address cannot put other text on a page.
fn notice(done: &str) -> &'static str {
    match done {
        "saved" => "Saved.",
        "saved-here" => "Saved for this server. It counts from the next announcement on.",
        "renamed" => "Renamed. The name is on every server within a moment.",
        "deleted" => "Deleted.",
        "enabled" => "Enabled. The driver starts on every server.",
        "pinned" => "Pinned. The driver can be set up as soon as its file was looked at.",
        "trusted" => "Trusted. Files that this key signed for these drivers may run.",
        "distrusted" => "The key is trusted no longer.",
        "unpinned" => "The pin is taken back.",
        "disabled" => "Disabled. Its settings and history stay.",
        "returned" => "It takes activations again, as soon as its configuration and its clock are right.",
        "drilled" => "The drill is over. Nothing was sent to any endpoint.",
        "stopped" => "Stopped.",
        "sent" => "Accepted. It is safe on this server and on another one.",
        "sent-degraded" => "Accepted, on this server only: no other server confirmed in time.",
        "sent-before" => "This was sent already. It was not sent twice.",
        "rebuilding" => "Its copy is rebuilt: at once if it is connected, otherwise when it calls.",
        "password" => "Your password is changed. Your other sessions were ended.",
        _ => "",
    }
}

/// The same page on the primary; nothing while the primary is not heard, since nobody would answer there.
fn elsewhere(caller: &Caller, path: &str) -> Option<PrimaryLink> {
    let link = caller.identity.primary.as_ref().filter(|_| caller.identity.role == Role::Secondary)?;
    let live = caller.needs.live();
    let silent = |server: &ServerStatus| server.role == Role::Primary && !server.this && is_stale(server);
    if live.borrow().status.servers.iter().any(silent) {
        return None;
    }
    Some(PrimaryLink { name: link.name.clone(), url: format!("{}{path}", link.url.trim_end_matches('/')) })
}

impl Pulse {
    /// The header for this state of the installation.
    pub fn of(live: &Live) -> Pulse {
        let worst = live.status.servers.iter().max_by_key(|server| server.state);
        let (state, text) = match worst {
            None => (State::Warning, "No server known".to_owned()),
            Some(server) if server.state == State::Ok => match live.status.servers.len() {
                1 => (State::Ok, "Server well".to_owned()),
                n => (State::Ok, format!("All {n} servers well")),
            },
            Some(server) => (server.state, format!("{}: {}", server.name, server.text)),
        };
        let running = live.running.len();
        let running_text = if running == 0 { String::new() } else { format!("{running} running") };
        Pulse { class: words::state_class(state), text, running, running_text }
    }
}
