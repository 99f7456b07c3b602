//! Names that were sent before: a table of the same content at both ends, so that a name is written once and
//! then is one byte.

use std::sync::Arc;

/// A direct-mapped table of names. Who writes chooses the slot; who reads only follows.
#[derive(Debug)]
pub(super) struct Slots<T>(Box<[Option<T>]>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(std::iter::repeat_with(|| None).take(SLOTS).collect())
    }
}

impl<T: Clone + PartialEq> Slots<T> {
    /// Returns where `name` belongs, and whether it is there already. It is from now on.
    pub(super) fn put(&mut self, name: &T, text: &str) -> (u8, bool) {
        let index = slot(text);
        let known = &mut self.0[usize::from(index)];
        let is_known = known.as_ref() == Some(name);
        if !is_known {
            *known = Some(name.clone());
        }
        (index, is_known)
    }

    /// Returns what the writer has put there.
    pub(super) fn at(&self, index: u8) -> Option<&T> {
        self.0[usize::from(index)].as_ref()
    }

    /// Puts `name` into the slot, as the writer has; empties it if the name is invalid.
    pub(super) fn set(&mut self, index: u8, name: Option<T>) {
        self.0[usize::from(index)] = name;
    }
}

/// Spreads names over the slots. No part of the protocol: any choice is right, a good one is short.
fn slot(text: &str) -> u8 {
    let mut hash = text.len() as u64;
    let mut mix = |word: u64| hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(u64::from_le_bytes(last));
    hash.to_be_bytes()[0]
}

const SLOTS: usize = 256;

/// Returns the id for messages of one chunk, which nothing is joined by.
pub(super) fn single_id() -> Arc<str> {
    Arc::from("1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_collide_take_turns_and_names_that_do_not_stay() {
        let mut slots = Slots::default();
        assert!(!slots.put(&"a", "a").1);
        assert!(slots.put(&"a", "a").1);
        let other: &'static str = (0..10_000)
            .map(|index| format!("b{index}"))
            .find(|text| slot(text) == slot("a"))
            .map(String::leak)
            .expect("256 slots are few");
        assert_eq!(slots.put(&other, other), (slot("a"), false));
        assert!(!slots.put(&"a", "a").1);
        assert_eq!(slots.at(slot("a")), Some(&"a"));
    }

    #[test]
    fn similar_names_spread() {
        let used: std::collections::HashSet<u8> =
            (0..256).map(|index| slot(&format!("bench.socket.server.{index:032x}"))).collect();
        assert!(used.len() > 120, "{} slots", used.len());
    }
}
