//! What is remembered survives a restart: one file, replaced as a whole, set aside when it cannot be read.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::judge::Book;

/// The file in the driver's folder.
pub const FILE: &str = "alerts.json";

/// Reads what was remembered. When it cannot be read it is moved aside, and where to is told.
pub fn load(folder: &Path, now_ms: i64) -> (Book, Option<PathBuf>) {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Book::default(), None),
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "what is remembered of earlier alerts cannot be read");
            return (Book::after_loss(now_ms), Some(path));
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(book) => (book, None),
        Err(error) => {
            let aside = folder.join(format!("{FILE}.unreadable-{now_ms}"));
            let moved = fs::rename(&path, &aside);
            tracing::error!(%error, ?moved, "what is remembered of earlier alerts is damaged; it is set aside");
            (Book::after_loss(now_ms), Some(aside))
        }
    }
}

/// Replaces the file. After this returns, the content is on the disk.
pub fn save(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // While the driver is replaced, its old process and its new one save here: one after the other, by the folder's lock.
    let held = File::open(folder)?;
    held.lock()?;
    let fresh = folder.join(format!("{FILE}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(FILE))?;
    // The rename itself is durable once the folder is.
    held.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_set_aside_and_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let (book, aside) = load(folder.path(), 5);
        assert!(aside.is_none() && book.outbox.is_empty());
        save(folder.path(), b"{\"outbox\": [").expect("is written");
        let (_, aside) = load(folder.path(), 5);
        assert_eq!(fs::read(aside.expect("is set aside")).expect("is there"), b"{\"outbox\": [");
        assert!(!folder.path().join(FILE).exists());
        let (_, aside) = load(folder.path(), 6);
        assert!(aside.is_none(), "the next start is an ordinary one");
    }

    #[test]
    fn two_that_save_in_one_folder_do_not_mix_what_they_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let contents = [vec![b'a'; 300_000], vec![b'b'; 7]];
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| {
                    for _ in 0..20 {
                        save(folder.path(), content).expect("is written");
                        let read = fs::read(folder.path().join(FILE)).expect("is there");
                        assert!(contents.contains(&read), "a mixture of {} bytes", read.len());
                    }
                });
            }
        });
    }
}
