//! The built-in tones, computed: they need no file and are there on the worst day.

use std::f64::consts::TAU;

/// Loudest sample of every tone: 6 dB below full scale.
const PEAK: f64 = 0.5;
/// Every tone begins and ends with a ramp of this length, because a step is heard as a click.
const RAMP_SECONDS: f64 = 0.01;

/// The value of a tone at a time in seconds, before it is brought to level.
type Wave = fn(f64) -> f64;

/// The built-in tones: name, length in seconds, and the wave.
const TONES: [(&str, f64, Wave); 8] = [
    ("chime", 2.0, chime),
    ("chime-up", 2.4, chime_up),
    ("bell", 2.5, bell),
    ("school-bell", 4.0, school_bell),
    ("alert", 4.0, alert),
    ("warble", 4.0, warble),
    ("siren", 6.0, siren),
    ("tone-1khz", 2.0, tone),
];

/// The names of the built-in tones.
pub fn names() -> impl Iterator<Item = &'static str> {
    TONES.iter().map(|(name, _, _)| *name)
}

/// A tone's samples at this rate; nothing when there is no tone of this name.
pub fn samples(name: &str, rate: u32) -> Option<Vec<f32>> {
    let (_, seconds, wave) = TONES.iter().find(|(known, _, _)| *known == name)?;
    let length = (seconds * f64::from(rate)) as u32;
    let raw: Vec<f64> = (0..length)
        .map(|n| {
            let time = f64::from(n) / f64::from(rate);
            let to_edge = time.min(seconds - time);
            wave(time) * (to_edge / RAMP_SECONDS).min(1.0)
        })
        .collect();
    let loudest = raw.iter().fold(0.0f64, |loudest, sample| loudest.max(sample.abs()));
    Some(raw.iter().map(|sample| (sample * PEAK / loudest) as f32).collect())
}

fn sine(frequency: f64, time: f64) -> f64 {
    (TAU * frequency * time).sin()
}

/// One struck note: softly begun, a few harmonics, the higher ones gone sooner.
fn note(frequency: f64, begins: f64, time: f64) -> f64 {
    let since = time - begins;
    if since < 0.0 {
        return 0.0;
    }
    let attack = (since / 0.008).min(1.0);
    let ring =
        |harmonic: f64, share: f64, decay: f64| share * sine(frequency * harmonic, since) * (-since * decay).exp();
    attack * (ring(1.0, 1.0, 2.2) + ring(2.0, 0.35, 4.0) + ring(3.0, 0.12, 7.0))
}

/// Two falling notes, a major third apart.
fn chime(time: f64) -> f64 {
    note(659.26, 0.0, time) + note(523.25, 0.6, time)
}

/// Three rising notes of a major chord.
fn chime_up(time: f64) -> f64 {
    note(523.25, 0.0, time) + note(659.26, 0.45, time) + note(783.99, 0.9, time)
}

/// One stroke on a bell: partials that are no harmonics.
fn bell(time: f64) -> f64 {
    let partials =
        [(0.5, 0.4, 1.2), (1.0, 1.0, 1.8), (1.19, 0.6, 2.2), (1.56, 0.35, 3.0), (2.0, 0.5, 3.5), (2.66, 0.2, 6.0)];
    let attack = (time / 0.003).min(1.0);
    attack
        * partials
            .iter()
            .map(|(ratio, share, decay)| share * sine(620.0 * ratio, time) * (-time * decay).exp())
            .sum::<f64>()
}

/// A hammer on a gong, fourteen strokes a second.
fn school_bell(time: f64) -> f64 {
    let since = time % (1.0 / 14.0);
    let attack = (since / 0.002).min(1.0);
    let ring = (-since * 9.0).exp();
    attack * ring * (sine(1_150.0, time) + 0.6 * sine(1_730.0, time) + 0.4 * sine(2_480.0, time))
}

/// Two tones in turn, twice a second.
fn alert(time: f64) -> f64 {
    let within = time % 0.5;
    let to_edge = (within % 0.25).min(0.25 - within % 0.25);
    let frequency = if within < 0.25 { 853.0 } else { 660.0 };
    (to_edge / 0.005).min(1.0) * (sine(frequency, time) + 0.2 * sine(2.0 * frequency, time))
}

/// A tone whose pitch swings between 600 and 1000 Hz, six times a second.
fn warble(time: f64) -> f64 {
    // Phase is the integral of frequency: 800 + 200 cos(2 pi 6 t).
    (TAU * 800.0 * time + 200.0 / 6.0 * (TAU * 6.0 * time).sin()).sin()
}

/// A slow rise from 500 to 1200 Hz in 2.5 s, then half a second of pause.
fn siren(time: f64) -> f64 {
    let within = time % 3.0;
    if within > 2.5 {
        return 0.0;
    }
    let edge = (within.min(2.5 - within) / 0.01).min(1.0);
    edge * (TAU * (500.0 * within + 140.0 * within * within)).sin()
}

/// 1000 Hz, for measuring.
fn tone(time: f64) -> f64 {
    sine(1_000.0, time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::{Level, goertzel};

    fn pcm(name: &str) -> Vec<i16> {
        let samples = samples(name, 16_000).expect("a built-in tone");
        samples.iter().map(|sample| (sample * 32_767.0) as i16).collect()
    }

    #[test]
    fn every_tone_is_audible_never_near_full_scale_and_begins_and_ends_without_a_click() {
        for name in names() {
            let pcm = pcm(name);
            let level = Level::of(&pcm);
            assert!(level.peak_dbfs() < -5.9, "{name} peaks at {:.1}", level.peak_dbfs());
            assert!(level.rms_dbfs() > -30.0, "{name} has {:.1} dBFS", level.rms_dbfs());
            let (first, last) = (pcm[0].unsigned_abs(), pcm[pcm.len() - 1].unsigned_abs());
            assert!(first < 400 && last < 400, "{name} begins at {first} and ends at {last}");
        }
    }

    #[test]
    fn the_measuring_tone_is_1000_hz_and_nothing_else() {
        let pcm = &pcm("tone-1khz")[4_000..12_000];
        assert!((goertzel(pcm, 16_000, 1_000.0) + 6.02).abs() < 0.1);
        assert!(goertzel(pcm, 16_000, 2_000.0) < -60.0);
    }

    #[test]
    fn nothing_above_what_a_telephone_carries_matters() {
        for name in names() {
            let wide = Level::of(&pcm(name)).rms_dbfs();
            let narrow = crate::render::resample::resample(&samples(name, 16_000).expect("built in"), 16_000, 8_000);
            let narrow: Vec<i16> = narrow.iter().map(|sample| (sample * 32_767.0) as i16).collect();
            let narrow = Level::of(&narrow).rms_dbfs();
            assert!((wide - narrow).abs() < 0.5, "{name}: {wide:.1} dBFS wide, {narrow:.1} dBFS narrow");
        }
    }

    #[test]
    fn an_unknown_name_gives_nothing() {
        assert_eq!(samples("foghorn", 8_000), None);
    }
}
