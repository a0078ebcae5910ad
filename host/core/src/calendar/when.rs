//! Dates, times of day and weekdays as calendars write them.

use std::{fmt, str::FromStr};

use jiff::{ToSpan, civil};

use crate::as_text::as_text;

/// A date that is not written `YYYY-MM-DD`, or that no calendar has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date; write it as 2026-09-01")]
pub struct BadDate(pub String);

/// A time that is not written `HH:MM` or `HH:MM:SS`, or that no day has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time of day; write it as 08:00 or 08:00:30")]
pub struct BadTime(pub String);

/// A date of the civil calendar, `2026-09-01` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub(super) civil::Date);

/// A local time of day, `08:00` or `08:00:30` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(pub(super) civil::Time);

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weekday {
    /// The first by ISO 8601.
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The seventh.
    Sunday,
}

impl Weekday {
    /// All seven, Monday first.
    pub const ALL: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Weekday::Monday => "Monday",
            Weekday::Tuesday => "Tuesday",
            Weekday::Wednesday => "Wednesday",
            Weekday::Thursday => "Thursday",
            Weekday::Friday => "Friday",
            Weekday::Saturday => "Saturday",
            Weekday::Sunday => "Sunday",
        }
    }
}

/// The numbers of a text whose parts have these widths and stand between `separator`s.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i16; N]> {
    let mut out = [0; N];
    let mut parts = text.split(separator);
    for (number, width) in out.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

impl FromStr for Date {
    type Err = BadDate;
    fn from_str(text: &str) -> Result<Date, BadDate> {
        let read = numbers(text, '-', [4, 2, 2]);
        let date = read.and_then(|[year, month, day]| civil::Date::new(year, month as i8, day as i8).ok());
        date.map(Date).ok_or_else(|| BadDate(text.to_owned()))
    }
}

impl FromStr for TimeOfDay {
    type Err = BadTime;
    fn from_str(text: &str) -> Result<TimeOfDay, BadTime> {
        let read = numbers(text, ':', [2, 2, 2]);
        let read = read.or_else(|| numbers(text, ':', [2, 2]).map(|[hour, minute]| [hour, minute, 0]));
        let time =
            read.and_then(|[hour, minute, second]| civil::Time::new(hour as i8, minute as i8, second as i8, 0).ok());
        time.map(TimeOfDay).ok_or_else(|| BadTime(text.to_owned()))
    }
}

impl Date {
    /// The date so many days later, or earlier; the last or first that there is, where there is none.
    pub fn plus(self, days: i64) -> Date {
        Date(self.0.saturating_add(days.clamp(-4_000_000, 4_000_000).days()))
    }

    /// How many days it is from this date to another one.
    pub fn until(self, other: Date) -> i64 {
        self.0.duration_until(other.0).as_hours() / 24
    }

    /// Which day of the week it is.
    pub fn weekday(self) -> Weekday {
        Weekday::ALL[self.0.weekday().to_monday_zero_offset() as usize]
    }

    /// As people read it: `Tuesday 1 September 2026`.
    pub fn long(self) -> String {
        self.0.strftime("%A %-d %B %Y").to_string()
    }

    /// As people read it where there is little room: `Tue 1 Sep`.
    pub fn short(self) -> String {
        self.0.strftime("%a %-d %b").to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())?;
        match self.0.second() {
            0 => Ok(()),
            second => write!(f, ":{second:02}"),
        }
    }
}

as_text!(Date);
as_text!(TimeOfDay);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_as_they_are_written_and_nothing_else() {
        for text in ["2026-09-01", "2028-02-29"] {
            assert_eq!(text.parse::<Date>().expect(text).to_string(), text);
        }
        for text in ["08:00", "23:59:59"] {
            assert_eq!(text.parse::<TimeOfDay>().expect(text).to_string(), text);
        }
        assert_eq!("08:00:00".parse::<TimeOfDay>().expect("a time").to_string(), "08:00");
        for bad in ["", "2026-9-1", "2026-02-29", "2026-09-01T08:00", "+026-09-01", "2026-13-01"] {
            assert_eq!(bad.parse::<Date>(), Err(BadDate(bad.to_owned())));
        }
        for bad in ["", "8:00", "24:00", "08:60", "08:00:61", "08:00:00:00", "٠٨:٠٠"] {
            assert_eq!(bad.parse::<TimeOfDay>(), Err(BadTime(bad.to_owned())));
        }
    }

    #[test]
    fn days_are_counted_over_months_and_leap_days() {
        let date = |text: &str| text.parse::<Date>().expect("a date");
        assert_eq!(date("2028-02-28").plus(1), date("2028-02-29"));
        assert_eq!(date("2028-02-28").until(date("2028-03-01")), 2);
        assert_eq!(date("2028-03-01").plus(-2), date("2028-02-28"));
        assert_eq!(date("9999-12-31").plus(1), date("9999-12-31"));
        assert_eq!(
            (date("2026-11-26").weekday().name(), date("2026-11-26").short()),
            ("Thursday", "Thu 26 Nov".into())
        );
    }
}
