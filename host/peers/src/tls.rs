//! TLS as the servers use it: version 1.3, the site's certificate authority, and a protocol name that says what is spoken.

use std::sync::Arc;

use onealert_core::ids::ServerId;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::WebPkiClientVerifier,
};

use crate::identity::{self, Identity, IdentityError};

/// Heartbeats and activations.
pub const MESH: &[u8] = b"onealert-mesh/1";
/// Configuration, records and files.
pub const SYNC: &[u8] = b"onealert-sync/1";
/// A server that has no certificate yet.
pub const JOIN: &[u8] = b"onealert-join/1";

/// The cryptography that everything here uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// For the listener of the peers: every protocol, certificates asked for but not demanded, since a joining server has none.
/// The listener refuses a caller without one for every protocol but joining.
///
/// # Errors
/// The identity's files do not make a usable certificate.
pub fn listener_config(identity: &Identity) -> Result<Arc<ServerConfig>, IdentityError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(identity)?), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| refused("check certificates of the site", &error))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| {
            builder.with_client_cert_verifier(verifier).with_single_cert(identity.chain(), identity.private_key())
        })
        .map_err(|error| refused("set up the peers' listener", &error))?;
    config.alpn_protocols = vec![MESH.to_vec(), SYNC.to_vec(), JOIN.to_vec()];
    // A resumed session would be judged by the certificate of an earlier moment.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// For calls to a peer: our certificate, and only the site's are believed.
///
/// # Errors
/// The identity's files do not make a usable certificate.
pub fn caller_config(identity: &Identity, protocol: &[u8]) -> Result<Arc<ClientConfig>, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| refused("set up calls to peers", &error))?
        .with_root_certificates(roots(identity)?)
        .with_client_auth_cert(identity.chain(), identity.private_key())
        .map_err(|error| refused("set up calls to peers", &error))?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// For the pages: the same certificate, no certificate asked of browsers.
///
/// # Errors
/// The identity's files do not make a usable certificate.
pub fn web_config(identity: &Identity) -> Result<Arc<ServerConfig>, IdentityError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(identity.chain(), identity.private_key()))
        .map_err(|error| refused("set up the pages' listener", &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Who is at the other end, proven by its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its id.
    pub server: ServerId,
    /// SHA-256 of its key.
    pub key_sha256: String,
}

impl Caller {
    /// From the certificates that the handshake has verified.
    pub(crate) fn of(certificates: Option<&[rustls::pki_types::CertificateDer<'_>]>) -> Option<Caller> {
        let (server, key_sha256) = identity::describe(certificates?.first()?).ok()?;
        Some(Caller { server, key_sha256 })
    }
}

fn roots(identity: &Identity) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for authority in identity.authorities() {
        roots.add(authority.clone()).map_err(|error| refused("read the site's certificate", &error))?;
    }
    Ok(roots)
}

pub(crate) fn refused(doing: &'static str, error: &dyn std::fmt::Display) -> IdentityError {
    IdentityError::Crypto { doing, reason: error.to_string() }
}
