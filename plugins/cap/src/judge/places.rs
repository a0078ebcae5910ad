//! Codes of places: what an administrator names against what an alert names, with the whole-state and part-of-county rules
//! of each list.

/// State and territory abbreviations with their FIPS numbers.
const STATES: &[(&str, &str)] = &[
    ("AL", "01"),
    ("AK", "02"),
    ("AZ", "04"),
    ("AR", "05"),
    ("CA", "06"),
    ("CO", "08"),
    ("CT", "09"),
    ("DE", "10"),
    ("DC", "11"),
    ("FL", "12"),
    ("GA", "13"),
    ("HI", "15"),
    ("ID", "16"),
    ("IL", "17"),
    ("IN", "18"),
    ("IA", "19"),
    ("KS", "20"),
    ("KY", "21"),
    ("LA", "22"),
    ("ME", "23"),
    ("MD", "24"),
    ("MA", "25"),
    ("MI", "26"),
    ("MN", "27"),
    ("MS", "28"),
    ("MO", "29"),
    ("MT", "30"),
    ("NE", "31"),
    ("NV", "32"),
    ("NH", "33"),
    ("NJ", "34"),
    ("NM", "35"),
    ("NY", "36"),
    ("NC", "37"),
    ("ND", "38"),
    ("OH", "39"),
    ("OK", "40"),
    ("OR", "41"),
    ("PA", "42"),
    ("RI", "44"),
    ("SC", "45"),
    ("SD", "46"),
    ("TN", "47"),
    ("TX", "48"),
    ("UT", "49"),
    ("VT", "50"),
    ("VA", "51"),
    ("WA", "53"),
    ("WV", "54"),
    ("WI", "55"),
    ("WY", "56"),
    ("AS", "60"),
    ("GU", "66"),
    ("MP", "69"),
    ("PR", "72"),
    ("VI", "78"),
];

/// A place that a trigger is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A US county by its six digits PSSCCC, or a state by `0SS000`, or everything by `000000`.
    Same(String),
    /// A US forecast zone or county, such as `TXZ119`.
    Ugc(String),
    /// A US state by its two letters.
    State(String),
    /// A Canadian place by the first digits of its SGC code.
    Sgc(String),
    /// A code of a named list; without a name, of any list.
    Other(Option<String>, String),
}

impl Place {
    /// Reads `048113`, `48113`, `TXC113`, `TX`, `SGC:3506008`, `EMMA_ID:UK113`, or any other code.
    pub fn parse(text: &str) -> Place {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some((name, value)) = text.split_once([':', '=']) {
            let (name, value) = (name.trim().to_ascii_uppercase(), value.trim());
            return match name.as_str() {
                "SAME" | "FIPS6" if digits(value) && value.len() <= 6 => Place::Same(format!("{value:0>6}")),
                "UGC" => Place::Ugc(value.to_ascii_uppercase()),
                "SGC" => Place::Sgc(value.to_owned()),
                _ => Place::Other(Some(name), value.to_owned()),
            };
        }
        if STATES.iter().any(|(letters, _)| *letters == upper) {
            return Place::State(upper);
        }
        if digits(text) && matches!(text.len(), 5 | 6) {
            return Place::Same(format!("{text:0>6}"));
        }
        if digits(text) && matches!(text.len(), 2 | 4 | 7) {
            return Place::Sgc(text.to_owned());
        }
        if is_ugc(&upper) { Place::Ugc(upper) } else { Place::Other(None, text.to_owned()) }
    }

    /// Whether a code of an alert covers this place, in whole or in part.
    pub fn matches(&self, name: &str, value: &str) -> bool {
        let value = value.trim();
        if name.eq_ignore_ascii_case("FIPS6") && value.contains(char::is_whitespace) {
            return value.split_whitespace().any(|one| self.matches(name, one));
        }
        let same = name.eq_ignore_ascii_case("SAME") || name.eq_ignore_ascii_case("FIPS6");
        let ugc = name.eq_ignore_ascii_case("UGC");
        match self {
            Place::Same(wanted) if same => same_covers(wanted, value),
            Place::Same(wanted) if ugc => county(value).is_some_and(|code| same_covers(wanted, &code)),
            Place::Ugc(wanted) if ugc => ugc_covers(wanted, &value.to_ascii_uppercase()),
            Place::Ugc(wanted) if same => county(wanted).is_some_and(|code| same_covers(&code, value)),
            Place::State(letters) if ugc => value.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(letters)),
            Place::State(letters) if same => {
                let number = STATES.iter().find(|(known, _)| known == letters).map(|(_, number)| *number);
                number.is_some_and(|number| same_covers(&format!("0{number}000"), value))
            }
            // A shorter code is a larger place, on either side.
            Place::Sgc(wanted) if is_sgc(name) => {
                !value.is_empty() && (value.starts_with(wanted.as_str()) || wanted.starts_with(value))
            }
            Place::Other(list, wanted) => {
                list.as_ref().is_none_or(|list| list.eq_ignore_ascii_case(name)) && wanted.eq_ignore_ascii_case(value)
            }
            _ => false,
        }
    }
}

