//! Who a server is: its key, the certificate that the site issued for it, and the site's own key.
//!
//! Every server that has joined holds the site's key, so that any of them can be promoted and then let others join. It gives
//! nobody entry by itself: a certificate names a server, and whether that server with that key is one of us is the roster's.
//!
//! Certificates do not expire: a server whose clock is wrong or whose operator forgot a date must not fall silent in an
//! alarm. What revokes one is the configuration ([`crate::roster`]), at once and on every server.

mod certificate;
mod files;
mod joining;

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::hkdf;
use onealert_core::ids::ServerId;
use rcgen::{BasicConstraints, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};

pub(crate) use self::certificate::{hex, server_name};
use self::{
    certificate::{base_params, crypto, generate, key_hash, sign},
    files::{CA, CA_KEY, CERTIFICATE, KEY, certificates, read_key, write_private},
};
pub use self::{
    certificate::{describe, fingerprint},
    joining::{CheckedRequest, Issued, PendingIdentity},
};

/// What is wrong with an identity, or with a request for one.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {reason}", path = path.display())]
    BadFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate that does not name exactly one server.
    #[error("certificate {subject:?} does not name a server: {reason}")]
    NotAServer {
        /// The name that it bears.
        subject: String,
        /// What is missing.
        reason: &'static str,
    },
    /// A certificate request that cannot be granted.
    #[error("certificate request: {0}")]
    BadRequest(String),
    /// The files do not hold the site's key.
    #[error("this server does not hold the site's key; join it again")]
    NoSiteKey,
    /// The cryptography refused.
    #[error("{doing}: {reason}")]
    Crypto {
        /// What was being done.
        doing: &'static str,
        /// Why it was refused.
        reason: String,
    },
}

