//! Accepted library files, named by their content. Loading only from here cures overwriting, half copies and two drivers
//! of one file name.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::trust;

/// SHA-256 of these bytes as hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder of accepted files.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
    arrived: Arc<watch::Sender<u64>>,
}

impl Files {
    /// The folder; made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> io::Result<Files> {
        fs::create_dir_all(folder)?;
        Ok(Files { folder: std::path::absolute(folder)?, arrived: Arc::new(watch::Sender::new(0)) })
    }

    /// Keeps these bytes under their content's name, durably.
    ///
    /// # Errors
    /// The disk refused.
    pub fn put(&self, bytes: &[u8]) -> io::Result<String> {
        let sha = sha256(bytes);
        let path = self.path(&sha);
        if path.exists() {
            return Ok(sha);
        }
        let unfinished = self.folder.join(format!(".{sha}.tmp"));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.folder)?.sync_all()?;
        self.arrived.send_modify(|count| *count += 1);
        Ok(sha)
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
        let unfinished = self.folder.join(format!(".{sha256}{}.tmp", trust::ENDING));
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
        let named = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(self.path(sha256)).filter(|path| named && path.exists())
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.so"))
    }
}
