//! Carries out what a schedule says.

use onealert_core::{
    activation::{Content, activation_id},
    config::{OnTakeover, Priority, Role},
    event::{Input, StopWhat},
    ids::{EndpointId, EventKey, NotificationId},
    time::{Span, Wall},
};

use crate::{
    copy::{Copy, Log},
    history::FaultKind,
    schedule::Happening,
    server::{Down, MORNING},
    world::{Event, World, id},
};

/// For how long a clock that jumped ahead has to run on before what lies in between is called missed.
pub const STEADY_MS: u64 = 10_000;

impl World {
    /// Something of the schedule happens.
    pub(crate) fn happen(&mut self, what: &Happening) {
        match *what {
            Happening::Page { page, at, ref group, endpoints, expires_ms, again } => {
                self.page(page, at, group, endpoints, expires_ms);
                if let Some((other, later_ms)) = again {
                    let mut same = content(page, group, endpoints, self.wall(other));
                    same.expires = expires_ms.map(|ms| same.accepted + Span::millis(ms));
                    self.after(later_ms * 1000, Event::Rings { at: other, content: Box::new(same) });
                }
            }
            Happening::Bell { page, ref group, .. } => {
                let bell = bell(self.now_us / 1000, what).expect("it is one");
                self.pages.insert(page, bell.id);
                self.history.bells.push(bell.clone());
                for at in group.iter().copied().filter(|at| self.has_plans(*at)).collect::<Vec<_>>() {
                    let delay = self.draw("bell", at, page as usize).between(0, 40_000);
                    self.after(delay, Event::Rings { at, content: Box::new(bell.clone()) });
                }
            }
            Happening::Stop { page, at } => self.stop(page, at),
            Happening::Kill { server, back_after_ms } => self.go_down(server, Down::Process, back_after_ms),
            Happening::PowerLoss { server, back_after_ms } => self.go_down(server, Down::Power, back_after_ms),
            Happening::DiskLost { server, back_after_ms } => self.lose_disk(server, back_after_ms),
            Happening::Pause { server, for_ms } => self.pause(server, for_ms),
            Happening::Cut { from, to, both, for_ms } => self.cut(from, to, both, for_ms),
            Happening::Reset { a, b } => {
                self.history.fault_between(FaultKind::Cut, a, b, self.now_us, self.now_us);
                self.disconnect(a, b, 50_000);
            }
            Happening::SlowDisk { server, for_ms } => {
                let until = self.now_us + for_ms * 1000;
                self.servers[server].slow_until_us = until;
                self.history.fault(FaultKind::Disk, server, self.now_us, until);
            }
            Happening::FullDisk { server, for_ms } => {
                let until = self.now_us + for_ms * 1000;
                self.servers[server].full_until_us = until;
                self.history.fault(FaultKind::Disk, server, self.now_us, until);
            }
            Happening::StuckClockwork { server, for_ms } => {
                let until = self.now_us + for_ms * 1000;
                self.servers[server].stuck_until_us = until;
                self.history.fault(FaultKind::Stuck, server, self.now_us, until);
                let boot = self.servers[server].boot;
                self.at(until, Event::Unsticks { at: server, boot });
            }
            Happening::ClockJump { server, by_ms } => {
                // Until the offset is known again.
                self.history.fault(FaultKind::Clock, server, self.now_us, self.now_us + 10_000_000);
                self.servers[server].clock.ahead_ms += by_ms;
                let boot = self.servers[server].boot;
                if by_ms > 0 {
                    self.after(STEADY_MS * 1000, Event::LooksBack { at: server, boot });
                }
            }
            Happening::Upgrade { server, to, back_after_ms } => {
                if self.servers[server].node.is_some() {
                    self.servers[server].upgrade_to = Some(to);
                }
                self.drain(server, back_after_ms);
            }
            Happening::Configure { at, rows } => {
                let version = (self.now_us / 1000) as u32;
                self.configure(at, rows, version);
            }
            Happening::Deprovision { server } => self.deprovision(server),
            Happening::Promote { server, forced } => self.promote(server, forced),
            Happening::Join { server } => self.join(server),
            Happening::BackUp { server } => self.back_up(server),
            Happening::Restore { server, back_after_ms } => self.restore(server, back_after_ms),
            Happening::Reconfigure { server } => self.reconfigure(server),
            Happening::HandEdit { server } => self.edit_by_hand(server),
            Happening::Licence { secondaries, in_file } => self.change_licence(secondaries, in_file),
            Happening::Drain { server, back_after_ms } => self.drain(server, back_after_ms),
        }
    }

    /// A server whose clock jumped ahead and ran on computes what is over by its clock, also what is yet to come for the others.
    pub(crate) fn look_back(&mut self, at: usize) {
        let now = self.wall(at);
        let yet_to_come = self.schedule.events.iter().filter(|(at_ms, _)| at_ms * 1000 > self.now_us);
        let over = yet_to_come.filter_map(|(at_ms, what)| bell(*at_ms, what));
        let over: Vec<Content> = over.filter(|bell| bell.expires.is_some_and(|late| late < now)).collect();
        for bell in over.into_iter().filter(|bell| bell.group.contains(&id(at))) {
            self.at(self.now_us, Event::Rings { at, content: Box::new(bell) });
        }
    }

