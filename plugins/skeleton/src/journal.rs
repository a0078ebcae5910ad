//! The "device": text files in one folder. A line is written once, however often it is asked for.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};

use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    sync::Mutex,
};

/// How much of a file's end is searched for a line that is already there.
const SEARCHED: u64 = 64 << 10;

/// A folder of text files.
pub struct Journal {
    folder: PathBuf,
    /// Held from looking for a line to writing it.
    writing: Mutex<()>,
}

impl Journal {
    /// Files in this folder, which is made when the first line is written.
    pub fn new(folder: PathBuf) -> Journal {
        Journal { folder, writing: Mutex::new(()) }
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a file; the text says what is wrong with its name.
    pub fn path(&self, file: &str) -> Result<PathBuf, String> {
        let fine = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        match fine && !file.is_empty() && !file.starts_with('.') {
            true => Ok(self.folder.join(file)),
            false => Err(format!("file name \"{file}\" may hold letters, digits, dot, dash and underscore only")),
        }
    }

    /// Adds a line to a file unless it is there; says whether it was added.
    pub async fn write_once(&self, file: &str, line: &str) -> Result<bool, String> {
        let path = self.path(file)?;
        let _alone = self.writing.lock().await;
        append_once(&path, line).await.map_err(|error| format!("write {}: {error}", path.display()))
    }
}

async fn append_once(path: &Path, line: &str) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).await?;
    if tail(&mut file).await?.lines().any(|there| there == line) {
        return Ok(false);
    }
    file.write_all(format!("{line}\n").as_bytes()).await?;
    file.flush().await?;
    Ok(true)
}

async fn tail(file: &mut File) -> io::Result<String> {
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SEARCHED))).await?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
