//! Bytes become text: byte order mark first, then the XML declaration, then what HTTP said, then UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::{Hint, Refusal};

/// Decodes a document. Bytes that do not decode refuse it: half-read text must not be read out to people.
pub fn decode<'a>(bytes: &'a [u8], hint: Hint<'_>) -> Result<Cow<'a, str>, Refusal> {
    let (encoding, skip) = encoding(bytes, hint)?;
    let bytes = &bytes[skip..];
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::Empty);
    }
    if encoding == UTF_8 {
        return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Refusal::Encoding(UTF_8.name().to_owned()));
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| Refusal::Encoding(encoding.name().to_owned()))
}

fn encoding(bytes: &[u8], hint: Hint<'_>) -> Result<(&'static Encoding, usize), Refusal> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return Ok((encoding, length));
    }
    match bytes {
        [b'<', 0, ..] => return Ok((UTF_16LE, 0)),
        [0, b'<', ..] => return Ok((UTF_16BE, 0)),
        _ => {}
    }
    let named = declared(bytes).or(hint.charset.map(str::trim).filter(|name| !name.is_empty()));
    let Some(label) = named else { return Ok((UTF_8, 0)) };
    let encoding = Encoding::for_label(label.as_bytes()).ok_or_else(|| Refusal::UnknownEncoding(label.to_owned()))?;
    // A declaration that was read as ASCII cannot stand in UTF-16: whoever wrote it converted the file and left the name.
    Ok((if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding }, 0))
}

/// The encoding that an XML declaration names.
fn declared(bytes: &[u8]) -> Option<&str> {
    let head = &bytes[..bytes.len().min(256)];
    let head = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let head = std::str::from_utf8(&head[..end]).ok()?;
    let rest = head.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split_once(quote).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        decode(bytes, Hint::default()).expect("decodes").into_owned()
    }

    #[test]
    fn mark_wins_over_declaration_and_declaration_over_http() {
        assert_eq!(
            text(b"\xEF\xBB\xBF<?xml version='1.0' encoding='ISO-8859-1'?>\xC3\xA9"),
            "<?xml version='1.0' encoding='ISO-8859-1'?>\u{e9}"
        );
        let latin = b"<?xml version='1.0' encoding=\"ISO-8859-1\"?><a>\xE9</a>";
        let hint = Hint { charset: Some("utf-8") };
        assert!(decode(latin, hint).expect("decodes").contains('\u{e9}'));
        let hint = Hint { charset: Some("iso-8859-1") };
        assert_eq!(decode(b"<a>\xE9</a>", hint).expect("decodes"), "<a>\u{e9}</a>");
    }

    #[test]
    fn utf_16_is_read_with_and_without_a_mark() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for big in [false, true] {
            assert_eq!(text(&wide("\u{feff}<a>\u{e9}</a>", big)), "<a>\u{e9}</a>");
            assert_eq!(text(&wide("<a>\u{e9}</a>", big)), "<a>\u{e9}</a>");
        }
    }

    #[test]
    fn bytes_that_do_not_decode_are_refused_by_name() {
        assert_eq!(decode(b"<a>\xE9</a>", Hint::default()), Err(Refusal::Encoding("UTF-8".to_owned())));
        assert_eq!(decode(b" \r\n", Hint::default()), Err(Refusal::Empty));
        let unknown = decode(b"<?xml version='1.0' encoding='klingon'?><a/>", Hint::default());
        assert_eq!(unknown, Err(Refusal::UnknownEncoding("klingon".to_owned())));
    }
}
