//! The name and password that phones are asked about: a row of the settings, on every server, and the check of it.
//!
//! Only a keyed digest is stored. It is a fast one on purpose: when everybody is paged, every phone asks within the same
//! moment and must be answered within it. So the password must be long enough to bear a fast digest.

use hmac::{Hmac, KeyInit, Mac};
use onealert_core::config::{Change, Setting, Table, canonical};
use onealert_store::change::Expected;
use onealert_web::needs::{Actor, FieldProblem, Password, PhoneLogin, Problem};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Answers, configure};
use crate::hub::Hub;

/// The row's name.
const ROW: &str = "phone_login";
/// The least length of the password.
const LEAST: usize = 12;

/// The row's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    user: String,
    /// The digest's key, drawn anew with every password; hexadecimal digits.
    salt: String,
    /// Over name and password; hexadecimal digits.
    digest: String,
}

fn stored(hub: &Hub) -> Option<Stored> {
    let config = hub.config();
    serde_json::from_value(config.settings.get(ROW)?.value.clone()).ok()
}

/// Whether phones obey this name and password. From memory, and in the same time whatever is wrong with them.
pub(super) fn authorised(hub: &Hub, user: &str, password: &Password) -> bool {
    fits(stored(hub).as_ref(), user, password)
}

fn fits(stored: Option<&Stored>, user: &str, password: &Password) -> bool {
    let salt = stored.and_then(|stored| bytes(&stored.salt)).unwrap_or_default();
    let digest = stored.and_then(|stored| bytes(&stored.digest)).unwrap_or_default();
    // Compares without stopping at the first difference; nothing equals the digest of nothing stored.
    mac(&salt, user, password).verify_slice(&digest).is_ok()
}

fn mac(salt: &[u8], user: &str, password: &Password) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("a key of any length will do");
    // The length first, so that no two pairs of texts run together to the same bytes.
    mac.update(&(user.len() as u64).to_be_bytes());
    mac.update(user.as_bytes());
    mac.update(password.reveal().as_bytes());
    mac
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who it is, without the password.
pub(super) fn login(hub: &Hub) -> PhoneLogin {
    stored(hub).map_or_else(PhoneLogin::default, |stored| PhoneLogin { user: stored.user, set: true })
}

/// Sets name and password; an empty name takes both away.
pub(super) async fn save(
    answers: &Answers,
    by: Actor,
    user: String,
    password: Option<Password>,
) -> Result<(), Problem> {
    answers.must_configure()?;
    let present = answers.0.config().settings.get(ROW).cloned();
    let expected = Expected { table: Table::Settings, key: ROW.to_owned(), row: present.as_ref().map(canonical) };
    let (change, what) = match (user.as_str(), password) {
        ("", _) if present.is_none() => return Ok(()),
        ("", _) => (Change::delete(Table::Settings, ROW), "removed the phones' login"),
        (_, Some(password)) => {
            if password.reveal().chars().count() < LEAST {
                let message = format!("must have at least {LEAST} characters");
                return Err(Problem::invalid(vec![FieldProblem::new("/password", message)]));
            }
            let value = serde_json::to_value(make(user, &password)).expect("plain data");
            let row = Setting { name: ROW.to_owned(), value };
            (Change::put(Table::Settings, ROW, &row), "set the phones' login")
        }
        // The name is part of what the digest is over.
        (_, None) if stored(&answers.0).is_some_and(|stored| stored.user == user) => return Ok(()),
        (_, None) => {
            let message = "must be given with another user name";
            return Err(Problem::invalid(vec![FieldProblem::new("/password", message)]));
        }
    };
    configure::write(answers, by, what, vec![change], vec![expected]).await
}

fn make(user: String, password: &Password) -> Stored {
    let salt: [u8; 16] = crate::draw();
    let digest = hex(&mac(&salt, &user, password).finalize().into_bytes());
    Stored { user, salt: hex(&salt), digest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_pair_fits_and_nothing_fits_where_nothing_is_stored() {
        let right = Password::new("correct horse battery");
        let stored = make("paging".to_owned(), &right);
        assert!(fits(Some(&stored), "paging", &right));
        for (user, password) in [
            ("Paging", "correct horse battery"),
            ("pagin", "gcorrect horse battery"),
            ("paging", "correct horse batterY"),
            ("paging", ""),
            ("", "correct horse battery"),
        ] {
            assert!(!fits(Some(&stored), user, &Password::new(password)), "{user} {password}");
        }
        assert!(!fits(None, "", &Password::new("")));
        assert!(!serde_json::to_string(&stored).expect("plain data").contains("horse"));
        let damaged = Stored { digest: "zz".to_owned(), ..stored };
        assert!(!fits(Some(&damaged), "paging", &right));
    }
}
