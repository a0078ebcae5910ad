//! Files that appear in a folder.

use std::{fs, time::Duration};

use plugin_cap::{samples, settings::TriggerSettings};

use crate::bench::*;

#[tokio::test]
async fn files_are_read_when_they_are_whole_and_only_once() {
    let state = tempfile::tempdir().expect("a folder");
    let folder = tempfile::tempdir().expect("a folder");
    let settings =
        TriggerSettings { folder: folder.path().to_string_lossy().into_owned(), ..TriggerSettings::default() };
    let bench = Bench::open(state.path(), vec![("t", settings.clone())]).await;
    // Renamed into place, as it should be.
    fs::write(folder.path().join("one.tmp"), samples::warning(1, NOW)).expect("is written");
    fs::rename(folder.path().join("one.tmp"), folder.path().join("one.xml")).expect("is renamed");
    bench.triggered(1).await;
    // Written in two halves, as it happens.
    let whole = samples::warning(2, NOW);
    let (first, second) = whole.split_at(700);
    fs::write(folder.path().join("two.xml"), first).expect("is written");
    // Files are looked at oldest first: when this one has fired, the half one was seen.
    fs::write(folder.path().join("between.xml"), samples::warning(9, NOW)).expect("is written");
    bench.triggered(2).await;
    let mut file = fs::OpenOptions::new().append(true).open(folder.path().join("two.xml")).expect("is there");
    std::io::Write::write_all(&mut file, second.as_bytes()).expect("is written");
    bench.triggered(3).await;
    assert!(!records(&bench.fake).iter().any(|it| it.verdict == "refused"), "half a file is no wrong file");
    // The same alert in another file fires nothing.
    fs::write(folder.path().join("four.xml"), samples::warning(1, NOW)).expect("is written");
    bench.recorded("duplicate", "it was judged before").await;
    assert_eq!(bench.fake.triggers().len(), 3);
    assert!(folder.path().join("one.xml").exists(), "nothing is deleted that nobody asked to delete");

    // A restart reads no file again.
    drop(bench);
    let bench = Bench::open(state.path(), vec![("t", settings.clone())]).await;
    fs::write(folder.path().join("five.xml"), samples::warning(5, NOW)).expect("is written");
    bench.triggered(1).await;
    assert!(bench.fake.triggers()[0].key.contains("sample.0005"), "{:?}", bench.fake.triggers());
    assert_eq!(records(&bench.fake).len(), 1, "{:?}", records(&bench.fake));

    let settings = TriggerSettings { delete_files: true, ..settings };
    bench.desire(vec![("t", settings)]).await;
    fs::write(folder.path().join("six.xml"), samples::warning(6, NOW)).expect("is written");
    bench.triggered(2).await;
    let gone = tokio::time::timeout(SOON, async {
        while folder.path().join("six.xml").exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(gone.await.is_ok());
}

#[tokio::test]
async fn what_stays_half_is_refused_in_the_end_and_said() {
    let state = tempfile::tempdir().expect("a folder");
    let folder = tempfile::tempdir().expect("a folder");
    let settings =
        TriggerSettings { folder: folder.path().to_string_lossy().into_owned(), ..TriggerSettings::default() };
    let bench = Bench::settling(Duration::from_millis(300), state.path(), vec![("t", settings)]).await;
    let whole = samples::warning(3, NOW);
    fs::write(folder.path().join("three.xml"), whole.split_at(700).0).expect("is written");
    bench.recorded("refused", "three.xml: not well-formed XML").await;
    assert_eq!(bench.fake.triggers().len(), 0);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_said_and_used_once_it_is_there() {
    let state = tempfile::tempdir().expect("a folder");
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("alerts");
    let settings = TriggerSettings { folder: folder.to_string_lossy().into_owned(), ..TriggerSettings::default() };
    let bench = Bench::open(state.path(), vec![("t", settings)]).await;
    bench.recorded("unreachable", "the folder cannot be read").await;
    fs::create_dir(&folder).expect("is made");
    fs::write(folder.join("one.xml"), samples::warning(1, NOW)).expect("is written");
    bench.triggered(1).await;
    bench.recorded("reachable", "can be read again").await;
}
