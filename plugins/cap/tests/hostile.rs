//! Bytes that are meant to hurt: refused with a reason, at once, without a panic.

use std::time::{Duration, Instant};

use plugin_cap::{
    samples,
    wire::{self, Class, Document, Hint, Refusal},
};

const NOW: i64 = 1_795_435_200_000;

fn read(text: &str) -> Result<Document, Refusal> {
    let started = Instant::now();
    let result = wire::read(text.as_bytes(), Hint::default());
    // Not a measurement: far above what is needed, far below what quadratic work on these inputs takes.
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
    result
}

fn alert(inside: &str) -> String {
    format!(
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>1</identifier><sender>a@b</sender>{inside}</alert>"
    )
}

fn is_over(text: &str, wanted: &str) {
    match read(text) {
        Err(Refusal::OverLimit { what, .. }) => assert_eq!(what, wanted),
        other => panic!("expected too many {wanted}, got {:?}", other.map(|it| it.messages.len())),
    }
}

#[test]
fn a_document_type_is_refused_whatever_it_holds() {
    let bomb = "<!DOCTYPE alert [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    for kind in [bomb, "<!DOCTYPE alert SYSTEM \"http://127.0.0.1/x.dtd\">", "<!DOCTYPE alert>"] {
        assert!(matches!(read(&format!("{kind}{}", alert("<note>&b;</note>"))), Err(Refusal::Doctype)), "{kind}");
    }
    assert!(
        matches!(read(&alert("<note>&b;</note>")), Err(Refusal::NotWellFormed { .. })),
        "an entity nobody declared"
    );
}

#[test]
fn depth_width_and_length_are_bounded() {
    is_over(&alert(&"<x>".repeat(1_000_000)), "levels of nesting");
    is_over(&alert(&"<x/>".repeat(300_000)), "elements");
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=\"\"")).collect();
    is_over(&alert(&format!("<note{attributes}/>")), "attributes on one element");
    let namespaces: String = (0..20_000).map(|n| format!(" xmlns:a{n}=\"u\"")).collect();
    assert!(read(&alert(&format!("<note{namespaces}/>"))).is_err());
    is_over(&alert(&format!("<note>{}</note>", "x".repeat(7 << 20))), "bytes of text in one element");
}

#[test]
fn counts_are_bounded() {
    is_over(&alert(&"<info/>".repeat(65)), "info blocks");
    is_over(&alert(&format!("<info>{}</info>", "<area/>".repeat(2_001))), "areas in one block");
    is_over(&alert(&format!("<info>{}</info>", "<parameter/>".repeat(501))), "parameters in one block");
    let references = "a,b,2026-11-23T12:00:00Z ".repeat(1_001);
    is_over(&alert(&format!("<references>{references}</references>")), "references");
    let polygon = format!("<polygon>{}</polygon>", "1,1 ".repeat(100_001));
    is_over(&alert(&format!("<info><area>{polygon}{polygon}</area></info>")), "points of polygons");
    is_over(&alert(&format!("<info><area>{}</area></info>", "<polygon/>".repeat(10_001))), "polygons in one area");
    is_over(
        &alert("").replace("<identifier>1", &format!("<identifier>{}", "1".repeat(600))),
        "bytes of identifier or sender",
    );
    let too_large = vec![b' '; (8 << 20) + 1];
    assert!(matches!(wire::read(&too_large, Hint::default()), Err(Refusal::TooLarge { .. })));
}

#[test]
fn json_is_bounded_too() {
    assert!(matches!(read(&"[".repeat(1_000_000)), Err(Refusal::NotJson(_))));
    let feature = "{\"properties\":{\"id\":\"1\",\"sender\":\"s\"}},";
    let many = feature.repeat(10_001);
    is_over(&format!("{{\"features\":[{}]}}", many.trim_end_matches(',')), "alerts in one document");
    for odd in [
        "{}",
        "[]",
        "{\"features\":{}}",
        "{\"type\":\"Topology\"}",
        "{\"properties\":3}",
        "{\"features\":[null,3,\"x\"]}",
    ] {
        let all_refused =
            read(odd).map_or(true, |it| it.messages.iter().all(|message| message.worst() == Some(Class::Fatal)));
        assert!(all_refused, "{odd}");
    }
}

#[test]
fn controls_and_markup_do_not_reach_people() {
    let text =
        samples::warning(1, NOW).replace("A tornado was seen", "A\u{1b}[31m tor&#7;nado <![CDATA[<b>was</b>]]> seen");
    let document = read(&text).expect("is read");
    let description = &document.messages[0].alert.infos[0].description;
    assert!(description.starts_with("A[31m tornado <b>was</b> seen"), "{description}");
    assert!(!description.contains(|c: char| c.is_control() && c != '\n'));
    assert!(document.messages[0].problems.iter().any(|problem| problem.message.contains("control characters")));
}

/// Any damage to a good message is answered, never with a panic. The seed is printed; `CAP_SEED=N` replays it.
#[test]
#[expect(clippy::disallowed_methods, reason = "a number that differs from run to run")]
fn random_damage_never_panics() {
    let given = std::env::var("CAP_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
    });
    println!("replay with: CAP_SEED={seed} cargo test -p plugin-cap --test hostile random_damage");
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    };
    let geojson = "{\"features\":[{\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[1,2],[3,4],[5,6],[1,2]]]},\"properties\":\
                   {\"id\":\"1\",\"sender\":\"s\",\"sent\":\"2026-11-23T12:00:00Z\",\"status\":\"Actual\",\"messageType\":\
                   \"Alert\",\"event\":\"Tornado Warning\",\"parameters\":{\"VTEC\":[\"/O.NEW.KFWD.TO.W.0001.a-b/\"]}}}]}";
    let good = [samples::warning(1, NOW), samples::cancel(1, NOW, NOW + 1), geojson.to_owned()];
    let pieces = [
        "<",
        ">",
        "&",
        "\"",
        "<info>",
        "</info>",
        "]]>",
        "<![CDATA[",
        "&#x0;",
        "\u{feff}",
        ",",
        "-",
        "9999999999",
        "{",
        "[",
    ];
    for round in 0..4_000 {
        let mut bytes = good[round % good.len()].clone().into_bytes();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = random(256) as u8,
                1 => drop(bytes.drain(at..(at + random(40)).min(bytes.len()))),
                2 => drop(bytes.splice(at..at, pieces[random(pieces.len())].bytes())),
                _ => {
                    let from = random(bytes.len());
                    let copy: Vec<u8> = bytes[from..(from + random(200)).min(bytes.len())].to_vec();
                    drop(bytes.splice(at..at, copy));
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let verdicts = plugin_cap::explain(&bytes, &plugin_cap::settings::TriggerSettings::default(), NOW);
        assert!(!verdicts.is_empty(), "round {round} of seed {seed} was lost");
    }
}
