//! Whom to believe: the system's authorities, one certificate, or anybody.

use std::{fmt, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    WantsVerifier,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use sha2::{Digest, Sha256};

/// SHA-256 of a certificate's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of this certificate.
    pub fn of(certificate: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// 64 hexadecimal digits; colons and spaces between them are allowed, as browsers print them.
    fn from_str(text: &str) -> Result<Fingerprint, String> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| !matches!(c, ':' | ' '))
            .map(|c| c.to_digit(16).map(|digit| digit as u8).ok_or_else(|| format!("`{c}` is not a hexadecimal digit")))
            .collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
        let found = digits.len();
        bytes
            .try_into()
            .ok()
            .filter(|_| found == 64)
            .map(Fingerprint)
            .ok_or_else(|| format!("a SHA-256 fingerprint has 64 hexadecimal digits, this has {found}"))
    }
}

/// Whom to believe on https.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// The authorities of this machine, and the host's name in the certificate.
    #[default]
    System,
    /// The authorities of this machine and these, as DER certificates: a site's own authority.
    SystemAnd(Vec<Vec<u8>>),
    /// This one certificate, whoever signed it and whatever it names: a device with a self-signed certificate.
    Pinned(Fingerprint),
    /// Whoever shows a certificate that this authority signed, with the authority's own behind it: a site that is its own
    /// authority, whose servers are reached by addresses that no certificate names.
    Authority(Fingerprint),
    /// Any certificate. The connection is encrypted, but not against somebody in the middle. For devices that make their own
    /// certificate and that nobody has pinned.
    Anybody,
}

impl Trust {
    pub(crate) fn config(&self) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs offers TLS 1.2 and 1.3");
        match self {
            Trust::System => builder.with_root_certificates(roots(&[])).with_no_client_auth(),
            Trust::SystemAnd(more) => builder.with_root_certificates(roots(more)).with_no_client_auth(),
            Trust::Pinned(wanted) => judged(builder, Wanted::Certificate(*wanted), provider),
            Trust::Authority(wanted) => judged(builder, Wanted::Authority(*wanted), provider),
            Trust::Anybody => judged(builder, Wanted::Anything, provider),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "judged here")]
fn judged(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    wanted: Wanted,
    provider: Arc<CryptoProvider>,
) -> ClientConfig {
    let judge = Arc::new(Judge { wanted, provider });
    builder.dangerous().with_custom_certificate_verifier(judge).with_no_client_auth()
}

fn roots(more: &[Vec<u8>]) -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("authorities of this machine: {error}");
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    let (_, refused) = store.add_parsable_certificates(more.iter().map(|der| CertificateDer::from(der.clone())));
    if refused > 0 {
        tracing::warn!("{refused} of the given authorities cannot be read and are left out");
    }
    store
}

/// The shown certificate is not the pinned one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("certificate {found} is not the pinned {wanted}")]
pub(crate) struct NotPinned {
    pub found: Fingerprint,
    pub wanted: Fingerprint,
}

/// Which certificate will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Certificate(Fingerprint),
    Authority(Fingerprint),
    Anything,
}

/// Judges a certificate by a fingerprint, or not at all.
#[derive(Debug)]
struct Judge {
    wanted: Wanted,
    provider: Arc<CryptoProvider>,
}

impl Judge {
    fn pinned(found: Fingerprint, wanted: Fingerprint) -> Result<(), rustls::Error> {
        if found == wanted {
            return Ok(());
        }
        let why = OtherError(Arc::new(NotPinned { found, wanted }));
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(why)))
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.wanted {
            Wanted::Anything => {}
            Wanted::Certificate(wanted) => Judge::pinned(Fingerprint::of(end_entity), wanted)?,
            Wanted::Authority(wanted) => {
                let authority = intermediates.last().unwrap_or(end_entity);
                Judge::pinned(Fingerprint::of(authority), wanted)?;
                let mut roots = RootCertStore::empty();
                roots.add(authority.clone().into_owned())?;
                let between = intermediates.split_last().map_or(&[][..], |(_, between)| between);
                let algorithms = self.provider.signature_verification_algorithms.all;
                let shown = ParsedCertificate::try_from(end_entity)?;
                verify_server_cert_signed_by_trust_anchor(&shown, &roots, between, now, algorithms)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // A pinned certificate proves nothing unless the other side holds its key. Where anybody is accepted there is nothing
        // to prove, and old devices show certificates (X.509 version 1) that the check cannot even read.
        match self.wanted {
            Wanted::Certificate(_) | Wanted::Authority(_) => {
                verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
            }
            Wanted::Anything => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.wanted {
            Wanted::Certificate(_) | Wanted::Authority(_) => {
                verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
            }
            Wanted::Anything => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
