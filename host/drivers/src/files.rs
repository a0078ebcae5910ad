//! Accepted library files, named by their content. Loading only from here cures overwriting, half copies and two drivers
//! of one file name. A file whose content is not what its name says was changed behind the server's back: it counts as absent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::{inspect::inspect, trust};

/// What is synced at once of a file that is written: an alarm that is being stored waits for the disk behind it.
const PIECE: usize = 1 << 20;

/// How the name of a file ends that is not whole yet; it begins with a dot. Files that come from another server are called so too.
const UNFINISHED: &str = ".tmp";

/// SHA-256 of these bytes as hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of a checksum, enough to compare by eye.
pub fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// Why a file cannot be had from the folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It never came, or somebody took it away.
    #[error("its file {} is not on this server yet; the others are asked for it", short(.0))]
    Absent(String),
    /// It cannot be read.
    #[error("its file {file} cannot be read: {reason}")]
    Unreadable {
        /// Which.
        file: String,
        /// The system's own words.
        reason: String,
    },
    /// Something else lies under its name.
    #[error(
        "its file {file} was changed: expected SHA-256 {}, found {}, {is}; the others are asked for the right one",
        short(expected),
        short(found)
    )]
    Changed {
        /// Which.
        file: String,
        /// The content that its name stands for.
        expected: String,
        /// The content that it has.
        found: String,
        /// What that is, in words.
        is: String,
    },
}

/// By what a file is seen to have changed. The time is that of the last change of anything, which nobody can set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Look {
    fn at(path: &Path) -> io::Result<Look> {
        let meta = fs::metadata(path)?;
        Ok(Look { inode: meta.ino(), size: meta.len(), changed: (meta.ctime(), meta.ctime_nsec()) })
    }
}

/// What was found in files, and how they looked then.
type Checked = BTreeMap<String, (Look, Result<(), Unusable>)>;

/// The folder of accepted files.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
    arrived: Arc<watch::Sender<u64>>,
    checked: Arc<Mutex<Checked>>,
    coming: Arc<Mutex<BTreeSet<String>>>,
}

/// A file is being written, until this is dropped.
struct Coming<'a> {
    files: &'a Files,
    sha256: &'a str,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.files.coming().remove(self.sha256);
    }
}

impl Files {
    /// The folder; made if it is not there. What a file left that was on its way when a process was killed goes: nobody else
    /// would take it away, and it begins anew. To be called once, before anything is fetched or kept.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> io::Result<Files> {
        fs::create_dir_all(folder)?;
        clear_unfinished(folder);
        let arrived = Arc::new(watch::Sender::new(0));
        Ok(Files { folder: std::path::absolute(folder)?, arrived, checked: Arc::default(), coming: Arc::default() })
    }

    /// Keeps these bytes under their content's name, durably.
    ///
    /// # Errors
    /// The disk refused.
    pub fn put(&self, bytes: &[u8]) -> io::Result<String> {
        let sha = sha256(bytes);
        let path = self.path(&sha);
        if self.get(&sha).is_some() {
            return Ok(sha);
        }
        self.coming().insert(sha.clone());
        let coming = Coming { files: self, sha256: &sha };
        let unfinished = self.folder.join(format!(".{sha}{UNFINISHED}"));
        let mut file = File::create(&unfinished)?;
        for piece in bytes.chunks(PIECE) {
            file.write_all(piece)?;
            file.sync_data()?;
        }
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.folder)?.sync_all()?;
        self.came();
        drop(coming);
        Ok(sha)
    }

    /// Whether the file with this content is being written, so that nobody need ask elsewhere for it.
    pub fn is_coming(&self, sha256: &str) -> bool {
        self.coming().contains(sha256)
    }

    fn coming(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for a file.
    pub fn came(&self) {
        self.arrived.send_modify(|count| *count += 1);
    }

    /// Keeps the signature of a file beside it. Only one that was verified belongs here.
    ///
    /// # Errors
    /// The disk refused.
    pub fn put_signature(&self, sha256: &str, text: &str) -> io::Result<()> {
        let path = self.signature_path(sha256);
        if fs::read_to_string(&path).is_ok_and(|known| known == text) {
            return Ok(());
        }
        let unfinished = self.folder.join(format!(".{sha256}{}{UNFINISHED}", trust::ENDING));
        fs::write(&unfinished, text)?;
        fs::rename(&unfinished, &path)
    }

    /// The signature that is kept beside a file.
    pub fn signature(&self, sha256: &str) -> Option<String> {
        self.get(sha256).and_then(|_| fs::read_to_string(self.signature_path(sha256)).ok())
    }

    fn signature_path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.so{}", trust::ENDING))
    }

    /// Wakes whenever a file has come.
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    /// The file with this content, if it is here.
    pub fn get(&self, sha256: &str) -> Option<PathBuf> {
        self.find(sha256).ok()
    }

    /// The file with this content. It is read when it was not yet, or looks otherwise than when it was.
    ///
    /// # Errors
    /// It is not here, or it is not what its name says.
    pub fn find(&self, sha256: &str) -> Result<PathBuf, Unusable> {
        let absent = || Unusable::Absent(sha256.to_owned());
        let named = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let path = self.path(sha256);
        let look = if named { Look::at(&path).map_err(|_| absent())? } else { return Err(absent()) };
        let known = self.checked.lock().unwrap_or_else(PoisonError::into_inner).get(sha256).cloned();
        if let Some((_, verdict)) = known.filter(|(then, _)| *then == look) {
            return verdict.map(|()| path);
        }
        let bytes = fs::read(&path)
            .map_err(|error| Unusable::Unreadable { file: path.display().to_string(), reason: error.to_string() })?;
        let found = self::sha256(&bytes);
        let verdict = if found == sha256 {
            Ok(())
        } else {
            Err(Unusable::Changed {
                file: path.display().to_string(),
                expected: sha256.to_owned(),
                found,
                is: inspect(&bytes).map_or_else(
                    |refusal| refusal.to_string(),
                    |it| format!("which says that it is {} {}", it.manifest.id, it.manifest.version),
                ),
            })
        };
        if let Err(why) = &verdict {
            tracing::error!("{why}");
        }
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(sha256.to_owned(), (look, verdict.clone()));
        verdict.map(|()| path)
    }

    /// Where the file with this content is, or would be.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.so"))
    }
}

