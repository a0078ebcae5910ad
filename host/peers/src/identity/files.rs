//! The files of an identity: written whole or not at all, for the service's user only.

use std::{fs, io::Write, path::Path};

use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::IdentityError;

pub(super) const CA: &str = "site-ca.pem";
pub(super) const CA_KEY: &str = "site-ca-key.pem";
pub(super) const CERTIFICATE: &str = "server.pem";
pub(super) const KEY: &str = "server-key.pem";
pub(super) const PENDING_KEY: &str = "join-key.pem";

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let bytes = fs::read(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })?;
    let bad = |reason: String| IdentityError::BadFile { path: path.to_owned(), reason };
    let list: Vec<_> =
        CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
    match list.is_empty() {
        true => Err(bad("holds no certificate".to_owned())),
        false => Ok(list),
    }
}

pub(super) fn read_key(path: &Path) -> Result<KeyPair, IdentityError> {
    let text = fs::read_to_string(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })?;
    KeyPair::from_pem(&text)
        .map_err(|error| IdentityError::BadFile { path: path.to_owned(), reason: error.to_string() })
}

pub(super) fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(IdentityError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Writes a file that only the service's user can read, whole or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), IdentityError> {
    let dir = path.parent().expect("identity files lie in a folder");
    let attempt = || -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(dir)?.sync_all()
    };
    attempt().map_err(|source| IdentityError::File { path: path.to_owned(), source })
}
