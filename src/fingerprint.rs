//! Fingerprints: SHA-256 over length-prefixed fields.
//!
//! The lengths keep two different lists of fields from giving the same bytes.

use sha2::{Digest as _, Sha256};

/// Collects the inputs of a computation.
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// `purpose` keeps fingerprints of different things apart.
    pub fn new(purpose: &str) -> Self {
        let mut new = Fingerprint(Sha256::new());
        new.field(purpose);
        new
    }

    pub fn field(&mut self, value: &str) {
        self.0.update((value.len() as u64).to_le_bytes());
        self.0.update(value.as_bytes());
    }

    /// Hexadecimal SHA-256.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The hexadecimal SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of bytes that arrive in pieces.
#[derive(Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Hexadecimal.
    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&str]) -> String {
        let mut fingerprint = Fingerprint::new("test");
        fields.iter().for_each(|f| fingerprint.field(f));
        fingerprint.finish()
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", ""]), of(&["a"]));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    }
}
