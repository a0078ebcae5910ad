//! Authenticated encryption with one key: AES-256-GCM with a nonce drawn for each text and kept before it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

/// One key.
pub struct Cipher(RandomizedNonceKey);

impl Cipher {
    /// With this key.
    pub fn new(key: &[u8; 32]) -> Cipher {
        Cipher(RandomizedNonceKey::new(&AES_256_GCM, key).expect("32 bytes are a key of AES-256"))
    }

    /// The nonce and the ciphertext of `text`, which opens only together with `bound`. `None`: the cryptography refused.
    pub fn seal(&self, bound: &[u8], mut text: Vec<u8>) -> Option<Vec<u8>> {
        let nonce = self.0.seal_in_place_append_tag(Aad::from(bound), &mut text).ok()?;
        Some([&nonce.as_ref()[..], &text].concat())
    }

    /// The text. `None`: another key, another `bound`, or not what was sealed.
    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(bound), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}
