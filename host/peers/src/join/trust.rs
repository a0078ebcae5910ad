//! What a server that has no certificate yet believes: the site whose fingerprint it was given, or the one that answers.

use std::sync::{Arc, Mutex};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::identity::{self, fingerprint};

/// Accepts a server whose certificate was issued by the site certificate that it shows, if that has the fingerprint.
#[derive(Debug)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    expected: Option<String>,
    seen: Mutex<Option<String>>,
}

impl Trust {
    pub fn new(expected: Option<String>) -> Arc<Trust> {
        Arc::new(Trust { provider: crate::tls::provider(), expected, seen: Mutex::default() })
    }

    /// The fingerprint of the site that answered.
    pub fn seen(&self) -> Option<String> {
        self.seen.lock().expect("no panic while it is held").clone()
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = chain.last().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let found = fingerprint(authority);
        *self.seen.lock().expect("no panic while it is held") = Some(found.clone());
        if self.expected.as_ref().is_some_and(|expected| *expected != found) {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        let (server, _) = identity::describe(certificate).map_err(|error| Error::General(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(certificate, &[], &identity::server_name(server), ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken between servers".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
