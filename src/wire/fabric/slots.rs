//! Names that were sent before: a table of the same content at both ends, so that a name is written once and
//! then is one byte.

use crate::subject::{Pattern, Subject};

/// A direct-mapped table of names. Who writes chooses the slot; who reads only follows.
#[derive(Debug)]
pub(super) struct Slots<T> {
    names: Box<[Option<T>]>,
    /// The slot of the name that was written last: the next one is mostly the same one in memory.
    latest: u8,
}

/// What has a slot.
pub(super) trait Name: Clone + PartialEq {
    fn text(&self) -> &str;

    /// Whether it is the same one in memory; `false` says nothing.
    fn is_same(&self, other: &Self) -> bool;
}

impl Name for Subject {
    fn text(&self) -> &str {
        self.as_str()
    }

    fn is_same(&self, other: &Self) -> bool {
        Self::is_same(self, other)
    }
}

impl Name for Pattern {
    fn text(&self) -> &str {
        self.as_str()
    }

    fn is_same(&self, other: &Self) -> bool {
        Self::is_same(self, other)
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { names: std::iter::repeat_with(|| None).take(SLOTS).collect(), latest: 0 }
    }
}

impl<T: Name> Slots<T> {
    /// Returns where `name` belongs, and whether it is there already. It is from now on.
    #[inline]
    pub(super) fn put(&mut self, name: &T) -> (u8, bool) {
        let latest = self.names[usize::from(self.latest)].as_ref();
        if latest.is_some_and(|latest| latest.is_same(name)) {
            return (self.latest, true);
        }
        self.put_anew(name)
    }

    fn put_anew(&mut self, name: &T) -> (u8, bool) {
        let index = slot(name.text());
        let known = &mut self.names[usize::from(index)];
        let is_known = known.as_ref() == Some(name);
        // The newer one in memory is the one that comes again.
        *known = Some(name.clone());
        self.latest = index;
        (index, is_known)
    }
}

impl<T> Slots<T> {
    /// Returns what the writer has put there.
    pub(super) fn at(&self, index: u8) -> Option<&T> {
        self.names[usize::from(index)].as_ref()
    }

    /// Puts `name` into the slot, as the writer has; empties it if the name is invalid.
    pub(super) fn set(&mut self, index: u8, name: Option<T>) {
        self.names[usize::from(index)] = name;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_collide_take_turns_and_names_that_do_not_stay() {
        let subject = |text: &str| Subject::parse(text).expect("valid");
        let (mut slots, a) = (Slots::default(), subject("a"));
        assert!(!slots.put(&a).1);
        assert!(slots.put(&a).1 && slots.put(&subject("a")).1, "the same one in memory or not");
        let other = (0..10_000)
            .map(|index| format!("b{index}"))
            .find(|text| slot(text) == slot("a"))
            .map(|text| subject(&text))
            .expect("256 slots are few");
        assert_eq!(slots.put(&other), (slot("a"), false));
        assert!(!slots.put(&a).1);
        assert_eq!(slots.at(slot("a")), Some(&a));
    }

    #[test]
    fn similar_names_spread() {
        let used: std::collections::HashSet<u8> =
            (0..256).map(|index| slot(&format!("bench.socket.server.{index:032x}"))).collect();
        assert!(used.len() > 120, "{} slots", used.len());
    }
}
