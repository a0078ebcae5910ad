//! Keys and certificates: how a server's is made, signed and read.

use onealert_core::ids::ServerId;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::IdentityError;

/// The name under which a certificate carries its server's id. `.internal` is never delegated, so that no name of the
/// public network can be taken for it.
pub(super) const NAME_SUFFIX: &str = ".server.onealert.internal";

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

pub(super) fn generate() -> Result<KeyPair, IdentityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(crypto("make a key"))
}

pub(super) fn key_hash(key: &KeyPair) -> String {
    hex(&Sha256::digest(key.subject_public_key_info()))
}

pub(super) fn base_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2099, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(super) fn sign(
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

pub(super) fn crypto(doing: &'static str) -> impl FnOnce(rcgen::Error) -> IdentityError {
    move |error| IdentityError::Crypto { doing, reason: error.to_string() }
}
