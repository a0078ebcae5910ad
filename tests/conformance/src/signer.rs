//! Signs files as minisign does, with keys of its own.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use blake2::{Blake2b512, Digest};

/// Somebody with a minisign key.
pub struct Signer {
    number: [u8; 8],
    key: Ed25519KeyPair,
}

impl Signer {
    /// A fresh key with this number.
    ///
    /// # Panics
    /// The cryptography refuses.
    pub fn new(number: u64) -> Signer {
        Signer { number: number.to_le_bytes(), key: Ed25519KeyPair::generate().expect("a key") }
    }

    /// The public key as it stands in minisign's file.
    pub fn public(&self) -> String {
        STANDARD.encode([&b"Ed"[..], &self.number, self.key.public_key().as_ref()].concat())
    }

    /// The signature file of these bytes.
    pub fn sign(&self, bytes: &[u8]) -> String {
        const COMMENT: &str = "timestamp:1764144000\tfile:driver.so";
        let signature = self.key.sign(&Blake2b512::digest(bytes));
        let all = self.key.sign(&[signature.as_ref(), COMMENT.as_bytes()].concat());
        let line = STANDARD.encode([&b"ED"[..], &self.number, signature.as_ref()].concat());
        format!(
            "untrusted comment: signature of a test\n{line}\ntrusted comment: {COMMENT}\n{}\n",
            STANDARD.encode(all.as_ref())
        )
    }
}
