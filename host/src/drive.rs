//! The loop: wait for one thing that happened, let the core decide, carry out what it asks for. One loop a server; everything
//! that matters passes through it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use onealert_core::{
    activation::{Content, EndpointState},
    effect::{Ended, HaltReason, Haste, Notice, Output, Record, Refusal, Rehearsed, Ticket},
    event::{Input, LinkSeen, Policy, StopWhat},
    ids::{ActivationId, ServerId},
    node::Node,
    peer_message::{PeerMessage, Standing},
    time::Span,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    clock::Clock,
    deliver::Order,
    intake::{Asked, Ending},
};

/// The loop wakes at least this often, so that a look from outside can tell a living loop from a stuck one.
const PULSE: Duration = Duration::from_millis(250);

/// A question put to the loop's thread about the core's state.
pub type Look = Box<dyn FnOnce(&Node) + Send>;

/// Everything that wakes the loop.
pub enum Happened {
    /// An activation is to be accepted.
    Trigger(Box<Content>, oneshot::Sender<Result<Taken, Refusal>>),
    /// Running activations are to end; the answer says how many that concerned, once their stops are safe.
    End(Vec<Ending>, oneshot::Sender<u32>),
    /// A peer said something.
    Message(ServerId, Box<PeerMessage>),
    /// The transport saw something of a peer.
    Link(ServerId, LinkSeen),
    /// The disk has it.
    Persisted(Ticket),
    /// The disk refused it.
    PersistFailed(Ticket, String),
    /// A delivery came further.
    Progress {
        /// Which.
        activation: ActivationId,
        /// Which attempt of it.
        attempt: u32,
        /// Index and state of endpoints.
        states: Vec<(u32, EndpointState)>,
    },
    /// A delivery has nothing more to do.
    DeliveryEnded {
        /// Which.
        activation: ActivationId,
        /// Which attempt of it.
        attempt: u32,
    },
    /// Who the other servers are changed.
    Peers(Vec<ServerId>),
    /// What the site has decided about who owns.
    Policy(Policy),
    /// An operator lets a server own again.
    Return(ServerId),
    /// What this server says about itself changed.
    Standing(Box<Standing>),
    /// This server was deprovisioned.
    Retire,
    /// Stop in good order.
    Drain,
    /// What still runs is to be handed over.
    HandOver,
    /// Somebody wants to see the core's state.
    Look(Look),
}

/// An accepted activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub activation: ActivationId,
    /// One copy only.
    pub degraded: bool,
    /// It was known already.
    pub duplicate: bool,
}

/// What the loop can do to the world.
pub trait World: Send {
    /// Sends to a peer, if a connection stands.
    fn send(&mut self, to: ServerId, message: PeerMessage);
    /// Writes, as soon as it is wanted, and says so by [`Happened::Persisted`].
    fn persist(&mut self, ticket: Ticket, record: Record, haste: Haste);
    /// Starts a delivery.
    fn deliver(&mut self, order: Order);
    /// Ends a delivery.
    fn halt(&mut self, activation: ActivationId, reason: HaltReason);
    /// Writes a record into Sent Notifications.
    fn ended(&mut self, record: Ended);
    /// Tells who runs a rehearsal how far it is.
    fn rehearsed(&mut self, activation: ActivationId, seen: Rehearsed);
    /// Tells the operator.
    fn notice(&mut self, notice: Notice);
}

/// The way to the loop. Cheap to clone.
#[derive(Clone)]
pub struct Loop {
    events: mpsc::UnboundedSender<Happened>,
    pulse: Arc<AtomicU64>,
    clock: Clock,
}

/// The loop has ended; the server is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this server is stopping; ask another server")]
pub struct Stopping;

impl Loop {
    /// The way in, and what comes out at the other end for [`Driver::new`].
    pub fn new(clock: Clock) -> (Loop, mpsc::UnboundedReceiver<Happened>) {
        let (events, receiver) = mpsc::unbounded_channel();
        (Loop { events, pulse: Arc::default(), clock }, receiver)
    }

    /// A sender for those who only report.
    pub fn sender(&self) -> mpsc::UnboundedSender<Happened> {
        self.events.clone()
    }

    /// Reports; after the loop's end nobody listens.
    pub fn tell(&self, happened: Happened) {
        let _ = self.events.send(happened);
    }

