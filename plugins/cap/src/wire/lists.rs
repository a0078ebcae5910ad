//! The lists that CAP packs into one text: `addresses`, `incidents` and `references`.

use super::{Reference, time};

/// Splits at white space; an item in double quotes may hold white space. The flag says that a quote was left open: the rest
/// is one item then.
pub fn quoted(text: &str) -> (Vec<String>, bool) {
    let mut items = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('"') {
            Some(inner) => match inner.split_once('"') {
                Some(split) => split,
                None => {
                    items.push(inner.trim_end().to_owned());
                    return (items, true);
                }
            },
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        if !item.is_empty() {
            items.push(item.to_owned());
        }
        rest = after.trim_start();
    }
    (items, false)
}

/// Reads a list of `sender,identifier,sent`. A line break after a comma cuts an item in two for some senders: such pieces are
/// joined again. The second list holds what could not be read.
pub fn references(text: &str) -> (Vec<Reference>, Vec<String>) {
    let mut read = Vec::new();
    let mut bad = Vec::new();
    let mut open = String::new();
    for token in text.split_whitespace() {
        open.push_str(token);
        if open.ends_with(',') {
            continue;
        }
        let item = std::mem::take(&mut open);
        match reference(&item) {
            Some(reference) => read.push(reference),
            None => bad.push(item),
        }
    }
    if !open.is_empty() {
        bad.push(open);
    }
    (read, bad)
}

fn reference(item: &str) -> Option<Reference> {
    // Split at the first and the last comma: some identifiers hold commas although they must not.
    let (sender, rest) = item.split_once(',')?;
    let (identifier, sent) = rest.rsplit_once(',')?;
    let sent = time::parse(sent)?.ms;
    (!identifier.is_empty()).then(|| Reference {
        sender: sender.to_owned(),
        identifier: identifier.to_owned(),
        sent_ms: Some(sent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_items_together_and_an_open_one_takes_the_rest() {
        let (items, open) = quoted(" one \"two words\"\n three\t\"\" ");
        assert_eq!((items, open), (vec!["one".to_owned(), "two words".to_owned(), "three".to_owned()], false));
        let (items, open) = quoted("one \"two three ");
        assert_eq!((items, open), (vec!["one".to_owned(), "two three".to_owned()], true));
    }

    #[test]
    fn references_survive_wrapping_commas_and_breaks() {
        let text =
            "a@b,id1,2026-11-23T12:00:00-00:00\n\t a@b,id,2,\n2026-11-23T12:00:00Z c,id3, 2026-11-23T13:00:00Z junk";
        let (read, bad) = references(text);
        let ids: Vec<&str> = read.iter().map(|reference| reference.identifier.as_str()).collect();
        assert_eq!(ids, ["id1", "id,2", "id3"]);
        assert_eq!(bad, ["junk"]);
        assert_eq!(read[0].sent_ms, read[1].sent_ms);
    }
}
