//! Whatever arrives, in whatever order and with whatever numbers in it, the node neither panics nor stops asking to be woken
//! while something is unfinished.

use std::sync::Arc;

use onealert_core::{
    activation::{Content, EndpointState, activation_id},
    config::{OnTakeover, Priority},
    effect::{Outcome, Ticket},
    event::{Input, LinkSeen, Policy, StopWhat},
    ids::{ActivationId, EndpointId, EpochId, EventKey, Incarnation, NotificationId, ServerId},
    knowledge::Knowledge,
    node::{Identity, Node},
    peer_message::{Echo, Heartbeat, Hold, PeerMessage, Release, Standing},
    replicate::{Digests, Position},
    time::{Mono, Now, Span, Wall},
    tuning::Tuning,
    version::VersionSet,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![0..3_i64, Just(i64::MIN), Just(i64::MAX), Just(-1), 1_000_000..2_000_000_i64]
}
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, Just(u64::MAX), 1_000_000..2_000_000_u64]
}
fn server() -> impl Strategy<Value = ServerId> {
    (1..5_u128).prop_map(ServerId)
}
fn key() -> impl Strategy<Value = &'static str> {
    select(vec!["one", "two"])
}
fn id_of(key: &str) -> ActivationId {
    activation_id(&EventKey::from(key), &NotificationId::from("n"))
}
fn state() -> impl Strategy<Value = EndpointState> {
    prop_oneof![
        Just(EndpointState::Sent),
        Just(EndpointState::Failed { reason: "r".to_owned() }),
        Just(EndpointState::Acked { note: String::new() }),
    ]
}

prop_compose! {
    fn content()(
        key in key(),
        group in vec(server(), 0..4),
        endpoints in 0..3_usize,
        due in option::of(number()),
        expires in option::of(number()),
        accepted in number(),
    ) -> Content {
        Content {
            id: id_of(key),
            key: EventKey::from(key),
            notification: NotificationId::from("n"),
            name: "n".to_owned(),
            priority: Priority::Page,
            group,
            endpoints: (0..endpoints).map(|index| EndpointId(index.to_string())).collect(),
            needs: Default::default(),
            accepted: Wall(accepted),
            due: due.map(Wall),
            expires: expires.map(Wall),
            on_takeover: OnTakeover::Replay,
            payload: "".into(),
            drill: None,
        }
    }
}
prop_compose! {
    fn knowledge()(
        content in content(),
        attempt in prop_oneof![0..3_u32, Just(u32::MAX)],
        owner in server(),
        flags: (bool, bool),
        states in vec(state(), 0..4),
        ended in option::of(number()),
    ) -> Knowledge {
        Knowledge {
            content: Arc::new(content),
            attempt,
            owner,
            started: flags.0,
            fallen: flags.0,
            stopped: flags.1,
            degraded: false,
            states,
            ended: ended.map(|at| (Outcome::Partial, Wall(at))),
        }
    }
}
prop_compose! {
    fn heartbeat()(
        seq in count(), times in (number(), number(), number()), held in server(), remaining_ms in count(), draining: bool,
    ) -> Heartbeat {
        Heartbeat {
            seq,
            sent_us: times.0,
            echo: Some(Echo { seq: 1, sent_us: times.1, arrived_us: times.2 }),
            standing: standing(),
            draining,
            holds: vec![Hold {
                server: held,
                remaining_ms,
                since_ms: seq,
                operator: remaining_ms % 2 == 0,
                behind: false,
                clock: false,
            }],
            releases: vec![Release { server: held, age_ms: seq }],
            hears: vec![held],
            running: 0,
        }
    }
}

