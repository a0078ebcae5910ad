//! Seals secrets of the configuration, and opens them.
//!
//! A secret is sealed once, when the primary takes it, and stays the same text in every copy, log, snapshot and backup. It is
//! opened where it is handed to a driver's worker, and nowhere else. The key is computed from the site's key, which every
//! server of the site holds; the place where a secret stands is part of what is authenticated, so that ciphertext that was
//! moved to another row or field does not open.

use base64::{Engine, engine::general_purpose::STANDARD};
use onealert_core::{config::Table, sealed};
use onealert_peers::{Identity, IdentityError};
use serde_json::Value;

use crate::cipher::Cipher;

/// The form of the text, and what its first bytes are: key id, nonce, ciphertext.
const VERSION: &str = "v1:";
/// How many bytes name the key: enough to tell that a secret is another site's.
const KEY_ID: usize = 4;
/// Secrets are filled up to a multiple of this, so that ciphertext does not tell how long a password is.
const FILL: usize = 64;

/// The row in which a secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its table.
    pub table: Table,
    /// Its key.
    pub key: &'a str,
}

/// Why a stored secret cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Another site's server sealed it.
    #[error("was sealed with another site's key; enter it again")]
    OtherKey,
    /// It was changed, or stood in another row or field.
    #[error("was changed or moved here outside OneAlert; enter it again")]
    Changed,
    /// A form that this program does not know.
    #[error("is sealed in a form that this version does not know; update this server, or enter it again")]
    Form,
    /// There is no key to open it with.
    #[error("cannot be opened, because this server does not hold the site's key; join this server again")]
    NoKey,
}

/// A stored secret that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret {path} of {table} {key:?} {why}", table = table.noun())]
pub struct Unopened {
    /// The table of its row.
    pub table: Table,
    /// The key of its row.
    pub key: String,
    /// Where it stands in the row's described value, as a JSON pointer.
    pub path: String,
    /// Why.
    pub why: Why,
}

impl Unopened {
    /// Whether it stands in that row.
    pub fn is_of(&self, table: Table, key: &str) -> bool {
        self.table == table && self.key == key
    }
}

/// A secret could not be sealed. Nothing is stored then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// There is no key.
    #[error("this server does not hold the site's key, so that secrets cannot be stored; join it again")]
    NoKey,
    /// The cryptography refused.
    #[error("the secret could not be sealed; repeat it, the log says more")]
    Refused,
}

/// Seals and opens.
pub struct Seal {
    key: Option<Key>,
}

struct Key {
    id: [u8; KEY_ID],
    cipher: Cipher,
}

impl Seal {
    /// With the key of the site of this identity.
    ///
    /// # Errors
    /// The cryptography refused. An identity without the site's key is none: such a server opens nothing.
    pub fn of(identity: &Identity) -> Result<Seal, IdentityError> {
        let secret = match identity.derive("secrets of the configuration, version 1") {
            Ok(secret) => secret,
            Err(IdentityError::NoSiteKey) => return Ok(Seal { key: None }),
            Err(error) => return Err(error),
        };
        let id = identity.derive("name of the key of secrets, version 1")?;
        let mut name = [0; KEY_ID];
        name.copy_from_slice(&id[..KEY_ID]);
        Ok(Seal { key: Some(Key { id: name, cipher: Cipher::new(&secret) }) })
    }

    /// The object that is stored in place of a secret.
    ///
    /// # Errors
    /// See [`Unsealed`].
    pub fn seal(&self, row: Row<'_>, path: &str, secret: &Value) -> Result<Value, Unsealed> {
        let key = self.key.as_ref().ok_or(Unsealed::NoKey)?;
        let mut text = secret.to_string().into_bytes();
        // Spaces behind JSON text mean nothing.
        text.resize(text.len().next_multiple_of(FILL), b' ');
        let text = key.cipher.seal(&place(row, path), text).ok_or(Unsealed::Refused)?;
        let bytes = [&key.id[..], &text].concat();
        Ok(sealed::object(format!("{VERSION}{}", STANDARD.encode(bytes))))
    }

