//! CAP alerts read per second on one core: a small one, and one of the length that the National Weather Service sends.
//! Beside it quick-xml, which only cuts the same bytes into tags and texts.

use std::time::{Duration, Instant};

use plugin_cap::{parse_many, samples};
use quick_xml::{Reader, events::Event};

use crate::{
    Options,
    report::{Goal, Report},
};

/// What a school's own button or a small county sends: one info, one area, no more than is required.
const SMALL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>example-county-2026-0042</identifier>
  <sender>alerts@county.example</sender>
  <sent>2026-11-03T14:05:00-05:00</sent>
  <status>Actual</status>
  <msgType>Alert</msgType>
  <scope>Public</scope>
  <info>
    <category>Met</category>
    <event>Tornado Warning</event>
    <urgency>Immediate</urgency>
    <severity>Extreme</severity>
    <certainty>Observed</certainty>
    <headline>Tornado warning for Example County</headline>
    <description>A tornado was seen near the fairground.</description>
    <instruction>Take cover now.</instruction>
    <area>
      <areaDesc>Example County</areaDesc>
      <polygon>38.47,-120.14 38.34,-119.95 38.52,-119.74 38.62,-119.89 38.47,-120.14</polygon>
    </area>
  </info>
</alert>
"#;

/// How many alerts are read between two looks at the clock.
const BATCH: usize = 200;

pub async fn run(options: Options) -> Report {
    let seconds = Duration::from_secs(options.rounds.unwrap_or(3) as u64);
    let weather = samples::warning(1, 1_793_732_700_000);
    let measured = tokio::task::spawn_blocking(move || {
        [SMALL, weather.as_str()].map(|text| {
            assert_eq!(parse_many([text.as_bytes()]), 1, "the alert is one");
            let ours = per_second(seconds, || assert_eq!(parse_many([text.as_bytes(); BATCH]), BATCH));
            let theirs = per_second(seconds, || (0..BATCH).for_each(|_| tags(text)));
            (text.len(), ours, theirs)
        })
    });
    let [small, weather] = measured.await.expect("reading does not panic");
    let mut report = Report::new("cap");
    report.note(format!("one thread; the small alert has {} bytes, the weather service's {}", small.0, weather.0));
    report.judge("small_per_s", small.1, Goal::AtLeast(25_000.0));
    report.figure("weather_per_s", weather.1);
    report.note("quick-xml, which looks at no value");
    report.peer("quick_xml_small_per_s", small.2);
    report.peer("quick_xml_weather_per_s", weather.2);
    report.peer("ratio", small.1 / small.2);
    report
}

fn per_second(at_least: Duration, mut batch: impl FnMut()) -> f64 {
    batch();
    let (begun, mut batches) = (Instant::now(), 0);
    while begun.elapsed() < at_least {
        batch();
        batches += 1;
    }
    (batches * BATCH) as f64 / begun.elapsed().as_secs_f64()
}

fn tags(text: &str) {
    let mut reader = Reader::from_str(text);
    let mut seen = 0_u32;
    loop {
        match reader.read_event().expect("it is well-formed") {
            Event::Eof => break,
            _ => seen += 1,
        }
    }
    std::hint::black_box(seen);
}