fn message() -> impl Strategy<Value = PeerMessage> {
    prop_oneof![
        heartbeat().prop_map(|heartbeat| PeerMessage::Heartbeat(Box::new(heartbeat))),
        (knowledge(), any::<bool>())
            .prop_map(|(known, confirm)| PeerMessage::Push { knowledge: Box::new(known), confirm }),
        (key(), 0..3_u32, server(), any::<bool>()).prop_map(|(key, attempt, owner, stopped)| PeerMessage::Have {
            activation: id_of(key),
            attempt,
            owner,
            stopped
        }),
        (key(), 0..9_u32, state()).prop_map(|(key, index, state)| PeerMessage::Share {
            activation: id_of(key),
            states: vec![(index, EndpointId("1".to_owned()), state)]
        }),
        (count(), key()).prop_map(|(round, key)| PeerMessage::Ask { round, unfinished: vec![id_of(key)] }),
        (0..5_u64).prop_map(|round| PeerMessage::Told { round }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (server(), message()).prop_map(|(from, message)| Input::Message { from, message }),
        2 => (count(), content()).prop_map(|(ticket, content)| Input::Trigger { ticket: Ticket(ticket), content }),
        1 => key().prop_map(|key| Input::Stop { ticket: Ticket(1), what: StopWhat::Event(EventKey::from(key)) }),
        1 => key().prop_map(|key| Input::Stop { ticket: Ticket(1), what: StopWhat::Activation(id_of(key)) }),
        3 => (0..20_u64).prop_map(|ticket| Input::Persisted { ticket: Ticket(ticket) }),
        1 => (0..20_u64).prop_map(|ticket| Input::PersistFailed { ticket: Ticket(ticket), reason: "full".to_owned() }),
        1 => (key(), 0..3_u32, 0..9_u32, state())
            .prop_map(|(key, attempt, index, state)| Input::Progress { activation: id_of(key), attempt, states: vec![(index, state)] }),
        1 => (key(), 0..3_u32).prop_map(|(key, attempt)| Input::DeliveryEnded { activation: id_of(key), attempt }),
        1 => (server(), 0..3_u64)
            .prop_map(|(peer, boot)| Input::Link { peer, seen: LinkSeen::Connected { incarnation: Incarnation(1), boot } }),
        1 => server().prop_map(|peer| Input::Link { peer, seen: LinkSeen::Refused }),
        1 => any::<bool>().prop_map(|manual_return| Input::Policy { policy: Policy { manual_return } }),
        1 => server().prop_map(|server| Input::Return { server }),
        1 => vec(server(), 0..4).prop_map(|peers| Input::Peers { peers }),
        1 => Just(Input::Drain),
        1 => Just(Input::HandOver),
        3 => count().prop_map(|late| Input::Tick { late: Span(late) }),
    ]
}

proptest! {
    #[test]
    fn no_input_makes_it_panic_or_fall_asleep(
        restored in vec(knowledge(), 0..2),
        inputs in vec((0..900_000_u64, number(), input()), 1..60),
    ) {
        let tuning = Tuning::default().with_hold_down(Span::secs(2)).expect("above a second");
        let identity = Identity { server: ServerId(1), incarnation: Incarnation(1), boot: 1, started: Wall(0) };
        let mut now = Now { mono: Mono(5), wall: Wall(1_500_000) };
        let mut node = Node::new(identity, tuning, vec![ServerId(2), ServerId(3)], standing(), restored, now);
        for (passed, wall, input) in inputs {
            now = Now { mono: now.mono + Span(passed), wall: Wall(wall) };
            node.step(now, input);
            let unfinished = node.activations().any(|known| known.ended.is_none());
            let wake = node.next_wake();
            prop_assert!(wake.is_some() || !unfinished, "nobody would look again");
            prop_assert!(wake.is_none_or(|wake| wake > now.mono), "a wake in the past would spin");
            for known in node.activations() {
                prop_assert_eq!(known.states.len(), known.content.endpoints.len());
            }
        }
    }
}

fn standing() -> Standing {
    let version = semver::Version::new(0, 1, 0);
    Standing {
        position: Position { epoch: EpochId(1), lsn: 0, digests: Digests::default() },
        newest_epoch: EpochId(1),
        versions: VersionSet {
            product: version.clone(),
            schema: 1,
            protocol: 1,
            platform: String::new(),
            plugin_api: version,
            drivers: Default::default(),
        },
        started: Wall(0),
        status: String::new(),
        generation: Default::default(),
        health: Default::default(),
    }
}
