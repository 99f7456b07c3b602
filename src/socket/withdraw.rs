//! Takes requests that nobody waits for any more out of a queue of messages.

use std::collections::VecDeque;

use crate::wire::stream::{Class, key};
use crate::wire::{Item, Messages};

/// Takes the requests out of a queue whose key is `wanted`, and returns the keys and the bytes of all.
pub(super) fn withdraw_from(
    queue: &mut VecDeque<Messages>,
    wanted: impl Fn(u64) -> bool,
) -> (Vec<u64>, usize) {
    let (mut withdrawn, mut bytes) = (Vec::new(), 0);
    let key_of = |item: &Item| {
        let is_request = item.payload.encoding.class() == Some(Class::Request);
        key(&item.payload.raw).filter(|key| is_request && wanted(*key))
    };
    for messages in std::mem::take(queue) {
        if messages.is_data() || !messages.items().any(|item| key_of(&item).is_some()) {
            queue.push_back(messages);
            continue;
        }
        for item in messages.items() {
            match key_of(&item) {
                Some(key) => {
                    withdrawn.push(key);
                    bytes += item.bytes();
                }
                None => queue.push_back(Messages::One(item)),
            }
        }
    }
    (withdrawn, bytes)
}
