//! Room for what sockets have to say, lent to those that have something to say: an idle socket keeps none.

use std::collections::VecDeque;

use crate::socket::Output;

/// Empty queues that no socket holds.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<VecDeque<Output>>);

impl Spare {
    /// Gives room to a queue that has none.
    pub(super) fn lend(&mut self, queue: &mut VecDeque<Output>) {
        if queue.capacity() == 0
            && let Some(spare) = self.0.pop()
        {
            *queue = spare;
        }
    }

    /// Takes the room of a queue that has been drained.
    pub(super) fn take_back(&mut self, queue: &mut VecDeque<Output>) {
        if queue.capacity() == 0 || !queue.is_empty() {
            return;
        }
        let spare = std::mem::take(queue);
        if self.0.len() < MOST && spare.capacity() <= LARGEST {
            self.0.push(spare);
        }
    }
}

/// Sockets that have something to say at once, without an allocation.
const MOST: usize = 16;
/// Outputs of one of them: a burst must not leave its memory for good.
const LARGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_lent_and_taken_back_within_bounds() {
        let (mut spare, mut queue) = (Spare::default(), VecDeque::new());
        spare.lend(&mut queue);
        assert_eq!(queue.capacity(), 0, "there is none yet");
        queue.push_back(Output::Ended(1));
        spare.take_back(&mut queue);
        assert_eq!(queue.len(), 1, "what has not been drained stays");
        queue.clear();
        spare.take_back(&mut queue);
        assert_eq!(queue.capacity(), 0);
        spare.lend(&mut queue);
        assert!(queue.capacity() > 0);
        spare.take_back(&mut VecDeque::with_capacity(LARGEST * 2));
        assert!(spare.0.is_empty());
        (0..MOST * 2).for_each(|_| spare.take_back(&mut VecDeque::with_capacity(1)));
        assert_eq!(spare.0.len(), MOST);
    }
}
