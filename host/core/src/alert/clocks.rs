//! Whose clock is wrong: the one that differs from most.

use std::collections::BTreeMap;

use crate::{ids::ServerId, time::Span};

/// From this offset on a clock is told, and told anew as grave (redundancy sheet, section 5, "Clocks").
pub(super) const ALERT: Span = Span::millis(500);
pub(super) const GRAVE: Span = Span::millis(2000);
/// What was told ends only below nine tenths of the limit, so that a clock at the limit is not told again and again.
const ENDS: (u64, u64) = (9, 10);

/// How far each clock is ahead of the one in the middle, in milliseconds. Every server that measures the same offsets, from
/// wherever it looks, comes to the same. Between two in the middle the one that is nearer to the primary's counts: of two
/// servers the primary's.
pub(super) fn deviations(offsets: &BTreeMap<ServerId, i64>, primary: Option<ServerId>) -> BTreeMap<ServerId, i64> {
    let mut sorted: Vec<i64> = offsets.values().copied().collect();
    sorted.sort_unstable();
    let (low, high) = match sorted.len() {
        0 => return BTreeMap::new(),
        n => (sorted[(n - 1) / 2], sorted[n / 2]),
    };
    let primary = primary.and_then(|id| offsets.get(&id)).copied().unwrap_or(low);
    let middle = if primary.abs_diff(high) < primary.abs_diff(low) { high } else { low };
    offsets.iter().map(|(id, offset)| (*id, offset.saturating_sub(middle))).collect()
}

/// Whether an offset has reached a limit, or has not left it yet.
pub(super) fn reaches(offset_ms: i64, limit: Span, before: bool) -> bool {
    let limit = if before { limit.as_millis() * ENDS.0 / ENDS.1 } else { limit.as_millis() };
    offset_ms.unsigned_abs() >= limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(1);
    const B: ServerId = ServerId(2);
    const C: ServerId = ServerId(3);

    fn wrong(offsets: [(ServerId, i64); 3]) -> Vec<ServerId> {
        let found = deviations(&offsets.into(), Some(A));
        found.into_iter().filter(|(_, off)| reaches(*off, ALERT, false)).map(|(id, _)| id).collect()
    }

    #[test]
    fn of_three_the_odd_one_is_wrong_whoever_looks_and_the_primary_too() {
        // As A, B and C measure it, when B is 700 ms ahead.
        assert_eq!(wrong([(A, 0), (B, 700), (C, 4)]), [B]);
        assert_eq!(wrong([(A, -699), (B, 0), (C, -695)]), [B]);
        assert_eq!(wrong([(A, -3), (B, 698), (C, 0)]), [B]);
        // And when it is the primary's.
        assert_eq!(wrong([(A, 0), (B, -900), (C, -905)]), [A]);
        assert_eq!(wrong([(A, 900), (B, 0), (C, 3)]), [A]);
    }

    #[test]
    fn of_two_the_one_that_is_not_the_primary_is_wrong() {
        for (offsets, ahead) in [([(A, 0), (B, 700)], 700), ([(A, -700), (B, 0)], 700)] {
            let found = deviations(&offsets.into(), Some(A));
            assert_eq!((found[&A], found[&B]), (0, ahead));
        }
        assert!(deviations(&BTreeMap::new(), Some(A)).is_empty());
    }

    #[test]
    fn at_the_limit_it_is_not_told_twice() {
        assert!(!reaches(499, ALERT, false) && reaches(-500, ALERT, false));
        assert!(reaches(450, ALERT, true) && !reaches(449, ALERT, true));
    }
}