    /// Has an activation accepted. Returns when it is safe.
    ///
    /// # Errors
    /// The core refused it, or the server is stopping.
    pub async fn trigger(&self, content: Content) -> Result<Taken, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.tell(Happened::Trigger(Box::new(content), answer));
        answered.await.unwrap_or(Err(Refusal::Draining))
    }

    /// Ends running activations, at once; what is returned waits until that is safe, and says how many it concerned.
    ///
    /// # Errors
    /// The server is stopping.
    pub fn end(&self, endings: Vec<Ending>) -> impl Future<Output = Result<u32, Stopping>> + use<> {
        let (answer, answered) = oneshot::channel();
        self.tell(Happened::End(endings, answer));
        async { answered.await.map_err(|_| Stopping) }
    }

    /// Hands over what an event asks for, and waits until all of it is safe.
    ///
    /// # Errors
    /// The first activation that was refused.
    pub async fn submit(&self, asked: Asked) -> Result<Vec<Taken>, Refusal> {
        // All at once: one slow write must not hold up the others. What ends is told first.
        let ended = (!asked.endings.is_empty()).then(|| self.end(asked.endings));
        let starts = asked.starts.into_iter().map(|content| self.trigger(content));
        let taken = futures_util::future::join_all(starts).await;
        if let Some(ended) = ended {
            ended.await.map_err(|_| Refusal::Draining)?;
        }
        taken.into_iter().collect()
    }

    /// Looks at the core's state.
    ///
    /// # Errors
    /// The server is stopping.
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Node) -> T + Send + 'static) -> Result<T, Stopping> {
        let (answer, answered) = oneshot::channel();
        self.tell(Happened::Look(Box::new(move |node| {
            let _ = answer.send(look(node));
        })));
        answered.await.map_err(|_| Stopping)
    }

    /// How long ago the loop last turned.
    pub fn last_turn(&self) -> Duration {
        let now = self.clock.now().mono.0;
        Duration::from_micros(now.saturating_sub(self.pulse.load(Ordering::Relaxed)))
    }
}

/// The loop itself.
pub struct Driver<W> {
    node: Node,
    world: W,
    clock: Clock,
    events: mpsc::UnboundedReceiver<Happened>,
    pulse: Arc<AtomicU64>,
    tickets: u64,
    triggers: BTreeMap<Ticket, oneshot::Sender<Result<Taken, Refusal>>>,
    ends: Vec<End>,
}

/// Somebody who waits until what was ended is safely so: a stop that a power cut can undo is not answered.
struct End {
    /// The stops that the core has not answered.
    left: BTreeSet<Ticket>,
    /// How many activations they concern.
    stopped: u32,
    answer: oneshot::Sender<u32>,
}

impl<W: World> Driver<W> {
    /// A loop around a core that was restored from disk.
    pub fn new(node: Node, world: W, way_in: &Loop, events: mpsc::UnboundedReceiver<Happened>) -> Driver<W> {
        let (clock, pulse) = (way_in.clock, way_in.pulse.clone());
        Driver { node, world, clock, events, pulse, tickets: 0, triggers: BTreeMap::new(), ends: Vec::new() }
    }

    /// Runs until every way in is gone, or until it has drained.
    pub async fn run(mut self) {
        loop {
            self.pulse.store(self.clock.now().mono.0, Ordering::Relaxed);
            self.answer_ends();
            if self.node.is_drained() {
                // Ended in good order is not stuck: balancers are told 404 until the doors close, never 503.
                self.pulse.store(u64::MAX, Ordering::Relaxed);
                return;
            }
            let asked = self.node.next_wake().map(|at| self.clock.instant(at));
            let wake = asked.unwrap_or_else(|| Instant::now() + PULSE).min(Instant::now() + PULSE);
            tokio::select! {
                biased;
                happened = self.events.recv() => match happened {
                    Some(happened) => self.take(happened),
                    None => return,
                },
                () = tokio::time::sleep_until(wake.into()) => {
                    // Everything that waited in the channel while this loop did not run is heard before anybody is
                    // suspected (redundancy sheet, section 5).
                    while let Ok(happened) = self.events.try_recv() {
                        self.take(happened);
                    }
                    let late = wake.elapsed();
                    self.step(Input::Tick { late: Span(late.as_micros() as u64) });
                }
            }
        }
    }

