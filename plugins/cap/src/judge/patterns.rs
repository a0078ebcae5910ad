//! What administrators write to name events, senders, codes and parameters, and whether it fits.

use super::sets;
use crate::wire::Info;

/// `name@example.org` exactly, `@example.org` for everybody there; letters' case does not count.
pub(super) fn is_sender(wanted: &str, sender: &str) -> bool {
    let wanted = wanted.trim();
    if wanted.starts_with('@') {
        return sender.to_ascii_lowercase().ends_with(&wanted.to_ascii_lowercase());
    }
    !wanted.is_empty() && wanted.eq_ignore_ascii_case(sender)
}

/// Whether a lower-case text is what a lower-case pattern says, where `*` stands for anything.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

/// `TOR` in the list that tells the event, or `SAME=TOR` in that list.
pub(super) fn code_fits(wanted: &str, info: &Info) -> bool {
    match wanted.trim().rsplit_once('=') {
        Some((list, code)) => info.event_code(list.trim()).any(|found| found.eq_ignore_ascii_case(code.trim())),
        None => {
            let known =
                sets::codes(info).chain(sets::canada(info)).any(|found| found.eq_ignore_ascii_case(wanted.trim()));
            // Lists that nobody foresaw count as they stand; the filler letters of the known ones do not.
            let foreign =
                |name: &str| !name.eq_ignore_ascii_case("SAME") && !name.eq_ignore_ascii_case("NationalWeatherService");
            known || info.event_codes.iter().any(|it| foreign(&it.name) && it.value.eq_ignore_ascii_case(wanted.trim()))
        }
    }
}

/// `name`, `name=value`, `name<number` or `name>number`.
pub(super) fn parameter_fits(wanted: &str, info: &Info) -> bool {
    let wanted = wanted.trim();
    let Some(at) = wanted.find(['=', '<', '>']) else {
        return wanted.is_empty() || info.parameter(wanted).next().is_some();
    };
    let (name, value) = (wanted[..at].trim(), wanted[at + 1..].trim());
    let number = |text: &str| -> Option<f64> {
        let digits: String =
            text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse().ok()
    };
    info.parameter(name).any(|found| match (wanted.as_bytes()[at], number(found), number(value)) {
        (b'=', ..) => found.trim().eq_ignore_ascii_case(value),
        (b'<', Some(found), Some(limit)) => found < limit,
        (b'>', Some(found), Some(limit)) => found > limit,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text) in
            [("tornado*", "tornado warning"), ("*flood*", "flash flood watch"), ("a*b*c", "axxbyyc"), ("*", "")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("tornado", "tornado warning"), ("*watch", "watchful"), ("a*b*c", "acb"), ("ab*ba", "aba")]
        {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn senders_are_named_whole_or_by_their_domain() {
        assert!(is_sender("@noaa.gov", "w-nws.webmaster@NOAA.gov") && is_sender("a@b", "A@b"));
        assert!(!is_sender("@aa.gov", "x@noaa.gov") && !is_sender("noaa.gov", "x@noaa.gov") && !is_sender("", ""));
    }

    #[test]
    fn numbers_in_parameters_are_compared_as_numbers() {
        let named = |name: &str, value: &str| crate::wire::Named { name: name.to_owned(), value: value.to_owned() };
        let info = Info {
            parameters: vec![named("maxWindGust", "70 MPH"), named("tornadoDetection", "OBSERVED")],
            ..Info::default()
        };
        assert!(parameter_fits("maxWindGust>60", &info) && !parameter_fits("maxWindGust > 70", &info));
        assert!(parameter_fits("tornadoDetection = observed", &info) && !parameter_fits("hailThreat=x", &info));
        assert!(parameter_fits("maxWindGust<100", &info) && !parameter_fits("tornadoDetection>1", &info));
    }
}
