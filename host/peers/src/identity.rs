//! Who a server is: its key, the certificate that the site issued for it, and the site's own key.
//!
//! Every server that has joined holds the site's key, so that any of them can be promoted and then let others join. It gives
//! nobody entry by itself: a certificate names a server, and whether that server with that key is one of us is the roster's.
//!
//! Certificates do not expire: a server whose clock is wrong or whose operator forgot a date must not fall silent in an
//! alarm. What revokes one is the configuration ([`crate::roster`]), at once and on every server.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use onealert_core::ids::ServerId;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const CA: &str = "site-ca.pem";
const CA_KEY: &str = "site-ca-key.pem";
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server-key.pem";
const PENDING_KEY: &str = "join-key.pem";
/// The name under which a certificate carries its server's id. `.internal` is never delegated, so that no name of the
/// public network can be taken for it.
const NAME_SUFFIX: &str = ".server.onealert.internal";

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
    params: CertificateSigningRequestParams,
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

/// The server that a certificate names, and SHA-256 of its key.
///
/// # Errors
/// It is not a certificate of a server.
pub fn describe(certificate: &CertificateDer<'_>) -> Result<(ServerId, String), IdentityError> {
    let not = |subject: &str, reason| IdentityError::NotAServer { subject: subject.to_owned(), reason };
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| not("", "it cannot be read"))?;
    let subject = parsed.subject().to_string();
    let names = parsed.subject_alternative_name().ok().flatten().ok_or_else(|| not(&subject, "it has no names"))?;
    let mut servers = names.value.general_names.iter().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::DNSName(name) => name.strip_suffix(NAME_SUFFIX),
        _ => None,
    });
    let id = servers.next().ok_or_else(|| not(&subject, "no name is a server's id"))?;
    if servers.next().is_some() {
        return Err(not(&subject, "it names two servers"));
    }
    let server = id.parse().map_err(|_| not(&subject, "the id in its name is not 32 hexadecimal digits"))?;
    Ok((server, hex(&Sha256::digest(parsed.public_key().raw))))
}

/// The name under which `server`'s certificate must verify.
pub(crate) fn server_name(server: ServerId) -> rustls::pki_types::ServerName<'static> {
    rustls::pki_types::ServerName::try_from(format!("{server}{NAME_SUFFIX}")).expect("hexadecimal digits make a name")
}

/// SHA-256 of a certificate, as hexadecimal digits.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&Sha256::digest(certificate))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
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

fn generate() -> Result<KeyPair, IdentityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(crypto("make a key"))
}

fn key_hash(key: &KeyPair) -> String {
    hex(&Sha256::digest(key.subject_public_key_info()))
}

fn base_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2099, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn sign(
    issuer: &Issuer<'static, KeyPair>,
    key: &impl PublicKeyData,
    server: ServerId,
    names: &[String],
) -> Result<rcgen::Certificate, IdentityError> {
    // A name that means a server may come from the id only; whoever asks for another one would become that server.
    let safe = names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let mut all = vec![format!("{server}{NAME_SUFFIX}")];
    all.extend(safe.filter(|name| !name.is_empty() && !name.ends_with(NAME_SUFFIX)));
    let named = CertificateParams::new(all).map_err(|error| IdentityError::BadRequest(error.to_string()))?;
    let mut params = base_params(&format!("OneAlert server {server}"));
    params.subject_alt_names = named.subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.signed_by(key, issuer).map_err(crypto("sign a certificate"))
}

fn crypto(doing: &'static str) -> impl FnOnce(rcgen::Error) -> IdentityError {
    move |error| IdentityError::Crypto { doing, reason: error.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let bytes = fs::read(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })?;
    let bad = |reason: String| IdentityError::BadFile { path: path.to_owned(), reason };
    let list: Vec<_> =
        CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
    match list.is_empty() {
        true => Err(bad("holds no certificate".to_owned())),
        false => Ok(list),
    }
}

fn read_key(path: &Path) -> Result<KeyPair, IdentityError> {
    let text = fs::read_to_string(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })?;
    KeyPair::from_pem(&text)
        .map_err(|error| IdentityError::BadFile { path: path.to_owned(), reason: error.to_string() })
}

fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(IdentityError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Writes a file that only the service's user can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), IdentityError> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

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
