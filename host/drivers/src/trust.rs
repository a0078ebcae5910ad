//! Which driver files may run: those that a trusted key signed for their id, and those that an administrator pinned by their
//! bytes. Step 6 of the plugin sheet's section 8, judged before any code of a file runs.
//!
//! A signature is a detached minisign file beside the library, named like it with `.minisig` behind. It says who made the
//! file, not that the file is harmless.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use minisign_verify::{PublicKey, Signature};
use semver::Version;

use crate::files::short;

/// What is added to a library's name for its signature.
pub const ENDING: &str = ".minisig";
/// No signature file is longer.
pub const LONGEST: u64 = 4096;

/// The number of a key, as minisign prints it: 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The bytes at 2 to 10 of a decoded key or signature; minisign reads them as a number, lowest byte first.
    fn of(text: &str) -> Option<KeyId> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        Some(KeyId(bytes.get(2..10)?.iter().rev().map(|byte| format!("{byte:02X}")).collect()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a minisign public key: it is the line of 56 letters and digits in the .pub file")]
pub struct BadKey;

/// A key that may sign drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// Its number.
    pub id: KeyId,
    key: PublicKey,
    /// What it may sign: an id, or the beginning of ids with a dot at its end, such as `com.algo.`.
    pub prefixes: Vec<String>,
}

impl TrustedKey {
    /// A key as minisign writes it: the second line of its file, or both lines.
    ///
    /// # Errors
    /// The text is none.
    pub fn new(text: &str, prefixes: Vec<String>) -> Result<TrustedKey, BadKey> {
        let line = text.trim().lines().last().unwrap_or_default().trim();
        let key = PublicKey::from_base64(line).map_err(|_| BadKey)?;
        Ok(TrustedKey { id: KeyId::of(line).ok_or(BadKey)?, key, prefixes })
    }

    /// Whether it may sign a driver of this id.
    pub fn covers(&self, id: &str) -> bool {
        self.prefixes.iter().any(|prefix| id == prefix || (prefix.ends_with('.') && id.starts_with(prefix.as_str())))
    }
}

/// Why a file may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A trusted key signed these bytes for this id.
    Signed(KeyId),
    /// An administrator pinned these bytes; no trusted key signed them.
    Pinned,
}

/// Why a file may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Nobody signed it and nobody pinned it.
    #[error("signature missing")]
    Missing,
    /// The signature is of other bytes. Pinning does not help: somebody meant another file.
    #[error("changed after signing")]
    Changed,
    /// What lies beside it is no signature.
    #[error("its signature file cannot be read; take it away, or copy it again")]
    Unreadable,
    /// Signed, but by nobody who may.
    #[error("key {key} is not trusted for {id}")]
    Stranger {
        /// The key that signed it.
        key: KeyId,
        /// The driver's id.
        id: String,
    },
}

impl Distrust {
    /// Whether an administrator may pin the file nevertheless.
    pub fn may_be_pinned(&self) -> bool {
        matches!(self, Distrust::Missing | Distrust::Stranger { .. })
    }
}

/// A minisign signature.
#[derive(Clone)]
pub struct Signed {
    key: KeyId,
    signature: Signature,
}

impl FromStr for Signed {
    type Err = Distrust;

    fn from_str(text: &str) -> Result<Signed, Distrust> {
        let signature = Signature::decode(text).map_err(|_| Distrust::Unreadable)?;
        let key = text.lines().nth(1).and_then(KeyId::of).ok_or(Distrust::Unreadable)?;
        Ok(Signed { key, signature })
    }
}

/// What a pinned file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The driver's id.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// Another file of the same driver and version was pinned: somebody changed it since, or copied the wrong one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the file that was pinned as {id} {version}: expected SHA-256 {}, found {}; put the pinned file back, give the \
     changed driver another version, or take the pin back first",
    short(expected),
    short(found)
)]
pub struct OtherPinned {
    id: String,
    version: Version,
    expected: String,
    found: String,
}

/// Who is trusted, as the configuration says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Keys that may sign.
    pub keys: Vec<TrustedKey>,
    /// Files that were pinned, by their SHA-256.
    pub pinned: BTreeMap<String, Pinned>,
    /// Signatures of files by their SHA-256, as they travel with the configuration.
    pub signatures: BTreeMap<String, String>,
}

impl Trust {
    /// Whether a file may run. `beside` is the signature file that lies beside it; without one, that of the configuration
    /// counts.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, id: &str, sha256: &str, bytes: &[u8], beside: Option<&str>) -> Result<Standing, Distrust> {
        let is_pinned = self.pinned.contains_key(sha256);
        let text = beside.or_else(|| self.signatures.get(sha256).map(String::as_str));
        let Some(text) = text else {
            return if is_pinned { Ok(Standing::Pinned) } else { Err(Distrust::Missing) };
        };
        let Signed { key, signature } = text.parse()?;
        let of_key = self.keys.iter().filter(|known| known.id == key);
        // Two keys may bear one number; the one that fits decides.
        let verified = |known: &&TrustedKey| known.key.verify(bytes, &signature, true).is_ok();
        match (of_key.clone().find(verified), of_key.count()) {
            (Some(signer), _) if signer.covers(id) => Ok(Standing::Signed(key)),
            (None, 1..) => Err(Distrust::Changed),
            _ if is_pinned => Ok(Standing::Pinned),
            _ => Err(Distrust::Stranger { key, id: id.to_owned() }),
        }
    }
    /// Whether no other file was pinned as this version of this driver. Two files that call themselves the same cannot both
    /// be what was meant.
    ///
    /// # Errors
    /// One was.
    pub fn is_the_pinned(&self, id: &str, version: &Version, sha256: &str) -> Result<(), OtherPinned> {
        let same = |pin: &Pinned| pin.id == id && pin.version == version.to_string();
        match self.pinned.iter().find(|(pinned, pin)| *pinned != sha256 && same(pin)) {
            None => Ok(()),
            Some((expected, _)) => Err(OtherPinned {
                id: id.to_owned(),
                version: version.clone(),
                expected: expected.clone(),
                found: sha256.to_owned(),
            }),
        }
    }
}