    /// A described value with its secrets opened.
    ///
    /// # Errors
    /// The first secret that cannot be opened.
    pub fn open(&self, row: Row<'_>, value: &Value) -> Result<Value, Unopened> {
        let mut value = value.clone();
        for path in sealed::paths(&value) {
            let Some(inner) = value.pointer_mut(&path) else { continue };
            let opened = sealed::text(inner).map(|text| self.open_one(row, &path, text));
            match opened {
                Some(Ok(secret)) => *inner = secret,
                Some(Err(why)) => {
                    return Err(Unopened { table: row.table, key: row.key.to_owned(), path, why });
                }
                None => {}
            }
        }
        Ok(value)
    }

    fn open_one(&self, row: Row<'_>, path: &str, text: &str) -> Result<Value, Why> {
        let text = text.strip_prefix(VERSION).ok_or(Why::Form)?;
        let bytes = STANDARD.decode(text).map_err(|_| Why::Changed)?;
        let key = self.key.as_ref().ok_or(Why::NoKey)?;
        let (id, text) = bytes.split_at_checked(KEY_ID).ok_or(Why::Changed)?;
        if id != key.id {
            return Err(Why::OtherKey);
        }
        let opened = key.cipher.open(&place(row, path), text).ok_or(Why::Changed)?;
        serde_json::from_slice(&opened).map_err(|_| Why::Changed)
    }
}

/// What is authenticated beside the secret. JSON text, because no two places are written alike in it.
fn place(row: Row<'_>, path: &str) -> Vec<u8> {
    serde_json::json!([row.table.name(), row.key, path]).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use onealert_core::ids::ServerId;
    use serde_json::json;

    use super::*;

    const STROBE: Row<'static> = Row { table: Table::Endpoints, key: "strobe" };

    fn site() -> Seal {
        let folder = tempfile::tempdir().expect("a folder");
        Seal::of(&Identity::create_primary(folder.path(), ServerId(1), &[]).expect("a site")).expect("a key")
    }

    fn stored(seal: &Seal, secret: &str) -> Value {
        json!({"host": "a", "password": seal.seal(STROBE, "/password", &json!(secret)).expect("sealed")})
    }

    #[test]
    fn a_secret_opens_where_it_was_sealed_and_nowhere_else() {
        let seal = site();
        let row = stored(&seal, "correct horse");
        assert!(!row.to_string().contains("horse"), "{row}");
        assert_eq!(seal.open(STROBE, &row), Ok(json!({"host": "a", "password": "correct horse"})));
        let why = |row: Row<'_>, value: &Value| seal.open(row, value).expect_err("it must not open").why;
        assert_eq!(why(Row { key: "other", ..STROBE }, &row), Why::Changed);
        assert_eq!(why(Row { table: Table::Triggers, ..STROBE }, &row), Why::Changed);
        assert_eq!(why(STROBE, &json!({"sip": row["password"]})), Why::Changed);
        let mut text = row["password"]["sealed"].as_str().expect("text").to_owned();
        let last = text.pop().expect("a letter");
        text.push(if last == 'A' { 'B' } else { 'A' });
        assert_eq!(why(STROBE, &json!({"password": {"sealed": text}})), Why::Changed);
        for (damaged, expected) in [("v2:AAAA", Why::Form), ("v1:", Why::Changed), ("v1:?", Why::Changed)] {
            assert_eq!(why(STROBE, &json!({"password": {"sealed": damaged}})), expected, "{damaged}");
        }
        assert_eq!(
            site().open(STROBE, &row).expect_err("another site").to_string(),
            "the secret /password of endpoint \"strobe\" was sealed with another site's key; enter it again"
        );
    }

    #[test]
    fn ciphertext_does_not_tell_how_long_a_password_is_or_that_two_are_equal() {
        let seal = site();
        let rows = ["a", "a", "a much longer password"].map(|secret| stored(&seal, secret).to_string());
        assert_eq!(rows[0].len(), rows[2].len());
        assert_ne!(rows[0], rows[1]);
    }

    #[test]
    fn without_the_sites_key_nothing_opens_and_nothing_is_sealed() {
        let row = stored(&site(), "x");
        let none = Seal { key: None };
        assert_eq!(none.open(STROBE, &row).expect_err("no key").why, Why::NoKey);
        assert_eq!(none.seal(STROBE, "/password", &json!("x")), Err(Unsealed::NoKey));
        assert_eq!(
            none.open(STROBE, &json!({"host": "a"})),
            Ok(json!({"host": "a"})),
            "what has no secret needs no key"
        );
    }
}
