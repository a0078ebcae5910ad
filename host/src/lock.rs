//! Locks a text with a passphrase: the site's key in a backup that is kept where others can read it.

use argon2::Argon2;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::cipher::Cipher;

/// The form of the text, and what its first bytes are: salt, then what [`Cipher`] makes.
const VERSION: &str = "v1:";
const SALT: usize = 16;
/// The least length of a passphrase: whoever has the file may try as many as he likes.
pub const LEAST: usize = 12;

/// Locks `text`. Takes some tens of milliseconds and 19 MiB, as every try to guess the passphrase does. `None`: the
/// cryptography refused.
pub fn lock(passphrase: &str, purpose: &str, text: &str) -> Option<String> {
    let salt: [u8; SALT] = crate::draw();
    let sealed = key(passphrase, &salt)?.seal(purpose.as_bytes(), text.as_bytes().to_vec())?;
    Some(format!("{VERSION}{}", STANDARD.encode([&salt[..], &sealed].concat())))
}

/// The text. `None`: another passphrase, or not what was locked for this purpose.
pub fn unlock(passphrase: &str, purpose: &str, locked: &str) -> Option<String> {
    let bytes = STANDARD.decode(locked.strip_prefix(VERSION)?).ok()?;
    let (salt, sealed) = bytes.split_at_checked(SALT)?;
    String::from_utf8(key(passphrase, salt)?.open(purpose.as_bytes(), sealed)?).ok()
}

fn key(passphrase: &str, salt: &[u8]) -> Option<Cipher> {
    let mut key = [0; 32];
    Argon2::default().hash_password_into(passphrase.as_bytes(), salt, &mut key).ok()?;
    Some(Cipher::new(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passphrase_unlocks_and_only_for_the_same_purpose() {
        let locked = lock("correct horse battery", "site key", "the key").expect("locked");
        assert!(!locked.contains("the key"));
        assert_eq!(unlock("correct horse battery", "site key", &locked).as_deref(), Some("the key"));
        assert_eq!(unlock("correct horse batterY", "site key", &locked), None);
        assert_eq!(unlock("correct horse battery", "another", &locked), None);
        for damaged in ["", "v1:", "v1:AAAA", "v2:AAAA", &locked[..locked.len() - 4]] {
            assert_eq!(unlock("correct horse battery", "site key", damaged), None, "{damaged}");
        }
    }
}