    fn take(&mut self, happened: Happened) {
        let input = match happened {
            Happened::Trigger(content, answer) => {
                let ticket = self.ticket();
                self.triggers.insert(ticket, answer);
                Input::Trigger { ticket, content: *content }
            }
            Happened::End(endings, answer) => {
                self.end(&endings, answer);
                return;
            }
            Happened::Message(from, message) => Input::Message { from, message: *message },
            Happened::Link(peer, seen) => Input::Link { peer, seen },
            Happened::Persisted(ticket) => Input::Persisted { ticket },
            Happened::PersistFailed(ticket, reason) => Input::PersistFailed { ticket, reason },
            Happened::Progress { activation, attempt, states } => Input::Progress { activation, attempt, states },
            Happened::DeliveryEnded { activation, attempt } => Input::DeliveryEnded { activation, attempt },
            Happened::Peers(peers) => Input::Peers { peers },
            Happened::Policy(policy) => Input::Policy { policy },
            Happened::Return(server) => Input::Return { server },
            Happened::Standing(standing) => Input::Standing { standing: *standing },
            Happened::Retire => Input::Retire,
            Happened::Drain => Input::Drain,
            Happened::HandOver => Input::HandOver,
            Happened::Look(look) => {
                look(&self.node);
                return;
            }
        };
        self.step(input);
    }

    /// Stops what the endings name. An event is stopped even when nothing of it is known yet: it may arrive later.
    fn end(&mut self, endings: &[Ending], answer: oneshot::Sender<u32>) {
        let running = |node: &Node, wanted: &dyn Fn(&Content) -> bool| -> Vec<ActivationId> {
            let known = node.activations().filter(|known| known.ended.is_none() && !known.stopped);
            known.filter(|known| wanted(&known.content)).map(|known| known.content.id).collect()
        };
        let index = self.ends.len();
        self.ends.push(End { left: BTreeSet::new(), stopped: 0, answer });
        for ending in endings {
            let (count, stops) = match ending {
                Ending::Event(key) => {
                    let count = running(&self.node, &|content| content.key == *key).len();
                    (count, vec![StopWhat::Event(key.clone())])
                }
                Ending::Notification(id) => activations(running(&self.node, &|content| content.notification == *id)),
                Ending::Activation(id) => activations(running(&self.node, &|content| content.id == *id)),
                Ending::All => activations(running(&self.node, &|_| true)),
            };
            self.ends[index].stopped += count as u32;
            for what in stops {
                let ticket = self.ticket();
                self.ends[index].left.insert(ticket);
                self.step(Input::Stop { ticket, what });
            }
        }
    }

    /// Answers those for whom nothing is left to become safe.
    fn answer_ends(&mut self) {
        for end in self.ends.extract_if(.., |end| end.left.is_empty()) {
            let _ = end.answer.send(end.stopped);
        }
    }

    fn step(&mut self, input: Input) {
        for output in self.node.step(self.clock.now(), input) {
            match output {
                Output::Accepted { ticket, activation, degraded, duplicate } => {
                    self.ends.iter_mut().for_each(|end| _ = end.left.remove(&ticket));
                    if let Some(answer) = self.triggers.remove(&ticket) {
                        let _ = answer.send(Ok(Taken { activation, degraded, duplicate }));
                    }
                }
                Output::Refused { ticket, reason } => {
                    self.ends.iter_mut().for_each(|end| _ = end.left.remove(&ticket));
                    if let Some(answer) = self.triggers.remove(&ticket) {
                        let _ = answer.send(Err(reason));
                    }
                }
                Output::Send { to, message } => self.world.send(to, message),
                Output::Persist { ticket, record, haste } => self.world.persist(ticket, record, haste),
                Output::Deliver { activation, attempt, content, states, listen_first } => {
                    let age = self.node.age(activation).map_or(Duration::ZERO, |age| Duration::from_micros(age.0));
                    let accepted = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                    let content = content.into_content();
                    self.world.deliver(Order { attempt, content, accepted, states, listen_first });
                }
                Output::Halt { activation, reason } => self.world.halt(activation, reason),
                Output::Ended { record } => self.world.ended(*record),
                Output::Rehearsed { activation, seen } => self.world.rehearsed(activation, seen),
                Output::Notice(notice) => self.world.notice(notice),
            }
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }
}

fn activations(ids: Vec<ActivationId>) -> (usize, Vec<StopWhat>) {
    (ids.len(), ids.into_iter().map(StopWhat::Activation).collect())
}
