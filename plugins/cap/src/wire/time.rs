//! Times as alerts write them: read leniently, judged strictly, told as one instant.

use jiff::{
    civil::{Date, Time},
    tz::Offset,
};

/// A time that was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant {
    /// Milliseconds since 1970 UTC.
    pub ms: i64,
    /// Whether it has the form that CAP 1.2 asks for.
    pub conforming: bool,
}

/// Reads `YYYY-MM-DDThh:mm:ss±hh:mm` and what senders make of it: `Z`, fractions, a space for `T`, offsets without a colon,
/// no seconds, no offset (taken as UTC), a leap second.
pub fn parse(text: &str) -> Option<Instant> {
    let bytes = text.trim().as_bytes();
    let mut scan = Scan { bytes, at: 0 };
    let year = scan.number(4)?;
    scan.exactly(b'-')?;
    let month = scan.number(2)?;
    scan.exactly(b'-')?;
    let day = scan.number(2)?;
    if !scan.take(b'T') && !scan.take(b't') && !scan.take(b' ') {
        return None;
    }
    let hour = scan.number(2)?;
    scan.exactly(b':')?;
    let minute = scan.number(2)?;
    let mut second = 0;
    if scan.take(b':') {
        second = scan.number(2)?;
    }
    let mut millis = 0;
    if scan.take(b'.') {
        let mut worth = 100;
        while let Some(digit) = scan.digit() {
            millis += worth * i64::from(digit);
            worth /= 10;
        }
    }
    let offset_seconds = scan.offset()?;
    if scan.at != bytes.len() {
        return None;
    }
    if second == 60 {
        second = 59;
    }
    // Midnight at the end of a day, as XML Schema allows.
    let next_day = hour == 24 && minute == 0 && second == 0 && millis == 0;
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    let date = if next_day { date.tomorrow().ok()? } else { date };
    let time = Time::new(if next_day { 0 } else { hour as i8 }, minute as i8, second as i8, 0).ok()?;
    let instant = Offset::from_seconds(offset_seconds).ok()?.to_timestamp(date.to_datetime(time)).ok()?;
    Some(Instant { ms: instant.as_second() * 1000 + millis, conforming: conforms(bytes) })
}

/// `YYYY-MM-DDThh:mm:ss±hh:mm`, given that the digits were read.
fn conforms(bytes: &[u8]) -> bool {
    let places = [(10, b'T'), (16, b':'), (22, b':')];
    bytes.len() == 25 && places.iter().all(|(place, byte)| bytes[*place] == *byte) && matches!(bytes[19], b'+' | b'-')
}

/// `2026-11-23T14:05:00Z`: one spelling for one instant, used in keys.
pub fn canonical(ms: i64) -> String {
    jiff::Timestamp::from_second(ms.div_euclid(1000)).map_or_else(|_| ms.to_string(), |instant| instant.to_string())
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn digit(&mut self) -> Option<u8> {
        let digit = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit())? - b'0';
        self.at += 1;
        Some(digit)
    }

    fn number(&mut self, digits: usize) -> Option<i32> {
        (0..digits).try_fold(0, |value, _| Some(value * 10 + i32::from(self.digit()?)))
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn exactly(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn offset(&mut self) -> Option<i32> {
        self.take(b' ');
        if self.at == self.bytes.len() || self.take(b'Z') || self.take(b'z') {
            return Some(0);
        }
        let sign = if self.take(b'-') {
            -1
        } else {
            // The pattern of the 1.2 schema lets a comma stand for the sign.
            (self.take(b'+') || self.take(b',')).then_some(1)?
        };
        let hours = self.number(2)?;
        let minutes = if self.take(b':') || self.at < self.bytes.len() { self.number(2)? } else { 0 };
        (hours <= 25 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        parse(text).unwrap_or_else(|| panic!("`{text}` is not read")).ms
    }

    #[test]
    fn one_instant_in_many_spellings() {
        let noon = ms("2026-11-23T12:00:00-00:00");
        for spelling in [
            "2026-11-23T12:00:00+00:00",
            "2026-11-23T12:00:00Z",
            "2026-11-23T06:00:00-06:00",
            "2026-11-23T17:30:00+05:30",
            "2026-11-23T12:00:00.000Z",
            "2026-11-23 12:00:00 +0000",
            "2026-11-23T12:00Z",
            "2026-11-23T12:00:00",
            " 2026-11-23t12:00:00z ",
            "2026-11-23T07:00:00-05",
        ] {
            assert_eq!(ms(spelling), noon, "{spelling}");
        }
        assert_eq!(ms("2026-11-23T12:00:00.25Z"), noon + 250);
        assert_eq!(ms("2026-11-23T24:00:00Z"), ms("2026-11-24T00:00:00Z"));
        assert_eq!(canonical(noon), "2026-11-23T12:00:00Z");
    }

    #[test]
    fn only_the_one_form_conforms() {
        let conforming = |text: &str| parse(text).expect("is read").conforming;
        assert!(conforming("2026-11-23T12:00:00-00:00"));
        assert!(conforming("2026-11-23T12:00:00+05:30"));
        for text in ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.5-06:00", "2026-11-23t12:00:00-06:00"] {
            assert!(!conforming(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        let wrong = "bigboi|2026|2026-13-01T00:00:00Z|2026-02-30T00:00:00Z|2026-11-23T25:00:00Z|2026-11-23T12:00:00-6:00|\
                     2026-11-23T12:00:00Zx|date:now -1 hour|\u{e9}026-11-23T12:00:00Z|2026-11-23T12:00:00+99:00|";
        for text in wrong.split('|') {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
