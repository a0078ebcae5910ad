//! Knowledge joins like a value should: in any order, any number of times, with the same end.

use std::sync::Arc;

use onealert_core::{
    activation::{Content, EndpointState, activation_id},
    config::{OnTakeover, Priority},
    effect::Outcome,
    ids::{EndpointId, EventKey, NotificationId, ServerId},
    knowledge::Knowledge,
    time::Wall,
};
use proptest::{collection::vec, option, prelude::*};

/// Content as one of two servers froze it: the second saw the event later and lists the endpoints the other way round.
fn content(second: bool) -> Content {
    let (key, notification) = (EventKey::from("cap 17"), NotificationId::from("tornado"));
    let mut endpoints: Vec<EndpointId> = ["horn", "sign", "strobe"].map(EndpointId::from).to_vec();
    if second {
        endpoints.reverse();
    }
    Content {
        id: activation_id(&key, &notification),
        key,
        notification,
        name: "Tornado".to_owned(),
        priority: Priority::Alert,
        group: vec![ServerId(1), ServerId(2)],
        endpoints,
        needs: Default::default(),
        accepted: Wall(if second { 5 } else { 0 }),
        due: None,
        expires: None,
        on_takeover: OnTakeover::Replay,
        payload: "{}".into(),
        drill: None,
    }
}

fn state() -> impl Strategy<Value = EndpointState> {
    prop_oneof![
        Just(EndpointState::Pending),
        Just(EndpointState::Sent),
        "[ab]".prop_map(|reason| EndpointState::Failed { reason }),
        "[ab]".prop_map(|note| EndpointState::Acked { note }),
    ]
}

prop_compose! {
    fn knowledge()(
        second: bool,
        attempt in 0..3_u32,
        owner in 1..5_u128,
        flags: (bool, bool, bool, bool),
        states in vec(state(), 3),
        ended in option::of((prop_oneof![Just(Outcome::Success), Just(Outcome::Missed), Just(Outcome::Stopped)], 0..3_i64)),
    ) -> Knowledge {
        Knowledge {
            content: Arc::new(content(second)),
            attempt,
            owner: ServerId(owner),
            started: flags.0,
            fallen: flags.3,
            stopped: flags.1,
            degraded: flags.2,
            states,
            ended: ended.map(|(how, at)| (how, Wall(at))),
        }
    }
}

fn joined(one: &Knowledge, other: &Knowledge) -> Knowledge {
    let mut result = one.clone();
    let said = result.join(other);
    assert_eq!(said.changed, result != *one, "it says whether it changed anything");
    assert_eq!(said.claim, result.claim() != one.claim());
    result
}

proptest! {
    #[test]
    fn the_order_does_not_matter(a in knowledge(), b in knowledge(), c in knowledge()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
    }

    #[test]
    fn hearing_it_again_changes_nothing(a in knowledge(), b in knowledge()) {
        let both = joined(&a, &b);
        prop_assert_eq!(joined(&both, &a), both.clone());
        prop_assert_eq!(joined(&both, &b), both.clone());
        prop_assert_eq!(joined(&both, &both), both);
    }

    #[test]
    fn nothing_goes_backwards(a in knowledge(), b in knowledge()) {
        let both = joined(&a, &b);
        prop_assert!(both.attempt >= a.attempt.max(b.attempt));
        prop_assert_eq!(both.stopped, a.stopped || b.stopped);
        let of = |known: &Knowledge, endpoint: &EndpointId| {
            let index = known.content.endpoints.iter().position(|it| it == endpoint).expect("the same endpoints");
            known.states[index].clone()
        };
        for endpoint in &both.content.endpoints {
            prop_assert_eq!(of(&both, endpoint), of(&a, endpoint).max(of(&b, endpoint)));
        }
    }

    /// What the disk and the wire carry comes back as it was.
    #[test]
    fn it_survives_text(a in knowledge()) {
        let text = serde_json::to_string(&a).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<Knowledge>(&text).expect("its own text"), a);
    }
}

#[test]
fn at_equal_attempts_the_server_that_is_tried_first_owns() {
    let first = Knowledge::first(Arc::new(content(false)), ServerId(1));
    let second = Knowledge { owner: ServerId(2), started: true, ..first.clone() };
    let outside = Knowledge { owner: ServerId(9), ..first.clone() };
    assert_eq!(joined(&second, &first).claim(), (0, ServerId(1)));
    assert!(!joined(&second, &first).started, "that the other began says nothing of this claim");
    assert_eq!(joined(&outside, &second).claim(), (0, ServerId(2)));
    assert_eq!(joined(&Knowledge { attempt: 1, ..outside }, &first).claim(), (1, ServerId(9)));
}