/// A server's key and certificate, the site's certificate and key.
pub struct Identity {
    server: ServerId,
    key_sha256: String,
    key: PrivatePkcs8KeyDer<'static>,
    certificate: CertificateDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
    authority_pem: String,
    issuer: Option<Issuer<'static, KeyPair>>,
    authority_key_pem: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("server", &self.server)
            .field("key_sha256", &self.key_sha256)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes a new site: its certificate authority, and the certificate of its first server. `names` are the host names and
    /// addresses under which browsers reach the server.
    ///
    /// # Errors
    /// The folder holds an identity already, or cannot be written.
    pub fn create_primary(dir: &Path, server: ServerId, names: &[String]) -> Result<Identity, IdentityError> {
        let ca_path = dir.join(CA);
        if ca_path.exists() {
            let reason = "an identity is there already; remove the folder to found another site".to_owned();
            return Err(IdentityError::BadFile { path: ca_path, reason });
        }
        let ca_key = generate()?;
        let mut params = base_params("OneAlert site");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&ca_key).map_err(crypto("make the site's certificate"))?;
        let ca_key_pem = ca_key.serialize_pem();
        let issuer = Issuer::new(params, ca_key);
        found(dir, &issuer, &SiteKeys { certificate: ca.pem(), key: ca_key_pem }, server, names)
    }

    /// Makes a server of an existing site from the site's certificate and key, as a backup carries them. It gets a key and a
    /// certificate of its own: a backup says nothing about who a server is.
    ///
    /// # Errors
    /// The folder holds an identity already, the site's files are not what they should be, or the folder cannot be written.
    pub fn create_from(
        dir: &Path,
        site: &SiteKeys,
        server: ServerId,
        names: &[String],
    ) -> Result<Identity, IdentityError> {
        let path = dir.join(CA);
        let bad = |reason: String| IdentityError::BadFile { path: path.clone(), reason };
        if path.exists() {
            return Err(bad("an identity is there already; take another data folder".to_owned()));
        }
        let authority =
            CertificateDer::from_pem_slice(site.certificate.as_bytes()).map_err(|error| bad(error.to_string()))?;
        let key = KeyPair::from_pem(&site.key).map_err(|error| bad(error.to_string()))?;
        let issuer = Issuer::from_ca_cert_der(&authority, key).map_err(crypto("read the site's certificate"))?;
        found(dir, &issuer, site, server, names)
    }

    /// Whether the folder holds an identity.
    pub fn exists(dir: &Path) -> bool {
        dir.join(CA).exists()
    }

    /// Reads the identity of a folder.
    ///
    /// # Errors
    /// A file is missing or damaged, or key and certificate do not belong together.
    pub fn load(dir: &Path) -> Result<Identity, IdentityError> {
        let authorities = certificates(&dir.join(CA))?;
        let path = dir.join(CERTIFICATE);
        let certificate = certificates(&path)?.into_iter().next().expect("at least one is in the list");
        let bad = |reason: String| IdentityError::BadFile { path: path.clone(), reason };
        let (server, key_sha256) = describe(&certificate).map_err(|error| bad(error.to_string()))?;
        let key = read_key(&dir.join(KEY))?;
        if key_hash(&key) != key_sha256 {
            return Err(bad(format!("belongs to another key than {KEY}")));
        }
        let ca_key_path = dir.join(CA_KEY);
        let (issuer, authority_key_pem) = match ca_key_path.exists() {
            false => (None, None),
            true => {
                let key = read_key(&ca_key_path)?;
                let pem = key.serialize_pem();
                let issuer =
                    Issuer::from_ca_cert_der(&authorities[0], key).map_err(crypto("read the site's certificate"))?;
                (Some(issuer), Some(pem))
            }
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let ca_path = dir.join(CA);
        let authority_pem =
            fs::read_to_string(&ca_path).map_err(|source| IdentityError::File { path: ca_path, source })?;
        Ok(Identity { server, key_sha256, key, certificate, authorities, authority_pem, issuer, authority_key_pem })
    }

    /// Whose identity it is.
    pub fn server(&self) -> ServerId {
        self.server
    }
    /// SHA-256 of the public key, as the `Server` row carries it.
    pub fn key_sha256(&self) -> &str {
        &self.key_sha256
    }
    /// SHA-256 of the site's certificate, for people to compare when a server joins.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.authorities[0])
    }
    /// Whether this server can issue certificates for others.
    pub fn is_issuer(&self) -> bool {
        self.issuer.is_some()
    }
    /// The site's certificate and key, for a backup.
    ///
    /// # Errors
    /// The folder does not hold the site's key.
    pub fn site_keys(&self) -> Result<SiteKeys, IdentityError> {
        let key = self.authority_key_pem.clone().ok_or(IdentityError::NoSiteKey)?;
        Ok(SiteKeys { certificate: self.authority_pem.clone(), key })
    }
    /// A key for one purpose, which every server of the site computes alike from the site's key and nobody can without it.
    /// Another purpose gives a key that says nothing about this one.
    ///
    /// # Errors
    /// The folder does not hold the site's key.
    pub fn derive(&self, purpose: &str) -> Result<[u8; 32], IdentityError> {
        const SALT: &[u8] = b"OneAlert site key";
        let refused = |reason: String| IdentityError::Crypto { doing: "derive a key", reason };
        let pem = self.authority_key_pem.as_ref().ok_or(IdentityError::NoSiteKey)?;
        let site = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| refused(error.to_string()))?;
        let site = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(site.secret_pkcs8_der());
        let mut key = [0; 32];
        let filled = site.expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key));
        filled.map_err(|error| refused(error.to_string()))?;
        Ok(key)
    }
    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }
    /// The certificate and the site's certificate behind it: a server that joins learns the latter from here.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone(), self.authorities[0].clone()]
    }
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }

    /// Issues a certificate for `server` to the holder of the key in `request`. Nothing but the key is taken from the
    /// request: names are what the caller has checked.
    ///
    /// # Errors
    /// This server does not hold the site's key, or the request is not one.
    pub fn issue(&self, request: &CheckedRequest, server: ServerId, names: &[String]) -> Result<Issued, IdentityError> {
        let issuer = self.issuer.as_ref().ok_or(IdentityError::NoSiteKey)?;
        let certificate = sign(issuer, &request.params.public_key, server, names)?;
        Ok(Issued { certificate: certificate.pem(), site: self.site_keys()? })
    }
}

