//! Queues for the output of sockets, lent to those that have some: an idle socket keeps none.

use std::collections::VecDeque;

use crate::socket::Output;

/// Empty queues that no socket holds.
#[derive(Debug, Default)]
pub(super) struct QueuePool(Vec<VecDeque<Output>>);

impl QueuePool {
    /// Gives a buffer to a queue that has none.
    pub(super) fn fill(&mut self, queue: &mut VecDeque<Output>) {
        if queue.capacity() == 0
            && let Some(queue_pool) = self.0.pop()
        {
            // What has no room has nothing to drop, which the compiler does not know.
            std::mem::forget(std::mem::replace(queue, queue_pool));
        }
    }

    /// The same of a queue that nobody needs any more.
    pub(super) fn take_back(&mut self, mut queue: VecDeque<Output>) {
        self.reclaim(&mut queue);
        if queue.capacity() == 0 {
            std::mem::forget(queue);
        }
    }

    /// Takes the room of a queue that has been drained.
    pub(super) fn reclaim(&mut self, queue: &mut VecDeque<Output>) {
        if queue.capacity() == 0 || !queue.is_empty() {
            return;
        }
        let queue_pool = std::mem::take(queue);
        if self.0.len() < MAX_POOLED_QUEUES && queue_pool.capacity() <= MAX_POOLED_CAPACITY {
            self.0.push(queue_pool);
        }
    }
}

/// Sockets that have something to say at once, without an allocation.
const MAX_POOLED_QUEUES: usize = 16;
/// Outputs of one of them: a burst must not leave its memory for good.
const MAX_POOLED_CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_lent_and_taken_back_within_bounds() {
        let (mut queue_pool, mut queue) = (QueuePool::default(), VecDeque::new());
        queue_pool.fill(&mut queue);
        assert_eq!(queue.capacity(), 0, "there is none yet");
        queue.push_back(Output::Ended(1));
        queue_pool.reclaim(&mut queue);
        assert_eq!(queue.len(), 1, "what has not been drained stays");
        queue.clear();
        queue_pool.reclaim(&mut queue);
        assert_eq!(queue.capacity(), 0);
        queue_pool.fill(&mut queue);
        assert!(queue.capacity() > 0);
        queue_pool.reclaim(&mut VecDeque::with_capacity(MAX_POOLED_CAPACITY * 2));
        assert!(queue_pool.0.is_empty());
        (0..MAX_POOLED_QUEUES * 2).for_each(|_| queue_pool.reclaim(&mut VecDeque::with_capacity(1)));
        assert_eq!(queue_pool.0.len(), MAX_POOLED_QUEUES);
    }
}
