//! The joining side.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use onealert_core::{config::Server, ids::ServerId, version::VersionSet};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::codec::Framed;

use super::{Ask, JoinRefusal, Reply, trust::Trust};
use crate::{
    frame::{self, Frames, JOIN_LIMIT},
    identity::{Identity, IdentityError, Issued, PendingIdentity},
    net::TcpStream,
    socket, tls,
};

/// Checking a password and counting licences takes a moment, also on a busy primary.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// What is needed to join.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Where the key and the certificate are kept.
    pub dir: PathBuf,
    /// `address:port` of the primary's peer listener.
    pub primary: String,
    /// An administrator's login on the primary. Not kept.
    pub user: String,
    /// Its password. Not kept.
    pub password: String,
    /// Display name of this server.
    pub name: String,
    /// `address:port` where the other servers reach this one.
    pub mesh: String,
    /// Base URL of this server's pages.
    pub web: String,
    /// What this server runs.
    pub versions: VersionSet,
    /// SHA-256 of the site's certificate, as the primary prints it; colons and upper case are accepted. Without it the site
    /// that answers is trusted.
    pub fingerprint: Option<String>,
    /// The folder holds a server that is to stay the one it is: the primary may know its key.
    pub keep_key: bool,
}

/// What joining gave.
#[derive(Debug)]
pub struct Joined {
    /// The key and certificate, in place.
    pub identity: Identity,
    /// The id that the primary gave to this server.
    pub server: ServerId,
    /// The primary, to follow from here on.
    pub primary: Server,
    /// SHA-256 of the site's certificate.
    pub fingerprint: String,
    /// Whether a fingerprint was given and was right. If not, the operator should compare it with what the primary prints.
    pub verified: bool,
}

/// Why joining did not work.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The primary could not be reached.
    #[error("primary {address}: {reason}; check the address and that the primary runs")]
    NotReached {
        /// Where it was sought.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// Another site answered. Nothing was told to it.
    #[error("primary {address} shows fingerprint {found}, {expected} was given; the password was not sent")]
    OtherSite {
        /// Who answered.
        address: String,
        /// What it shows.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The primary said no.
    #[error("primary {address}: {refusal}")]
    Refused {
        /// Who answered.
        address: String,
        /// Why.
        refusal: JoinRefusal,
    },
    /// Key or certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The fingerprint of the site at `primary`, to be compared by the operator before a password is sent.
///
/// # Errors
/// Nobody answers there, or not a primary.
pub async fn fingerprint(primary: &str) -> Result<String, JoinError> {
    let (_, found) = call(primary, None).await?;
    Ok(found)
}

/// Joins. Repeating it after a lost answer is safe: the key is kept, and the primary knows it again.
///
/// # Errors
/// See [`JoinError`].
pub async fn request(request: JoinRequest) -> Result<Joined, JoinError> {
    let JoinRequest { dir, primary: address, user, password, name, mesh, web, versions, fingerprint, keep_key } =
        request;
    let expected = fingerprint.map(|text| text.replace(':', "").trim().to_ascii_lowercase());
    let verified = expected.is_some();
    let (mut connection, fingerprint) = call(&address, expected).await?;
    let pending = if keep_key { PendingIdentity::of_present(&dir)? } else { PendingIdentity::prepare(&dir)? };
    let ask = Ask { user, password, name, mesh, web, request: pending.request()?, versions };
    let lost = |reason: String| JoinError::NotReached { address: address.clone(), reason };
    let answer = async {
        connection.send(frame::write(&ask)).await.map_err(|error| lost(error.to_string()))?;
        let answer =
            connection.next().await.ok_or_else(|| lost("closed the connection without an answer".to_owned()))?;
        let answer = answer.map_err(|error| lost(error.to_string()))?;
        frame::read(&answer).map_err(|_| lost("what it answers is not the answer of a primary".to_owned()))
    };
    let answer = tokio::time::timeout(ANSWER_DEADLINE, answer).await;
    match answer.map_err(|_| lost("does not answer".to_owned()))?? {
        Reply::Refused(refusal) => Err(JoinError::Refused { address, refusal }),
        Reply::Joined { server, certificate, site, primary } => {
            let identity = pending.complete(&Issued { certificate, site })?;
            Ok(Joined { identity, server, primary: *primary, fingerprint, verified })
        }
    }
}

type Connection = Framed<TlsStream<TcpStream>, Frames>;

#[expect(clippy::disallowed_methods, reason = "judged by `Trust` of this folder")]
async fn call(address: &str, expected: Option<String>) -> Result<(Connection, String), JoinError> {
    let lost = |reason: String| JoinError::NotReached { address: address.to_owned(), reason };
    let trust = Trust::new(expected.clone());
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| lost(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(trust.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![tls::JOIN.to_vec()];
    let limit = Duration::from_secs(5);
    let stream = socket::connect(address, limit).await.map_err(|error| lost(error.to_string()))?;
    // The site's name is not known yet; the verifier reads the server's own from its certificate.
    let name = ServerName::try_from("joining.onealert.internal").expect("a constant name");
    let shake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let shaken = tokio::time::timeout(limit, shake).await.map_err(|_| lost("does not answer".to_owned()))?;
    match (shaken, trust.seen(), expected) {
        (Ok(stream), Some(found), _) => Ok((Framed::new(stream, Frames { limit: JOIN_LIMIT }), found)),
        (_, Some(found), Some(expected)) if found != expected => {
            Err(JoinError::OtherSite { address: address.to_owned(), found, expected })
        }
        (Err(error), ..) => Err(lost(error.to_string())),
        (Ok(_), None, _) => Err(lost("shows no site certificate".to_owned())),
    }
}
