//! From a priority group to the one server that owns.

use crate::ids::ServerId;

/// What a server may be used for, as the deciding server believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// It is gone.
    None,
    /// It lives, but is draining: only where nobody else is left.
    Leaving,
    /// It lives, but came back recently: only where nobody better is up.
    Held,
    /// It may own.
    Full,
}

/// The owner of what comes in at this moment: the first server of the group that may own; where none may, the first that is
/// held; where there is none of these either, the first that is leaving.
pub(crate) fn owner(group: &[ServerId], of: impl Fn(ServerId) -> Use) -> Option<ServerId> {
    [Use::Full, Use::Held, Use::Leaving]
        .into_iter()
        .find_map(|wanted| group.iter().copied().find(|id| of(*id) == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(1);
    const B: ServerId = ServerId(2);
    const C: ServerId = ServerId(3);

    #[test]
    fn the_first_that_may_own_is_taken_and_held_ones_only_where_nobody_better_is_up() {
        let of = |a, b, c| {
            move |id| {
                if id == A {
                    a
                } else if id == B {
                    b
                } else {
                    c
                }
            }
        };
        assert_eq!(owner(&[A, B, C], of(Use::Full, Use::Full, Use::Full)), Some(A));
        assert_eq!(owner(&[C, A], of(Use::Full, Use::Full, Use::Full)), Some(C));
        assert_eq!(owner(&[A, B, C], of(Use::None, Use::Full, Use::Full)), Some(B));
        assert_eq!(owner(&[A, B, C], of(Use::Held, Use::None, Use::Full)), Some(C));
        assert_eq!(owner(&[A, B, C], of(Use::Leaving, Use::None, Use::Held)), Some(C));
        assert_eq!(owner(&[A, B, C], of(Use::Leaving, Use::None, Use::None)), Some(A));
        assert_eq!(owner(&[A, B, C], of(Use::None, Use::None, Use::None)), None);
        assert_eq!(owner(&[], of(Use::Full, Use::Full, Use::Full)), None);
    }
}
