//! How a server that joins comes to its certificate: the request, what is issued for it, and the files that come of it.

use std::path::{Path, PathBuf};

use rcgen::{CertificateSigningRequestParams, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};

use super::{
    Identity, IdentityError, SiteKeys,
    certificate::{base_params, crypto, describe, generate, hex, key_hash},
    files::{CA, CA_KEY, CERTIFICATE, KEY, PENDING_KEY, read_key, remove, write_private},
};

/// A certificate as it is handed to a joining server.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The server's certificate, PEM.
    pub certificate: String,
    /// The site's certificate and key.
    pub site: SiteKeys,
}

/// A certificate request whose signature proves that the sender holds the key.
pub struct CheckedRequest {
    pub(super) params: CertificateSigningRequestParams,
    /// SHA-256 of the public key in it, as hexadecimal digits.
    pub key_sha256: String,
}

impl CheckedRequest {
    /// Reads a request in PEM.
    ///
    /// # Errors
    /// It is not a request, its signature is wrong, or its key is not ECDSA P-256.
    pub fn from_pem(text: &str) -> Result<CheckedRequest, IdentityError> {
        let params = CertificateSigningRequestParams::from_pem(text)
            .map_err(|error| IdentityError::BadRequest(error.to_string()))?;
        if params.public_key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 {
            return Err(IdentityError::BadRequest("the key is not ECDSA P-256".to_owned()));
        }
        let key_sha256 = hex(&Sha256::digest(params.public_key.subject_public_key_info()));
        Ok(CheckedRequest { params, key_sha256 })
    }
}

/// The key of a server that is about to join. It never leaves the server, and is kept until it has joined, so that an
/// answer lost on the way does not enrol it twice.
pub struct PendingIdentity {
    dir: PathBuf,
    key: KeyPair,
}

impl PendingIdentity {
    /// The key of an earlier try, or another one.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn prepare(dir: &Path) -> Result<PendingIdentity, IdentityError> {
        let path = dir.join(PENDING_KEY);
        let key = match path.exists() {
            true => read_key(&path)?,
            false => {
                let key = generate()?;
                write_private(&path, &key.serialize_pem())?;
                key
            }
        };
        Ok(PendingIdentity { dir: dir.to_owned(), key })
    }

    /// The key that the folder's server has already: for a server that joins the installation of which it was the primary,
    /// and that is to be known again there.
    ///
    /// # Errors
    /// The folder holds no identity, or its key cannot be read.
    pub fn of_present(dir: &Path) -> Result<PendingIdentity, IdentityError> {
        Ok(PendingIdentity { dir: dir.to_owned(), key: read_key(&dir.join(KEY))? })
    }

    /// The request to send, PEM.
    ///
    /// # Errors
    /// The cryptography refused.
    pub fn request(&self) -> Result<String, IdentityError> {
        let request =
            base_params("joining").serialize_request(&self.key).map_err(crypto("make a certificate request"))?;
        request.pem().map_err(crypto("write a certificate request"))
    }

    /// Puts the issued certificate in place. What the folder held before is replaced.
    ///
    /// # Errors
    /// The certificate is not for this key, or the folder cannot be written.
    pub fn complete(self, issued: &Issued) -> Result<Identity, IdentityError> {
        let path = self.dir.join(CERTIFICATE);
        let bad = |reason: String| IdentityError::BadFile { path: path.clone(), reason };
        let certificate =
            CertificateDer::from_pem_slice(issued.certificate.as_bytes()).map_err(|error| bad(error.to_string()))?;
        let (_, key_sha256) = describe(&certificate).map_err(|error| bad(error.to_string()))?;
        if key_sha256 != key_hash(&self.key) {
            return Err(bad("the primary issued a certificate for another key".to_owned()));
        }
        remove(&self.dir.join(CA))?;
        write_private(&self.dir.join(CA_KEY), &issued.site.key)?;
        write_private(&self.dir.join(KEY), &self.key.serialize_pem())?;
        write_private(&path, &issued.certificate)?;
        // Last: its presence says that the others are whole.
        write_private(&self.dir.join(CA), &issued.site.certificate)?;
        let identity = Identity::load(&self.dir)?;
        remove(&self.dir.join(PENDING_KEY))?;
        Ok(identity)
    }
}
