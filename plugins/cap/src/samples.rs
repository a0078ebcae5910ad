//! Messages of our own in the form that the National Weather Service sends, for demonstrations and tests: a tornado warning
//! for a county that does not exist, its update and its cancellation.

use crate::wire::time;

const WARNING: &str = include_str!("../samples/nws-tornado-warning.xml");
const UPDATE: &str = include_str!("../samples/nws-tornado-update.xml");
const CANCEL: &str = include_str!("../samples/nws-tornado-cancel.xml");

/// The warning number `number`, sent now, in force for 45 minutes.
pub fn warning(number: u32, now_ms: i64) -> String {
    fill(WARNING, number, now_ms, now_ms)
}

/// The update of the warning that was sent at `warned_ms`.
pub fn update(number: u32, warned_ms: i64, now_ms: i64) -> String {
    fill(UPDATE, number, warned_ms, now_ms)
}

/// The cancellation of the warning that was sent at `warned_ms`.
pub fn cancel(number: u32, warned_ms: i64, now_ms: i64) -> String {
    fill(CANCEL, number, warned_ms, now_ms)
}

fn fill(text: &str, number: u32, warned_ms: i64, now_ms: i64) -> String {
    // CAP writes UTC as -00:00.
    let written = |ms: i64| time::canonical(ms).replace('Z', "-00:00");
    let compact = |ms: i64| {
        let text = time::canonical(ms);
        format!("{}{}{}T{}{}Z", &text[2..4], &text[5..7], &text[8..10], &text[11..13], &text[14..16])
    };
    let expires_ms = warned_ms + 45 * 60_000;
    text.replace("@NUMBER@", &format!("{number:04}"))
        .replace("@WARNED@", &written(warned_ms))
        .replace("@SENT@", &written(now_ms))
        .replace("@EXPIRES@", &written(expires_ms))
        .replace("@VTEC_BEGIN@", &compact(warned_ms))
        .replace("@VTEC_END@", &compact(expires_ms))
}
