//! Asks a server what it runs: `GET /api/v1/versions` with an account of the installation, over HTTPS that ends in the site's
//! own authority.

use std::{collections::BTreeMap, net::IpAddr, path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http_client::{Client, Fingerprint, Limits, Options, Request, Trust};
use onealert_core::{
    config::Role,
    ids::{DriverId, ServerId},
    version::{DriverVersion, VersionSet},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

/// A server that does not answer within this time is not reachable.
const DEADLINE: Duration = Duration::from_secs(8);
/// A server answers with a few kilobytes; a hundred drivers would still fit.
const ANSWER_BYTES: usize = 1 << 20;
const PATH: &str = "/api/v1/versions";

/// Where a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host and port.
    base: String,
    encrypted: bool,
}

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It is not one.
    #[error("{0:?} is not an address: give host, host:port or https://host:port")]
    Unreadable(String),
    /// A password would leave this machine in the clear.
    #[error("{0:?}: a password is sent without encryption to this machine itself only; use https")]
    InTheClear(String),
}

impl std::str::FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Address, BadAddress> {
        let unreadable = || BadAddress::Unreadable(text.to_owned());
        let (encrypted, rest) = match text.split_once("://") {
            None => (true, text),
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(unreadable()),
        };
        let place = rest.trim_end_matches('/');
        let strange = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#');
        if place.is_empty() || place.contains(strange) {
            return Err(unreadable());
        }
        // An IPv6 address has colons of its own and stands in brackets when a port follows.
        let place = if place.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{place}]") } else { place.to_owned() };
        let host = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, _)) => host,
            None => place.split_once(':').map_or(place.as_str(), |(host, _)| host),
        };
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !encrypted && !here {
            return Err(BadAddress::InTheClear(text.to_owned()));
        }
        let scheme = if encrypted { "https" } else { "http" };
        Ok(Address { base: format!("{scheme}://{place}"), encrypted })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base)
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// Its id.
    pub id: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    pub role: Role,
    /// What it runs.
    pub versions: VersionSet,
    /// Every enabled driver as its copy of the configuration names it.
    pub enabled: BTreeMap<DriverId, DriverVersion>,
    /// The generation of its configuration.
    pub epoch: String,
    /// The last change that its copy holds.
    pub position: u64,
    /// `ok` when its copy follows the primary.
    pub sync: String,
    /// The same in words.
    pub sync_text: String,
    /// The other servers that its configuration names.
    pub others: Vec<Other>,
}

/// A server that another one names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// Its id.
    pub id: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    pub role: Role,
    /// Base URL of its pages.
    pub web: String,
}

/// Why a server did not say what it runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTold {
    /// No whole answer came.
    #[error("{0}")]
    NoAnswer(String),
    /// The certificate was issued by another site.
    #[error("its certificate belongs to another site: the authority is {found}, expected was {wanted}")]
    OtherSite {
        /// What was shown.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// No authority was named for an encrypted connection.
    #[error("whom to trust is not said: give --fingerprint or --ca")]
    NobodyTrusted,
    /// Name or password are wrong.
    #[error("the login {0} was refused; use an account of this installation")]
    Login(String),
    /// It answers, but not as a server of this product does.
    #[error("answered with status {status}{detail}; is this OneAlert, of 0.1.0 or later?")]
    Strange {
        /// The status code.
        status: u16,
        /// What it said, if it can be read.
        detail: String,
    },
}

/// The site's certificate, from the file that every server keeps as `identity/site-ca.pem` in its data folder.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub fn fingerprint_of(file: &Path) -> Result<Fingerprint, String> {
    let certificate =
        CertificateDer::from_pem_file(file).map_err(|error| format!("certificate {}: {error}", file.display()))?;
    Ok(Fingerprint::of(&certificate))
}

/// Asks servers, with one account.
pub struct Asker {
    client: Client,
    trusts: bool,
    user: String,
    login: String,
}

impl Asker {
    /// Asks as this user, and believes servers of the site with this fingerprint.
    pub fn new(user: &str, password: &str, site: Option<Fingerprint>) -> Asker {
        let trust = site.map_or(Trust::System, Trust::Authority);
        Asker {
            client: Client::new(Options { trust, ..Options::default() }),
            trusts: site.is_some(),
            user: user.to_owned(),
            login: format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))),
        }
    }

    /// Asks one server.
    ///
    /// # Errors
    /// It did not say what it runs; the text says why.
    pub async fn ask(&self, address: &Address) -> Result<Told, NotTold> {
        if address.encrypted && !self.trusts {
            return Err(NotTold::NobodyTrusted);
        }
        let limits = Limits { deadline: DEADLINE, body_bytes: ANSWER_BYTES, ..Limits::default() };
        let request = Request::get(format!("{}{PATH}", address.base)).limits(limits);
        let request = request.header("Authorization", self.login.as_str()).header("Accept", "application/json");
        let answer = self.client.send(request).await.map_err(|error| match error.cause {
            http_client::Cause::WrongCertificate { found, wanted } => NotTold::OtherSite { found, wanted },
            _ => NotTold::NoAnswer(error.to_string()),
        })?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|error| NotTold::Strange {
                status: 200,
                detail: format!(", but not with its versions: {error}"),
            }),
            401 => Err(NotTold::Login(self.user.clone())),
            status => {
                let said: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
                let detail = said.and_then(|said| Some(format!(": {}", said["detail"].as_str()?)));
                Err(NotTold::Strange { status, detail: detail.unwrap_or_default() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, BadAddress> {
        text.parse::<Address>().map(|address| address.to_string())
    }

    #[test]
    fn an_address_is_https_unless_it_says_otherwise() {
        for (text, base) in [
            ("10.0.0.11", "https://10.0.0.11"),
            ("pa-1.example:8443", "https://pa-1.example:8443"),
            ("https://pa-1.example/", "https://pa-1.example"),
            ("fd00::11", "https://[fd00::11]"),
            ("[fd00::11]:8443", "https://[fd00::11]:8443"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(base));
        }
        for text in ["", "https://", "ftp://a", "a b", "user@host", "host/path"] {
            assert!(matches!(read(text), Err(BadAddress::Unreadable(_))), "{text}");
        }
    }

    #[test]
    fn a_password_leaves_this_machine_only_encrypted() {
        assert!(matches!(read("http://10.0.0.11"), Err(BadAddress::InTheClear(_))));
        for text in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
    }
}
