//! The SSRC of an activation's stream: the same for every attempt of one server, different between servers, so that a server
//! that hears it on a group knows which of its peers is sending which activation.

use sha2::{Digest, Sha256};

/// The SSRC with which `server` streams `activation`. Never 0.
pub fn ssrc(activation: u128, server: u128) -> u32 {
    let mut hash = Sha256::new();
    hash.update(b"onealert ssrc 1");
    hash.update(activation.to_be_bytes());
    hash.update(server.to_be_bytes());
    let hash = hash.finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).max(1)
}

#[cfg(test)]
mod tests {
    use super::ssrc;

    #[test]
    fn depends_on_the_activation_and_on_the_server() {
        assert_eq!(ssrc(7, 9), ssrc(7, 9));
        assert_ne!(ssrc(7, 9), ssrc(7, 10));
        assert_ne!(ssrc(7, 9), ssrc(8, 9));
        assert_ne!(ssrc(7, 9), ssrc(9, 7));
    }
}
