//! G.711: 16-bit samples to mu-law and A-law bytes and back.
//!
//! Both laws are eight segments of sixteen equal steps for each sign, each segment twice as wide as the one before. They are
//! computed, not tabulated; the tests rebuild every decision from the recommendation's definition.

/// Added to a magnitude before its segment is found, so that the mu-law segments begin at powers of two (33 in the 14-bit
/// scale of the recommendation).
const MU_BIAS: u16 = 132;
/// The largest magnitude whose biased value still has a mu-law code.
const MU_CLIP: u16 = 32_635;

/// The mu-law byte for silence.
pub const MU_SILENCE: u8 = 0xFF;
/// The A-law byte for silence.
pub const A_SILENCE: u8 = 0xD5;

/// One sample as a mu-law byte.
pub fn mu_encode(sample: i16) -> u8 {
    let biased = sample.unsigned_abs().min(MU_CLIP) + MU_BIAS;
    // The biased value is 132 to 32767, so its highest bit is bit 7 (segment 0) to bit 14 (segment 7).
    let segment = 8 - biased.leading_zeros() as u16;
    let step = (biased >> (segment + 3)) & 0x0F;
    let sign = if sample < 0 { 0x80 } else { 0 };
    // All bits go inverted, so that silence has many ones on the line.
    !(sign | (segment << 4) | step) as u8
}

/// The sample that a mu-law byte stands for.
pub fn mu_decode(byte: u8) -> i16 {
    let code = !byte;
    let segment = (code >> 4) & 0x07;
    let step = i16::from(code & 0x0F);
    let bias = MU_BIAS as i16;
    let magnitude = (((step << 3) + bias) << segment) - bias;
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

/// One sample as an A-law byte.
pub fn a_encode(sample: i16) -> u8 {
    // Zero belongs to the positive half; the negative half is its mirror below -1/2 step.
    let (magnitude, sign) = if sample < 0 { (!sample as u16, 0) } else { (sample as u16, 0x80) };
    let code = if magnitude < 256 {
        magnitude >> 4
    } else {
        // The highest bit is bit 8 (segment 1) to bit 14 (segment 7).
        let segment = 8 - magnitude.leading_zeros() as u16;
        (segment << 4) | ((magnitude >> (segment + 3)) & 0x0F)
    };
    // Every second bit goes inverted.
    (sign | code) as u8 ^ 0x55
}

/// The sample that an A-law byte stands for.
pub fn a_decode(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = (code >> 4) & 0x07;
    let step = i16::from(code & 0x0F) << 4;
    let magnitude = match segment {
        0 => step + 8,
        segment => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mu-law by its definition in the 14-bit scale: the value of step `n` of segment `s` is `(2n + 33) * 2^s - 33`, and the
    /// decision below step `n` is `(2n + 32) * 2^s - 33`, except that the first step reaches down to zero.
    fn mu_by_definition(sample: i16) -> i32 {
        let magnitude = i32::from(sample).abs();
        let mut value = 0;
        for segment in 0..8 {
            for step in 0..16 {
                let decision = 4 * (((2 * step + 32) << segment) - 33);
                if magnitude >= decision {
                    value = 4 * (((2 * step + 33) << segment) - 33);
                }
            }
        }
        if sample < 0 { -value } else { value }
    }

    /// A-law by its definition in the 13-bit scale: segments 0 and 1 have steps of 2, segment `s` steps of `2^s`, values in the
    /// middle of their step.
    fn a_by_definition(sample: i16) -> i32 {
        let magnitude = if sample < 0 { -i32::from(sample) - 1 } else { i32::from(sample) };
        let mut value = 0;
        for segment in 0..8 {
            for step in 0..16 {
                let (low, width) = if segment == 0 {
                    (2 * step, 2)
                } else {
                    ((32 << (segment - 1)) + (step << segment), 1 << segment)
                };
                if magnitude >= 8 * low {
                    value = 8 * low + 4 * width;
                }
            }
        }
        if sample < 0 { -value } else { value }
    }

    #[test]
    fn every_sample_is_coded_as_the_recommendation_defines() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(i32::from(mu_decode(mu_encode(sample))), mu_by_definition(sample), "mu-law of {sample}");
            assert_eq!(i32::from(a_decode(a_encode(sample))), a_by_definition(sample), "A-law of {sample}");
        }
    }

    #[test]
    fn every_byte_survives_decoding_and_encoding() {
        for byte in 0..=u8::MAX {
            // 0x7F is minus zero, which a sample cannot say.
            let expected = if byte == 0x7F { MU_SILENCE } else { byte };
            assert_eq!(mu_encode(mu_decode(byte)), expected);
            assert_eq!(a_encode(a_decode(byte)), byte);
        }
    }

    #[test]
    fn louder_samples_never_decode_to_quieter_ones() {
        let mut last = (i16::MIN, i16::MIN);
        for sample in i16::MIN..=i16::MAX {
            let decoded = (mu_decode(mu_encode(sample)), a_decode(a_encode(sample)));
            assert!(decoded.0 >= last.0 && decoded.1 >= last.1, "order is lost at {sample}");
            last = decoded;
        }
    }

    #[test]
    fn the_ends_and_the_middle_have_their_well_known_bytes() {
        assert_eq!((mu_encode(0), mu_encode(i16::MAX), mu_encode(i16::MIN)), (MU_SILENCE, 0x80, 0x00));
        assert_eq!((a_encode(0), a_encode(i16::MAX), a_encode(i16::MIN)), (A_SILENCE, 0xAA, 0x2A));
        assert_eq!((mu_decode(0x80), mu_decode(0x00)), (32_124, -32_124));
        assert_eq!((a_decode(0xAA), a_decode(0x2A)), (32_256, -32_256));
    }
}
