//! Networks under other names.

use std::net::IpAddr;

use ring::hmac;

use super::entropy::Entropy;
use super::network::network_of;

/// Names networks to receivers, who can tell one from another by it, and learn no address.
#[derive(Debug, Default)]
pub struct NetworkNumbers {
    key: Option<hmac::Key>,
    /// Many in a row come from one.
    latest: Option<(IpAddr, u32)>,
}

impl NetworkNumbers {
    /// Returns the number of the network of `address`; `None`: a file, which is this machine's.
    pub fn number(&mut self, entropy: &mut dyn Entropy, address: &str) -> Option<u32> {
        let network = network_of(address.parse().ok()?);
        if let Some((_, number)) = self.latest.filter(|(latest, _)| *latest == network) {
            return Some(number);
        }
        let key = self.key.get_or_insert_with(|| {
            let mut key = [0; 4];
            entropy.fill(&mut key);
            hmac::Key::new(hmac::HMAC_SHA256, key.map(u64::to_le_bytes).as_flattened())
        });
        let tag = hmac::sign(key, network.to_string().as_bytes());
        let number = tag.as_ref().first_chunk().copied().map_or(0, u32::from_le_bytes);
        self.latest = Some((network, number));
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededEntropy;

    #[test]
    fn networks_have_numbers_that_tell_nothing_of_their_addresses() {
        let numbers = |seed: u64| {
            let (mut numbers, mut entropy) = (NetworkNumbers::default(), SeededEntropy::new(seed));
            [
                "10.0.0.1",
                "10.0.0.2",
                "10.0.0.1",
                "2001:db8::1",
                "2001:db8::2",
                "2001:db8:0:1::1",
                "",
                "/run/a",
            ]
            .map(|address| numbers.number(&mut entropy, address))
        };
        let [one, other, again, six, same, next, none, file] = numbers(1);
        assert!(one.is_some() && one == again && one != other && six.is_some() && six == same && six != next);
        assert_eq!((none, file), (None, None));
        assert_ne!(one, numbers(2)[0], "another broker has others");
    }
}