fn is_sgc(name: &str) -> bool {
    name.get(..24).is_some_and(|start| start.eq_ignore_ascii_case("profile:CAP-CP:Location:"))
}

fn is_ugc(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 6
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && matches!(bytes[2], b'Z' | b'C')
        && (bytes[3..].iter().all(u8::is_ascii_digit) || &bytes[3..] == b"ALL")
}

/// `PSSCCC` against `PSSCCC`: nought for the county is the whole state, nought for the state the whole country, nought for
/// the part the whole county.
fn same_covers(wanted: &str, value: &str) -> bool {
    let value = if value.len() == 5 { format!("0{value}") } else { value.to_owned() };
    if value.len() != 6 || wanted.len() != 6 || !value.is_ascii() || !wanted.is_ascii() {
        return false;
    }
    let meet = |range: std::ops::Range<usize>, all: &str| {
        let (a, b) = (&wanted[range.clone()], &value[range]);
        a == all || b == all || a == b
    };
    if &wanted[1..] == "00000" || &value[1..] == "00000" {
        return true;
    }
    wanted[1..3] == value[1..3] && meet(3..6, "000") && meet(0..1, "0")
}

fn ugc_covers(wanted: &str, value: &str) -> bool {
    if wanted == value {
        return true;
    }
    let whole = |code: &str| code.ends_with("000") || code.ends_with("ALL");
    let (Some(a), Some(b)) = (wanted.get(..3), value.get(..3)) else { return false };
    a == b && (whole(wanted) || whole(value))
}

/// The SAME code of a UGC county.
fn county(ugc: &str) -> Option<String> {
    let (state, rest) = (ugc.get(..2)?, ugc.get(2..)?);
    let number = rest.strip_prefix(['C', 'c']).filter(|number| number.len() == 3)?;
    let (_, fips) = STATES.iter().find(|(letters, _)| state.eq_ignore_ascii_case(letters))?;
    Some(if number.eq_ignore_ascii_case("ALL") { format!("0{fips}000") } else { format!("0{fips}{number}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(wanted: &str, name: &str, value: &str) -> bool {
        Place::parse(wanted).matches(name, value)
    }

    #[test]
    fn a_county_is_met_by_itself_its_parts_its_state_and_its_country() {
        for value in ["048113", "948113", "048000", "000000", "48113"] {
            assert!(hit("048113", "SAME", value), "{value}");
            assert!(hit("48113", "same", value), "{value}");
        }
        assert!(hit("048113", "FIPS6", "048085 048113"));
        assert!(!hit("048113", "SAME", "048085") && !hit("048113", "SAME", "047113") && !hit("048113", "SAME", ""));
        assert!(hit("948113", "SAME", "048113") && !hit("948113", "SAME", "148113"), "parts of a county are apart");
        assert!(!hit("048113", "FIPS", "048113"), "FIPS is another list");
    }

    #[test]
    fn a_state_is_met_by_every_code_in_it() {
        assert!(hit("TX", "SAME", "048113") && hit("TX", "UGC", "TXZ119") && hit("tx", "SAME", "048000"));
        assert!(!hit("TX", "SAME", "040027") && !hit("TX", "UGC", "OKC027"));
    }

    #[test]
    fn zones_and_counties_meet_across_lists() {
        assert!(hit("TXZ119", "UGC", "txz119") && hit("TXZ119", "UGC", "TXZALL") && !hit("TXZ119", "UGC", "TXC119"));
        assert!(hit("TXC113", "SAME", "048113") && hit("048113", "UGC", "TXC113") && !hit("TXZ113", "SAME", "048113"));
    }

    #[test]
    fn canadian_codes_meet_by_prefix_and_others_as_they_stand() {
        let list = "profile:CAP-CP:Location:0.3";
        assert!(hit("SGC:3506008", list, "3506008") && hit("3506", list, "3506008") && hit("3506008", list, "35"));
        assert!(!hit("3506008", list, "2466") && !hit("3506008", list, ""));
        assert!(hit("EMMA_ID:uk113", "EMMA_ID", "UK113") && !hit("EMMA_ID:UK113", "NUTS2", "UK113"));
        assert!(hit("FR623", "NUTS3", "FR623"));
    }
}
