//! What has to survive a restart of the driver: who each device is, its zones, and the volume it had before we raised it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    device::Known,
    model::{self, Age},
};

/// A volume to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub parameter: String,
    pub before: String,
}

/// What is kept of one device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    product: String,
    firmware: Option<String>,
    before_5_4: bool,
    zones: BTreeMap<u8, String>,
    multicast_mode: Option<String>,
    pub volume: Option<Volume>,
}

impl Kept {
    pub(crate) fn new(known: &Known, volume: Option<Volume>) -> Kept {
        let firmware = if let Age::Known(firmware) = &known.age { Some(firmware.to_string()) } else { None };
        Kept {
            product: known.product.clone(),
            firmware,
            before_5_4: known.age == Age::Before54,
            zones: known.zones.clone(),
            multicast_mode: known.multicast_mode.clone(),
            volume,
        }
    }

    pub(crate) fn known(&self) -> Known {
        let age = match self.firmware.as_ref().and_then(|text| text.parse().ok()) {
            Some(firmware) => Age::Known(firmware),
            None if self.before_5_4 => Age::Before54,
            None => Age::Unknown,
        };
        Known {
            model: model::from_product(&self.product),
            product: self.product.clone(),
            age,
            zones: self.zones.clone(),
            multicast_mode: self.multicast_mode.clone(),
            ..Known::default()
        }
    }
}

/// The file, written behind the scenes whenever something in it changed.
pub(crate) struct Keep {
    path: PathBuf,
    devices: Mutex<BTreeMap<String, Kept>>,
    changed: Notify,
}

impl Keep {
    /// Reads the file of this folder; what cannot be read is forgotten, because devices can be asked again.
    pub(crate) fn open(folder: &Path) -> Arc<Keep> {
        let path = folder.join("devices.json");
        let devices = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!("{}: {error}; the devices are asked again", path.display());
                BTreeMap::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                tracing::warn!("{}: {error}; the devices are asked again", path.display());
                BTreeMap::new()
            }
        };
        Arc::new(Keep { path, devices: Mutex::new(devices), changed: Notify::new() })
    }

    fn devices(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, device: &str) -> Kept {
        self.devices().get(device).cloned().unwrap_or_default()
    }

    pub(crate) fn put(&self, device: &str, kept: Kept) {
        let old = self.devices().insert(device.to_owned(), kept.clone());
        if old != Some(kept) {
            self.changed.notify_one();
        }
    }

    /// Writes until aborted. A device that is no longer configured is dropped by [`Keep::retain`].
    pub(crate) async fn write(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            let bytes = serde_json::to_vec_pretty(&*self.devices()).expect("kept values are plain data");
            let path = self.path.clone();
            let written = tokio::task::spawn_blocking(move || replace(&path, &bytes)).await;
            if let Err(error) = written.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                tracing::warn!("{}: {error}; after a restart the devices are asked again", self.path.display());
            }
        }
    }

    /// Forgets devices that are not configured, unless their volume is still to be set back.
    pub(crate) fn retain(&self, configured: impl Fn(&str) -> bool) {
        let mut devices = self.devices();
        let before = devices.len();
        devices.retain(|name, kept| kept.volume.is_some() || configured(name));
        if devices.len() != before {
            self.changed.notify_one();
        }
    }
}

/// Replaces a file. While the driver is replaced, its old process and its new one do so: one after the other, by the folder's
/// lock.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let held = File::open(path.parent().unwrap_or(Path::new(".")))?;
    held.lock()?;
    let new = path.with_extension("tmp");
    fs::write(&new, bytes)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_write_in_one_folder_do_not_mix_what_they_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("devices.json");
        let contents = [vec![b'a'; 300_000], vec![b'b'; 7]];
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| {
                    for _ in 0..200 {
                        replace(&path, content).expect("is written");
                        let read = fs::read(&path).expect("is there");
                        assert!(contents.contains(&read), "a mixture of {} bytes", read.len());
                    }
                });
            }
        });
    }
}
