//! How much one end takes of each class before it has handled it.

use crate::socket::{SocketConfig, Window};
use crate::wire::stream::Class;

/// A window a class. Announced when the socket is made, so that nothing that is sent is dropped for want of
/// room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows([Window; 3]);

impl Windows {
    /// Returns what an end with these settings takes.
    pub fn of_config(config: &SocketConfig) -> Self {
        let data = Window { messages: config.max_queue.max(MIN_DATA), ..config.receive_window() };
        let requests = Window { messages: MAX_REQUESTS, bytes: MAX_CLASS_BYTES };
        let answers = Window { messages: MAX_ANSWERS, bytes: MAX_CLASS_BYTES };
        Self([data, requests, answers])
    }

    /// Returns the window of a class.
    pub fn of(&self, class: Class) -> Window {
        self.0[class as usize]
    }

    /// Returns messages and bytes of each class, as the ends tell each other.
    pub fn to_list(self) -> [u64; 6] {
        let [data, requests, answers] = self.0;
        [data, requests, answers].map(|window| [window.messages as u64, window.bytes as u64]).concat_array()
    }

    /// Reads what the other end takes: six numbers. One message of each class always has a place.
    pub fn from_items(items: impl Iterator<Item = Option<u64>>) -> Option<Self> {
        let (mut numbers, mut count) = ([0; 6], 0);
        for item in items {
            *numbers.get_mut(count)? = usize::try_from(item?).unwrap_or(usize::MAX).max(1);
            count += 1;
        }
        let window = |at| Window { messages: numbers[at], bytes: numbers[at + 1] };
        (count == numbers.len()).then(|| Self([0, 2, 4].map(window)))
    }
}

/// Three pairs in a row.
trait Concat {
    fn concat_array(self) -> [u64; 6];
}

impl Concat for [[u64; 2]; 3] {
    fn concat_array(self) -> [u64; 6] {
        let [[a, b], [c, d], [e, f]] = self;
        [a, b, c, d, e, f]
    }
}

/// Least data that is taken: an end with a larger window than ours is slowed, not stopped.
const MIN_DATA: usize = 10_000;
/// Requests that are taken. They wait for the event loop only: their answers take no place here.
const MAX_REQUESTS: usize = 1000;
/// Answers, and what belongs to requests, that are taken.
const MAX_ANSWERS: usize = 10_000;
/// Bytes of requests, and of answers, that are taken.
const MAX_CLASS_BYTES: usize = 16 * 1024 * 1024;
