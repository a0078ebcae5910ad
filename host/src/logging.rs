//! Where the log goes: to standard error as `ONEALERT_LOG` says, and parts of it to files as the configuration file says.

use std::{
    fs::{self, File},
    io,
    sync::Mutex,
};

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::LogFile;

/// One place that the log is written to.
type Written = Box<dyn Layer<Registry> + Send + Sync>;

/// A file that the log cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("log file {}: {source}", path.display())]
pub struct LogFileError {
    path: std::path::PathBuf,
    source: io::Error,
}

/// Begins to log. Files are opened for appending, so that a program that rotates them by copying and cutting does no harm.
///
/// # Errors
/// A file cannot be opened; the text names it.
pub fn begin(files: &[LogFile]) -> Result<(), LogFileError> {
    let filter = EnvFilter::try_from_env("ONEALERT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let console = fmt::layer().with_writer(io::stderr).with_target(false).with_filter(filter).boxed();
    let files = files.iter().map(file).collect::<Result<Vec<_>, _>>()?;
    let all: Vec<Written> = std::iter::once(console).chain(files).collect();
    Registry::default().with(all).init();
    Ok(())
}

fn file(file: &LogFile) -> Result<Written, LogFileError> {
    let failed = |source| LogFileError { path: file.path.clone(), source };
    if let Some(folder) = file.path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let opened = File::options().create(true).append(true).open(&file.path).map_err(failed)?;
    let filter = EnvFilter::new(&file.filter);
    Ok(fmt::layer().with_writer(Mutex::new(opened)).with_ansi(false).with_filter(filter).boxed())
}
