//! Passwords of accounts: argon2id, checked off the async threads and a few at a time, so that logins cannot starve an alarm.

use std::sync::Arc;

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// How many checks run at once: each takes 19 MiB and a good part of a core.
const AT_ONCE: usize = 2;

/// Checks and makes password hashes. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of nothing anybody knows: checked for names that do not exist, so that the time tells nothing.
    nobody: Arc<str>,
}

impl Passwords {
    /// A checker.
    pub fn new() -> Passwords {
        let drawn: [u8; 32] = crate::draw();
        Passwords { turns: Arc::new(Semaphore::new(AT_ONCE)), nobody: hash(&format!("{drawn:?}")).into() }
    }

    /// Whether the password belongs to the stored hash. `None` for a name that does not exist: takes as long and says no.
    pub async fn check(&self, stored: Option<&str>, password: &str) -> bool {
        let Ok(_turn) = self.turns.acquire().await else { return false };
        let (known, hash) = (stored.is_some(), stored.unwrap_or(&self.nobody).to_owned());
        let password = password.to_owned();
        let fits = tokio::task::spawn_blocking(move || {
            let parsed = PasswordHash::new(&hash).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &parsed).ok()
        });
        known && fits.await.is_ok_and(|fits| fits.is_some())
    }

    /// The hash to store for a password.
    pub async fn make(&self, password: &str) -> Option<String> {
        let _turn = self.turns.acquire().await.ok()?;
        let password = password.to_owned();
        tokio::task::spawn_blocking(move || hash(&password)).await.ok()
    }
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords::new()
    }
}

/// The hash to store for a password, in PHC text form. Blocks for some tens of milliseconds.
pub fn hash(password: &str) -> String {
    let salt: [u8; 16] = crate::draw();
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.expect("the default parameters and a 16-byte salt are valid").to_string()
}

/// What a new password lacks; `None` when it will do (domain sheet, section 10).
pub fn weakness(password: &str) -> Option<&'static str> {
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let mixed = has(|c| c.is_lowercase()) && has(|c| c.is_uppercase()) && has(|c| c.is_ascii_digit());
    match password.chars().count() {
        0..8 => Some("must have at least 8 characters"),
        8..16 if !mixed || !has(|c| !c.is_alphanumeric()) => Some(
            "must have a lower-case letter, an upper-case letter, a digit and a special character, or be 16 characters long",
        ),
        257.. => Some("must have at most 256 characters"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_an_existing_name_passes() {
        let passwords = Passwords::new();
        let stored = passwords.make("Tornado-42").await.expect("a hash");
        assert!(passwords.check(Some(&stored), "Tornado-42").await);
        assert!(!passwords.check(Some(&stored), "tornado-42").await);
        assert!(!passwords.check(None, "Tornado-42").await);
        assert!(!passwords.check(Some("not a hash"), "Tornado-42").await);
    }

    #[test]
    fn weak_passwords_are_told_what_they_lack() {
        assert!(weakness("Ab1!").is_some());
        assert!(weakness("abcdefgh").is_some());
        assert_eq!(weakness("Abcdef1!"), None);
        assert_eq!(weakness("correct horse battery"), None);
    }
}
