//! How often everything that was asked for was shown.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::{Explained, Fault, Sent, Why, witness::Still};

/// What the displays saw of a load.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// Activations that some server accepted.
    pub accepted: usize,
    /// Of these, those accepted with one copy only.
    pub degraded: usize,
    /// Activations that nobody accepted, with the reasons.
    pub refused: Vec<String>,
    /// Accepted activations and the displays that never showed them, as `text on display`.
    pub lost: Vec<String>,
    /// What was shown more than once, as `text on display: times`.
    pub doubled: Vec<String>,
    /// The highest number of times that one display showed one activation.
    pub most: usize,
    /// How often a display was told to show something.
    pub contacts: usize,
    /// When each display that was told something again had been told it for the first time, once for each repetition.
    pub again: Vec<Instant>,
    /// When the machine itself stood still.
    pub(crate) stills: Vec<Still>,
}

impl Count {
    /// `shown` holds the texts of each display, `each` displays in a row belong to one notification.
    pub(crate) fn of(sent: &[Sent], shown: &[Vec<(Instant, String)>], each: usize) -> Count {
        let times: Vec<BTreeMap<&str, Vec<Instant>>> = shown
            .iter()
            .map(|texts| {
                let mut times: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
                for (at, text) in texts {
                    times.entry(text.as_str()).or_default().push(*at);
                }
                times
            })
            .collect();
        let mut count = Count::default();
        for one in sent {
            match one.accepted_by {
                Some(_) => count.accepted += 1,
                None => count.refused.push(format!("{}: {}", one.text, one.refused.join("; "))),
            }
            count.degraded += usize::from(one.degraded);
            for (display, times) in times.iter().enumerate().skip(one.line * each).take(each) {
                let moments = times.get(one.text.as_str()).map_or(&[][..], Vec::as_slice);
                let seen = moments.len();
                count.again.extend(moments.first().into_iter().cycle().take(seen.saturating_sub(1)));
                count.contacts += seen;
                count.most = count.most.max(seen);
                if seen == 0 && one.accepted_by.is_some() {
                    count.lost.push(format!("{} on display {display}", one.text));
                }
                if seen > 1 {
                    count.doubled.push(format!("{} on display {display}: {seen}", one.text));
                }
            }
        }
        count
    }

    /// Why each repetition came, where this was the only fault, or there was none.
    pub fn explained(&self, what: &'static str, fault: Option<&Fault>) -> Explained {
        let mut doubled = BTreeMap::new();
        for first in &self.again {
            *doubled.entry(Why::of(*first, fault, &self.stills)).or_default() += 1;
        }
        Explained { what, contacts: self.contacts, doubled }
    }

    /// Whether nothing that was accepted is missing.
    pub fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_missing_and_what_came_twice_is_named() {
        let sent = |text: &str, accepted_by| Sent {
            text: text.to_owned(),
            line: 0,
            accepted_by,
            owner: String::new(),
            degraded: false,
            refused: Vec::new(),
            at: Instant::now(),
            took: Duration::ZERO,
        };
        let (at, text) = (Instant::now(), |text: &str| text.to_owned());
        let shown = [vec![(at, text("a")), (at, text("a"))], vec![(at, text("a")), (at, text("b"))]];
        let count = Count::of(&[sent("a", Some(0)), sent("b", Some(1)), sent("c", None)], &shown, 2);
        assert_eq!((count.accepted, count.most, count.contacts), (2, 2, 4));
        assert_eq!(
            (count.lost, count.doubled),
            (vec!["b on display 0".to_owned()], vec!["a on display 0: 2".to_owned()])
        );
        assert_eq!(count.again, [at]);
        assert_eq!(count.refused.len(), 1, "c was promised by nobody, so that its absence is no loss");
    }
}