/// Takes away what is not whole. What cannot be taken away does no harm but for the room that it takes.
fn clear_unfinished(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let left = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(UNFINISHED))
    });
    for path in left.map(|entry| entry.path()) {
        match fs::remove_file(&path) {
            Ok(()) => tracing::info!(file = %path.display(), "a driver's file that did not come whole was taken away"),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a driver's file that did not come whole cannot be taken away");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_left_of_a_file_on_its_way_is_taken_away_at_the_next_start_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::open(folder.path()).expect("opened");
        let sha = files.put(b"driver").expect("kept");
        files.put_signature(&sha, "signed").expect("kept");
        for left in [".0a1b.tmp", ".x7Kq2.tmp", ".0a1b.minisig.tmp"] {
            fs::write(folder.path().join(left), "driv").expect("written");
        }
        fs::write(folder.path().join("notes.tmp"), "somebody's own").expect("written");
        fs::create_dir(folder.path().join(".folder.tmp")).expect("made");
        let files = Files::open(folder.path()).expect("opened again");
        assert!(files.get(&sha).is_some() && files.signature(&sha).as_deref() == Some("signed"));
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let ours = [format!("{sha}.so"), format!("{sha}.so{}", trust::ENDING)];
        assert_eq!(names, [vec![".folder.tmp".to_owned()], ours.to_vec(), vec!["notes.tmp".to_owned()]].concat());
    }

    #[test]
    fn a_file_that_was_changed_counts_as_absent_names_both_checksums_and_is_kept_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files::open(folder.path()).expect("opened");
        let sha = files.put(b"driver").expect("kept");
        let path = files.find(&sha).expect("it is here");
        fs::write(&path, b"drivel").expect("written");
        let why = files.find(&sha).expect_err("changed").to_string();
        let (expected, found) = (short(&sha), sha256(b"drivel"));
        let says = format!("was changed: expected SHA-256 {expected}, found {}, not a shared library", short(&found));
        assert!(why.contains(&says) && why.contains(&path.display().to_string()), "{why}");
        assert_eq!(files.get(&sha), None);
        assert_eq!(files.put(b"driver").expect("kept"), sha);
        assert_eq!(fs::read(files.find(&sha).expect("right again")).expect("read"), b"driver");
        fs::remove_file(path).expect("removed");
        assert!(matches!(files.find(&sha), Err(Unusable::Absent(_))));
        assert!(matches!(files.find("../etc/passwd"), Err(Unusable::Absent(_))));
    }
}
