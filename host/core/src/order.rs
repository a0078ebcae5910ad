//! From a priority group to the one server that owns.

use crate::{ids::ServerId, version::Fit};

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

/// How good an owner a server is for one activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worth {
    pub(crate) usable: Use,
    pub(crate) fit: Fit,
}

impl Worth {
    /// Nothing speaks against it.
    pub(crate) const BEST: Worth = Worth { usable: Use::Full, fit: Fit::Matches };

    /// The order of preference; `None`: not at all. A server whose drivers do not match comes behind every matching one,
    /// held ones included: a version that differs may, and a driver that is missing will, leave an endpoint without its
    /// alarm, and a hold-down only spares people a change. A leaving server comes last, whatever its drivers: it is going.
    fn rank(self) -> Option<(bool, Fit, Use)> {
        match self.usable {
            Use::None => None,
            Use::Leaving => Some((false, self.fit, self.usable)),
            Use::Held | Use::Full => Some((true, self.fit, self.usable)),
        }
    }
}

/// The owner of what comes in at this moment: the best server of the group, and of equally good ones the first.
pub(crate) fn owner(group: &[ServerId], of: impl Fn(ServerId) -> Worth) -> Option<ServerId> {
    let ranked = group.iter().filter_map(|id| Some((of(*id).rank()?, *id)));
    // The fold keeps the first of equals.
    ranked.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(1);
    const B: ServerId = ServerId(2);
    const C: ServerId = ServerId(3);

    fn chosen(group: &[ServerId], worth: [(Use, Fit); 3]) -> Option<ServerId> {
        owner(group, |id| {
            let (usable, fit) = worth[id.0 as usize - 1];
            Worth { usable, fit }
        })
    }

    #[test]
    fn the_first_that_may_own_is_taken_and_held_ones_only_where_nobody_better_is_up() {
        let of = |uses: [Use; 3]| uses.map(|usable| (usable, Fit::Matches));
        assert_eq!(chosen(&[A, B, C], of([Use::Full, Use::Full, Use::Full])), Some(A));
        assert_eq!(chosen(&[C, A], of([Use::Full, Use::Full, Use::Full])), Some(C));
        assert_eq!(chosen(&[A, B, C], of([Use::None, Use::Full, Use::Full])), Some(B));
        assert_eq!(chosen(&[A, B, C], of([Use::Held, Use::None, Use::Full])), Some(C));
        assert_eq!(chosen(&[A, B, C], of([Use::Leaving, Use::None, Use::Held])), Some(C));
        assert_eq!(chosen(&[A, B, C], of([Use::Leaving, Use::None, Use::None])), Some(A));
        assert_eq!(chosen(&[A, B, C], of([Use::None, Use::None, Use::None])), None);
        assert_eq!(chosen(&[], of([Use::Full, Use::Full, Use::Full])), None);
    }

    #[test]
    fn a_matching_server_comes_before_one_whose_drivers_differ_and_that_before_one_that_lacks_a_driver() {
        use Fit::{Differs, Lacks, Matches};
        use Use::{Full, Held, Leaving, None as Gone};
        let all = [A, B, C];
        assert_eq!(chosen(&all, [(Full, Differs), (Full, Matches), (Full, Matches)]), Some(B));
        assert_eq!(
            chosen(&all, [(Full, Differs), (Held, Matches), (Gone, Matches)]),
            Some(B),
            "behind every matching one"
        );
        assert_eq!(chosen(&all, [(Full, Lacks), (Full, Differs), (Gone, Matches)]), Some(B));
        assert_eq!(chosen(&all, [(Full, Differs), (Gone, Matches), (Leaving, Matches)]), Some(A), "C is going");
        assert_eq!(chosen(&all, [(Full, Lacks), (Full, Lacks), (Gone, Matches)]), Some(A), "with what it has");
        assert_eq!(chosen(&all, [(Leaving, Differs), (Leaving, Matches), (Gone, Matches)]), Some(B));
    }
}
