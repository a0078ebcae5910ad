//! Alerts that are long over, moved to this moment: every time in a document is moved forward by the same span, so that what
//! was said about when still holds among themselves (references included).

use jiff::{Timestamp, tz::TimeZone};
use plugin_cap::wire::{self, Hint, time};

/// A copy with other times.
#[derive(Debug, PartialEq, Eq)]
pub struct Retimed {
    /// The copy.
    pub bytes: Vec<u8>,
    /// When the newest alert of the original was sent, in milliseconds since 1970 UTC.
    pub newest_ms: i64,
    /// By how much every time was moved.
    pub by_ms: i64,
}

/// Moves all times so that the newest alert was sent at `now_ms`. Nothing when no alert says when it was sent.
pub fn retime(bytes: &[u8], now_ms: i64) -> Option<Retimed> {
    let document = wire::read(bytes, Hint::default()).ok()?;
    let newest_ms = document.messages.iter().filter_map(|message| Some(message.alert.sent.as_ref()?.ms)).max()?;
    // Whole seconds: alerts are written without fractions.
    let by_ms = (now_ms - newest_ms).div_euclid(1000) * 1000;
    let mut copy = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let found = stamp(&bytes[at..]);
        match found.and_then(|(local, offset)| Some((local + offset, moved(&bytes[at..], local, offset, by_ms)?))) {
            Some((length, text)) => {
                copy.extend_from_slice(text.as_bytes());
                at += length;
            }
            None => {
                copy.push(bytes[at]);
                at += 1;
            }
        }
    }
    Some(Retimed { bytes: copy, newest_ms, by_ms })
}

/// The time that the bytes begin with, such as `2026-11-23T14:05:00-06:00`: how long its local part is, and its offset.
fn stamp(bytes: &[u8]) -> Option<(usize, usize)> {
    let form = b"dddd-dd-ddTdd:dd";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
    if bytes.len() < form.len() || !bytes.iter().zip(form).all(fits) {
        return None;
    }
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let mut local = form.len();
    for separator in [b':', b'.'] {
        if bytes.get(local) == Some(&separator) && digits(local + 1) > 0 {
            local += 1 + digits(local + 1);
        }
    }
    let offset = match &bytes[local..] {
        [b'Z', ..] => 1,
        [b'+' | b'-', a, b, b':', c, d, ..] if [a, b, c, d].iter().all(|it| it.is_ascii_digit()) => 6,
        [b'+' | b'-', a, b, c, d, ..] if [a, b, c, d].iter().all(|it| it.is_ascii_digit()) => 5,
        _ => 0,
    };
    Some((local, offset))
}

/// The same time moved, with the offset as it was written.
fn moved(bytes: &[u8], local: usize, offset: usize, by_ms: i64) -> Option<String> {
    let text = |range: std::ops::Range<usize>| std::str::from_utf8(&bytes[range]).ok();
    let instant = time::parse(text(0..local)?)?;
    let instant = Timestamp::from_millisecond(instant.ms + by_ms).ok()?;
    let local_text = instant.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    Some(local_text + text(local..local + offset)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERT: &str = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>one</identifier>\
        <sender>a@example.org</sender><sent>2013-04-05T10:00:00-06:00</sent><status>Actual</status><msgType>Update</msgType>\
        <scope>Public</scope><references>a@example.org,zero,2013-04-05T09:30:00-06:00</references></alert>";

    #[test]
    fn every_time_moves_by_the_same_span_and_keeps_its_offset() {
        let sent_ms = time::parse("2013-04-05T16:00:00Z").expect("a time").ms;
        let by_ms = 365 * 86_400_000;
        let copy = retime(ALERT.as_bytes(), sent_ms + by_ms + 400).expect("it says when it was sent");
        assert_eq!((copy.newest_ms, copy.by_ms), (sent_ms, by_ms));
        let text = String::from_utf8(copy.bytes).expect("text");
        assert_eq!(text, ALERT.replace("2013-", "2014-"));
    }

    #[test]
    fn what_only_looks_like_a_time_is_left_as_it_is() {
        let odd = ALERT.replace("one", "2013-99-99T99:99:99Z and 2013-04-05 and 2013-04-05T1");
        let copy = retime(odd.as_bytes(), time::parse("2014-04-05T16:00:00Z").expect("a time").ms).expect("is moved");
        let text = String::from_utf8(copy.bytes).expect("text");
        assert!(text.contains("2013-99-99T99:99:99Z and 2013-04-05 and 2013-04-05T1"), "{text}");
        assert_eq!(retime(b"<alert/>", 0), None);
        assert_eq!(retime(b"2013-04-05T10:0", 0), None);
    }
}
