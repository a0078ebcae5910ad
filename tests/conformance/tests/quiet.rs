//! The folder is watched by hints, and our own reading must not be one. Alone in its program, which counts what it reads.

use std::fs;

use conformance::{library, site::Site};
use onealert_drivers::Verdict;

#[tokio::test]
async fn a_file_that_is_waited_for_was_read_without_pause() {
    let good = fs::read(library("plugin-skeleton")).expect("the skeleton's library");
    let half = &good[..good.len() / 2];
    let site = Site::new();
    let before = read_so_far();
    site.put("slow.so", half);
    site.judged("slow.so", |verdict| matches!(verdict, Verdict::Refused(_))).await;
    // Six seconds at one look every 50 ms are 120.
    let times = (read_so_far() - before) / half.len() as u64;
    assert!(times <= 240, "the file was read {times} times");
}

fn read_so_far() -> u64 {
    let text = fs::read_to_string("/proc/self/io").expect("the system counts");
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.and_then(|number| number.parse().ok()).expect("a number")
}
