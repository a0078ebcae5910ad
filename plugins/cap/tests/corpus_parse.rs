//! Every collected file is read, and what the reader says agrees with what the schema and the text of the standard say.
//! The files are not part of this repository; without them the tests are skipped.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plugin_cap::wire::{self, Class, Container, Document, Hint, Refusal};

/// The folder of collected files, if it is here.
fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cap");
    if root.join("INDEX.md").is_file() {
        return Some(root);
    }
    println!("SKIPPED: {} is not here", root.display());
    None
}

/// Each file of the index with its verdict: `folder/name` to the verdict's words.
fn index(root: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root.join("INDEX.md")).expect("the index is readable");
    let mut folder = String::new();
    let mut files = BTreeMap::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            folder = heading.split('/').next().unwrap_or_default().to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.len() >= 7 && root.join(&folder).join(cells[1]).is_file() {
            files.insert(format!("{folder}/{}", cells[1]), format!("{} | {}", cells[5], cells[6]));
        }
    }
    files
}

/// The one file on which index and reader differ for a reason: its polygon ends with `21.280` where it began with `21.28`. The
/// index compares the texts and calls it open; as numbers they are one point.
const CLOSED_AS_NUMBERS: &str = "sahana/tsunami.xml";

/// A file's bytes; the placeholders for times in some of them become times.
fn bytes(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("the file is readable");
    if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("weathergov_")) {
        return bytes;
    }
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    let mut pieces = text.split("\"date:now");
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (_, rest) = piece.split_once('"').expect("a placeholder ends with a quote");
        whole.push_str("\"2026-11-23T12:00:00-06:00\"");
        whole.push_str(rest);
    }
    whole.into_bytes()
}

fn read(root: &Path, name: &str) -> Result<Document, Refusal> {
    wire::read(&bytes(&root.join(name)), Hint::default())
}

fn explain(document: &Result<Document, Refusal>) -> String {
    match document {
        Err(refusal) => format!("refused: {refusal}"),
        Ok(document) => {
            let problems: Vec<String> =
                document.messages.iter().flat_map(|it| &it.problems).map(|it| format!("{}: {it}", it.class)).collect();
            format!("{:?}, {} messages: {}", document.container, document.messages.len(), problems.join("; "))
        }
    }
}

#[test]
fn every_file_of_the_index_gets_the_verdict_it_deserves() {
    let Some(root) = corpus() else { return };
    let files = index(&root);
    assert!(files.len() >= 147, "the index lists {} files", files.len());
    let mut wrong = Vec::new();
    for (name, verdict) in &files {
        let document = read(&root, name);
        let strict = document.as_ref().is_ok_and(|it| it.messages.iter().all(wire::Message::is_strictly_valid));
        let messages = document.as_ref().map_or(0, |it| it.messages.len());
        let agrees = if name == CLOSED_AS_NUMBERS {
            strict && messages == 1
        } else if verdict.starts_with("valid JSON") {
            document.as_ref().is_ok_and(|it| it.container == Container::NwsJson)
                && verdict.contains(&format!("{messages} features"))
        } else if verdict.starts_with("valid") {
            strict && messages > 0
        } else if verdict.starts_with("schema-valid, breaks spec text") {
            // Real senders do this: accepted, and said.
            !strict && document.as_ref().is_ok_and(|it| it.messages.iter().all(|m| m.worst() < Some(Class::Fatal)))
        } else if verdict.starts_with("invalid: schema") && verdict.contains("DOCTYPE") {
            matches!(document, Err(Refusal::Doctype))
        } else if verdict.starts_with("invalid: schema") {
            document.is_ok() && !strict
        } else if verdict.starts_with("invalid: not well-formed") {
            matches!(document, Err(Refusal::NotWellFormed { .. } | Refusal::Encoding(_)))
        } else if verdict.starts_with("invalid: unknown namespace") {
            matches!(document, Err(Refusal::UnknownNamespace(_)))
        } else if verdict.starts_with("feed") {
            let entries = verdict.split('(').nth(1).and_then(|it| it.split(' ').next()).expect("a count of entries");
            document.as_ref().is_ok_and(|it| it.entries.len().to_string() == entries && it.messages.is_empty())
        } else if verdict.starts_with("schema |") || verdict.starts_with("other") {
            matches!(document, Err(Refusal::UnknownRoot(_)))
        } else {
            panic!("{name}: the verdict `{verdict}` is of no known kind");
        };
        if !agrees {
            wrong.push(format!("{name}\n   index: {verdict}\n   reader: {}", explain(&document)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}
