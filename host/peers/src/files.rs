//! Driver files on their way from the primary: named by their SHA-256, checked before they bear the name.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tempfile::{Builder, NamedTempFile};

use crate::identity::hex;

/// What is synced at once of a file that comes: an alarm that is being stored waits for the disk behind it.
const PIECE: u64 = 1 << 20;

/// No driver is larger.
pub const LIMIT: u64 = 512 << 20;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not 64 hexadecimal digits in lower case.
    #[error("{0:?} is not the SHA-256 of a file")]
    BadName(String),
    /// There is no connection to the primary, or it ended.
    #[error("file {sha256}: the connection to the primary ended; it is asked for again when it stands")]
    Disconnected {
        /// Which file.
        sha256: String,
    },
    /// The primary cannot send it.
    #[error("file {sha256}: the primary says: {reason}")]
    Missing {
        /// Which file.
        sha256: String,
        /// Its words.
        reason: String,
    },
    /// What came is something else.
    #[error("file {sha256}: {found} came; it was not kept")]
    Differs {
        /// Which file.
        sha256: String,
        /// What came instead.
        found: String,
    },
    /// It could not be written here.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
}

/// Whether this is the name of a file: what becomes part of a path must not be anything else.
pub fn is_name(sha256: &str) -> bool {
    sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A file that is being received. Until it is whole and right it has a temporary name, and goes if dropped.
pub(crate) struct Incoming {
    sha256: String,
    into: PathBuf,
    file: NamedTempFile,
    hash: Sha256,
    missing: u64,
    /// Bytes that may not be on the disk yet.
    unsynced: u64,
}

impl Incoming {
    pub(crate) fn begin(sha256: &str, into: &Path, length: u64) -> Result<Incoming, FetchError> {
        if length > LIMIT {
            let found = format!("a file of {length} bytes, {LIMIT} are allowed");
            return Err(FetchError::Differs { sha256: sha256.to_owned(), found });
        }
        let write = |source| FetchError::Write { path: into.to_owned(), source };
        let dir = into.parent().ok_or_else(|| write(io::ErrorKind::InvalidInput.into()))?;
        std::fs::create_dir_all(dir).map_err(write)?;
        // By this name the next start knows it, if this process is killed meanwhile.
        let file = Builder::new().prefix(".").suffix(".tmp").tempfile_in(dir).map_err(write)?;
        Ok(Incoming {
            sha256: sha256.to_owned(),
            into: into.to_owned(),
            file,
            hash: Sha256::new(),
            missing: length,
            unsynced: 0,
        })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.missing == 0
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let length = bytes.len() as u64;
        if length > self.missing {
            let found = "more bytes than were announced".to_owned();
            return Err(FetchError::Differs { sha256: self.sha256.clone(), found });
        }
        self.missing -= length;
        self.hash.update(bytes);
        let write = |source| FetchError::Write { path: self.into.clone(), source };
        self.file.write_all(bytes).map_err(write)?;
        self.unsynced += length;
        if self.unsynced >= PIECE {
            self.unsynced = 0;
            self.file.as_file().sync_data().map_err(write)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<PathBuf, FetchError> {
        let found = hex(&self.hash.finalize());
        if found != self.sha256 {
            return Err(FetchError::Differs { sha256: self.sha256, found: format!("a file with SHA-256 {found}") });
        }
        let write = |source| FetchError::Write { path: self.into.clone(), source };
        self.file.as_file().sync_all().map_err(write)?;
        self.file.persist(&self.into).map_err(|error| write(error.error))?;
        let dir = self.into.parent().expect("checked at the beginning");
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(write)?;
        Ok(self.into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_other_content_never_bears_the_name() {
        let dir = tempfile::tempdir().expect("folder");
        let into = dir.path().join("driver.so");
        let sha256 = hex(&Sha256::digest(b"driver"));
        let mut wrong = Incoming::begin(&sha256, &into, 6).expect("begins");
        wrong.take(b"drivel").expect("taken");
        assert!(wrong.is_whole());
        assert!(matches!(wrong.finish(), Err(FetchError::Differs { .. })));
        assert_eq!(std::fs::read_dir(dir.path()).expect("folder").count(), 0, "nothing is left behind");
        let mut right = Incoming::begin(&sha256, &into, 6).expect("begins");
        right.take(b"dri").expect("taken");
        right.take(b"ver").expect("taken");
        assert!(matches!(right.take(b"s"), Err(FetchError::Differs { .. })), "longer than announced");
        assert_eq!(std::fs::read(right.finish().expect("right")).expect("there"), b"driver");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        assert!(is_name(&"0a".repeat(32)));
        for bad in ["", "../../etc/passwd", &"0A".repeat(32), &"0g".repeat(32)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