/// The site's certificate and its key, PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteKeys {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for SiteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiteKeys(..)")
    }
}

/// Writes the files of a server that holds the site's key.
fn found(
    dir: &Path,
    issuer: &Issuer<'static, KeyPair>,
    site: &SiteKeys,
    server: ServerId,
    names: &[String],
) -> Result<Identity, IdentityError> {
    let key = generate()?;
    let certificate = sign(issuer, &key, server, names)?;
    write_private(&dir.join(CA_KEY), &site.key)?;
    write_private(&dir.join(KEY), &key.serialize_pem())?;
    write_private(&dir.join(CERTIFICATE), &certificate.pem())?;
    // Last: its presence says that the others are whole.
    write_private(&dir.join(CA), &site.certificate)?;
    Identity::load(dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{certificate::NAME_SUFFIX, *};

    #[test]
    fn a_primary_issues_for_a_joiner_and_both_survive_a_restart() {
        let (site, other) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let primary = Identity::create_primary(site.path(), ServerId(1), &["localhost".into(), "127.0.0.1".into()])
            .expect("a site is founded in an empty folder");
        let pending = PendingIdentity::prepare(other.path()).expect("key");
        let again = PendingIdentity::prepare(other.path()).expect("same key");
        let request = CheckedRequest::from_pem(&pending.request().expect("request")).expect("own request");
        let repeated = CheckedRequest::from_pem(&again.request().expect("request")).expect("own request");
        assert_eq!(request.key_sha256, repeated.key_sha256, "a repeated try must be the same server");
        let issued = primary.issue(&request, ServerId(2), &[]).expect("the primary issues");
        let joined = pending.complete(&issued).expect("certificate fits");
        assert_eq!((joined.server(), joined.key_sha256()), (ServerId(2), request.key_sha256.as_str()));
        assert_eq!(joined.fingerprint(), primary.fingerprint());
        assert!(
            joined.issue(&request, ServerId(3), &[]).is_ok(),
            "whoever has joined can be promoted and take others in"
        );
        for name in [CA, CA_KEY, CERTIFICATE, KEY] {
            let mode = fs::metadata(site.path().join(name)).expect(name).permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let loaded = Identity::load(site.path()).expect("loads after a restart");
        assert!(loaded.is_issuer() && loaded.key_sha256() == primary.key_sha256());
        let key = |identity: &Identity, purpose| identity.derive(purpose).expect("the site's key is there");
        assert_eq!(key(&joined, "secrets"), key(&primary, "secrets"), "every server of a site computes the same key");
        assert_eq!(key(&loaded, "secrets"), key(&primary, "secrets"), "after a restart too");
        assert_ne!(key(&primary, "other"), key(&primary, "secrets"));
        let stranger = Identity::create_primary(tempfile::tempdir().expect("folder").path(), ServerId(1), &[]);
        assert_ne!(key(&stranger.expect("another site"), "secrets"), key(&primary, "secrets"));
    }

    #[test]
    fn names_asked_for_cannot_make_a_certificate_of_another_server() {
        let site = tempfile::tempdir().expect("folder");
        let other = format!("{}{NAME_SUFFIX}.", ServerId(9)).to_uppercase();
        let primary = Identity::create_primary(site.path(), ServerId(1), &[other]).expect("site");
        assert_eq!(describe(&primary.certificate).expect("one name").0, ServerId(1));
    }

    #[test]
    fn a_second_site_is_not_founded_over_the_first() {
        let site = tempfile::tempdir().expect("folder");
        Identity::create_primary(site.path(), ServerId(1), &[]).expect("first");
        let error = Identity::create_primary(site.path(), ServerId(2), &[]).expect_err("second");
        assert!(error.to_string().contains(CA), "{error}");
    }
}
