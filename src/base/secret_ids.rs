//! Ids in a row of which nobody can guess the next one.

use ring::hmac;

use super::Entropy;

/// A counter under a key: each id is 128 bits that tell nothing of the others.
#[derive(Debug)]
pub struct SecretIds {
    key: hmac::Key,
    next: u64,
}

impl SecretIds {
    /// Takes a key from `entropy`.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        let mut key = [0; 4];
        entropy.fill(&mut key);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.map(u64::to_le_bytes).as_flattened()), next: 0 }
    }

    /// Returns the next id: 32 hex digits.
    pub fn next_id(&mut self) -> String {
        self.next += 1;
        let tag = hmac::sign(&self.key, &self.next.to_le_bytes());
        let bits = tag.as_ref().first_chunk().copied().map_or(0, u128::from_le_bytes);
        format!("{bits:032x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{OsEntropy, SeededEntropy};

    #[test]
    fn ids_differ_and_depend_on_the_key_alone() {
        let take = |ids: &mut SecretIds| [0; 3].map(|_| ids.next_id());
        let seeded = || take(&mut SecretIds::new(&mut SeededEntropy::new(7)));
        let ids = seeded();
        assert_eq!(ids, seeded());
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids.iter().all(|id| id.len() == 32));
        assert_ne!(ids, take(&mut SecretIds::new(&mut OsEntropy)));
    }
}