    /// A server is asked to stop in good order. Where what runs takes too long, it is handed over.
    fn drain(&mut self, at: usize, back_after_ms: u64) {
        if self.servers[at].node.is_none() {
            return;
        }
        self.servers[at].leaving_ms = Some(back_after_ms);
        self.history.fault(FaultKind::Drain, at, self.now_us, self.now_us);
        if self.draw("impatient", at, 0).chance(50) {
            let (boot, patience) = (self.servers[at].boot, self.draw("patience", at, 0).between(0, 300_000));
            self.after(patience, Event::HandsOver { at, boot });
        }
        self.feed(at, Input::Drain);
    }

    /// A page comes in. A caller whose server does not answer, or is out of service, tries the next one, as a telephone exchange
    /// tries its trunks.
    fn page(&mut self, page: u32, at: usize, group: &[usize], endpoints: usize, expires_ms: Option<u64>) {
        let count = self.servers.len();
        let answering =
            (0..count).map(|step| (at + step) % count).find(|at| self.servers[*at].is_awake() && self.takes_calls(*at));
        let at = answering.unwrap_or(at);
        let mut page_content = content(page, group, endpoints, self.wall(at));
        page_content.expires = expires_ms.map(|ms| page_content.accepted + Span::millis(ms));
        self.pages.insert(page, page_content.id);
        self.trigger(at, page_content);
    }

    fn stop(&mut self, page: u32, at: usize) {
        let Some(activation) = self.pages.get(&page).copied() else { return };
        self.history.stopped(activation);
        let ticket = self.ticket();
        self.stops.insert(ticket);
        let what = if self.draw("stop", at, page as usize).chance(50) {
            StopWhat::Activation(activation)
        } else {
            StopWhat::Event(content(page, &[], 0, Wall(0)).key)
        };
        self.feed(at, Input::Stop { ticket, what });
    }

    /// The machine is replaced: another life of the same server, with an empty disk.
    fn lose_disk(&mut self, at: usize, back_after_ms: u64) {
        if self.servers[at].node.is_none() {
            return;
        }
        self.go_down(at, Down::Power, Some(back_after_ms));
        let told_primary = self.primary_of(at);
        self.history.touch_all();
        self.history.fault(FaultKind::DiskLost, at, self.now_us, self.now_us);
        let database = self.database;
        let server = &mut self.servers[at];
        server.disk.clear();
        server.unsynced.clear();
        server.records.clear();
        server.incarnation += 1;
        if server.copy.role(at) == Role::Primary {
            // The publisher's configuration comes back from its mirror; without one it is a promotion that follows.
            server.copy.log = Log::default();
            return;
        }
        // Installed again by somebody who names the primary; what it had seen and written is gone.
        self.gone_with(at);
        let server = &mut self.servers[at];
        let product = server.copy.product;
        server.copy = Copy { told_primary, product, ..Copy::new(database) };
    }

    fn pause(&mut self, at: usize, for_ms: u64) {
        let server = &mut self.servers[at];
        if !server.is_awake() {
            return;
        }
        server.paused = true;
        let (boot, until) = (server.boot, self.now_us + for_ms * 1000);
        self.history.fault(FaultKind::Pause, at, self.now_us, until);
        self.at(until, Event::Wakes { at, boot });
    }

    fn cut(&mut self, from: usize, to: usize, both: bool, for_ms: u64) {
        let until = self.now_us + for_ms * 1000;
        self.history.fault_between(FaultKind::Cut, from, to, self.now_us, until);
        let ways: &[(usize, usize)] = if both { &[(from, to), (to, from)] } else { &[(from, to)] };
        for (from, to) in ways.iter().copied() {
            self.network.cut(from, to);
            self.at(until, Event::Heals { from, to });
        }
        if let Some(connection) = self.network.connection(from, to) {
            let timeout = self.draw("timeout", from, to).between(500_000, 4_000_000);
            self.after(timeout, Event::TimesOut { a: from, b: to, connection });
        }
    }

    fn wall(&self, at: usize) -> Wall {
        self.servers[at].clocks(self.now_us).wall
    }

    /// Used by checks: the servers that run, with their ids.
    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, &onealert_core::node::Node)> {
        self.servers.iter().enumerate().filter_map(|(at, server)| Some((at, server.node.as_ref()?)))
    }
}

/// The content of a bell that is computed at a moment, as every server freezes it.
fn bell(at_ms: u64, what: &Happening) -> Option<Content> {
    let Happening::Bell { page, group, endpoints, due_in_ms, late_ms } = what else { return None };
    let due = Wall(MORNING + (at_ms + due_in_ms) as i64);
    let mut bell = content(*page, group, *endpoints, due);
    bell.due = Some(due);
    bell.expires = Some(due + Span::millis(*late_ms));
    bell.on_takeover = OnTakeover::SkipStarted;
    Some(bell)
}

/// The content of a page, as a server freezes it.
fn content(page: u32, group: &[usize], endpoints: usize, accepted: Wall) -> Content {
    let (key, notification) = (EventKey(format!("event-{page}")), NotificationId::from("lockdown"));
    Content {
        id: activation_id(&key, &notification),
        key,
        notification,
        name: format!("page {page}"),
        priority: Priority::Page,
        group: group.iter().copied().map(id).collect(),
        endpoints: (0..endpoints).map(|endpoint| EndpointId(format!("speaker-{endpoint}"))).collect(),
        needs: Default::default(),
        accepted,
        due: None,
        expires: None,
        on_takeover: OnTakeover::Replay,
        payload: "{}".into(),
        drill: None,
    }
}
