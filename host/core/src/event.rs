//! All that can happen to a server, as the shell tells it to [`crate::node::Node::step`]. The list is closed.

use crate::{
    activation::{Content, EndpointState},
    effect::Ticket,
    ids::{ActivationId, EventKey, Incarnation, ServerId},
    peer_message::PeerMessage,
    time::Span,
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A trigger event was turned into an activation at this server. Answered by [`crate::effect::Output::Accepted`] or
    /// [`crate::effect::Output::Refused`] with the same ticket.
    Trigger {
        /// Names the question in the answer.
        ticket: Ticket,
        /// What is to be sent.
        content: Content,
    },
    /// Somebody stops every activation of an event key, or one activation. It takes effect at once; answered with the same
    /// ticket by `Accepted` when it is safe, or by `Refused` when nothing is known that it stops.
    Stop {
        /// Names the question in the answer.
        ticket: Ticket,
        /// What is stopped.
        what: StopWhat,
    },
    /// A message from a peer whose identity the transport has proven.
    Message {
        /// Who sent it.
        from: ServerId,
        /// What it says.
        message: PeerMessage,
    },
    /// What the transport sees of a peer.
    Link {
        /// Which peer.
        peer: ServerId,
        /// What was seen.
        seen: LinkSeen,
    },
    /// The disk confirmed a [`crate::effect::Output::Persist`]: it survives what its [`crate::effect::Haste`] says.
    Persisted {
        /// Which write.
        ticket: Ticket,
    },
    /// The disk refused a [`crate::effect::Output::Persist`].
    PersistFailed {
        /// Which write.
        ticket: Ticket,
        /// Why, for people.
        reason: String,
    },
    /// Endpoint states changed in a delivery that this server runs.
    Progress {
        /// Which activation.
        activation: ActivationId,
        /// The attempt that [`crate::effect::Output::Deliver`] named.
        attempt: u32,
        /// Index into the content's endpoints, and the state now.
        states: Vec<(u32, EndpointState)>,
    },
    /// A delivery that this server ran has nothing more to do: content played out, every call answered.
    DeliveryEnded {
        /// Which activation.
        activation: ActivationId,
        /// The attempt that [`crate::effect::Output::Deliver`] named.
        attempt: u32,
    },
    /// The membership changed: who the other servers of the installation are, with their order nowhere implied.
    Peers {
        /// Every other server that is not deprovisioned.
        peers: Vec<ServerId>,
    },
    /// What this server tells its peers about itself changed (position, versions).
    Standing {
        /// The new standing.
        standing: crate::peer_message::Standing,
    },
    /// What the site has decided about who owns.
    Policy {
        /// The policy.
        policy: Policy,
    },
    /// An operator lets a server that came back own again, without waiting any longer. Its configuration and its clock have
    /// to be right all the same. Says nothing about a later return.
    Return {
        /// Which server; this one or a peer.
        server: ServerId,
    },
    /// The operator or a signal asks this server to stop sending in good order.
    Drain,
    /// A draining server has had the time to finish what runs: whatever it has not finished, and another can go on with, is
    /// handed over.
    HandOver,
    /// This server was deprovisioned, is left out by the licence, or holds an unpromoted backup: it delivers nothing, keeps
    /// nothing for others and takes nothing over from here on (invariant I12). There is no way back but another start.
    Retire,
    /// The moment that `Node::next_wake` named has come, or simply some time has passed. `late` is how much later than
    /// asked the shell's loop ran; the shell must have handed over every waiting message first.
    Tick {
        /// How late the loop was.
        late: Span,
    },
}

/// What the site has decided about who owns; the same on every server, as part of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// A server that came back owns nothing until an operator lets it return.
    pub manual_return: bool,
}

/// What a stop names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopWhat {
    /// Every activation of this event.
    Event(EventKey),
    /// One activation.
    Activation(ActivationId),
}

/// What the transport sees of a peer (redundancy sheet, section 5, first table).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkSeen {
    /// A connection stands in both directions and the peer said which life it is in.
    Connected {
        /// The peer's incarnation.
        incarnation: Incarnation,
        /// A number that differs whenever the peer's process was started again.
        boot: u64,
    },
    /// The connection was closed or reset and dialling again was refused: its process is gone.
    Refused,
    /// The connection was closed; dialling again has not been answered yet. Says nothing by itself.
    Lost,
}
