//! Messages that come in chunks and are not done: which member of each queue group has them.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::error::Refusal;
use super::peer::PeerId;
use crate::base::Deadlines;
use crate::wire::MessageId;

/// The memory of chosen members. Bounded: a publisher that begins more than [`MAX_PER_PUBLISHER`] messages
/// loses the rest of its own oldest one; above [`MAX_ASSIGNMENTS`] in all, no message in chunks may begin.
#[derive(Debug, Default)]
pub(super) struct ChunkAssignments {
    /// For each publisher, oldest first.
    by_publisher: HashMap<PeerId, VecDeque<Message>>,
    pub(super) assignments: usize,
    /// When the oldest message of a publisher is given up.
    deadlines: Deadlines<PeerId>,
}

/// Names a queue group under one pattern. Never used again.
pub(super) type GroupId = u64;

/// The members that have a message, by group.
pub(super) type Assignments = HashMap<GroupId, Assignment>;

/// A member of a group, for as long as it stays one: who leaves and comes back is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The member.
    pub(super) peer: PeerId,
    /// Its present membership.
    pub(super) membership: u64,
}

#[derive(Debug)]
struct Message {
    id: MessageId,
    until: Instant,
    assignments: Assignments,
}

impl ChunkAssignments {
    /// Returns whether one more message may begin. A single one may exceed the bound by as many groups as it
    /// goes to.
    pub(super) fn check_room(&self) -> Result<(), Refusal> {
        if self.assignments >= MAX_ASSIGNMENTS {
            return Err(Refusal::TooManyUnfinished { limit: MAX_ASSIGNMENTS });
        }
        Ok(())
    }

    /// Remembers who got the first chunk.
    pub(super) fn begin(&mut self, now: Instant, publisher: PeerId, id: MessageId, assignments: Assignments) {
        self.end(publisher, &id);
        // Without a receiver there is nothing to remember: the rest goes nowhere by itself.
        if assignments.is_empty() {
            return;
        }
        self.assignments += assignments.len();
        let messages = self.by_publisher.entry(publisher).or_default();
        messages.push_back(Message { id, until: now + LIFETIME, assignments });
        if messages.len() > MAX_PER_PUBLISHER
            && let Some(oldest) = messages.pop_front()
        {
            self.assignments -= oldest.assignments.len();
        }
        self.update_deadline(publisher);
    }

    /// Returns the members that get the other chunks.
    pub(super) fn assignments(
        &self,
        now: Instant,
        publisher: PeerId,
        id: &MessageId,
    ) -> Option<&Assignments> {
        let messages = self.by_publisher.get(&publisher)?;
        messages
            .iter()
            .find(|message| message.id == *id && now < message.until)
            .map(|message| &message.assignments)
    }

    /// Forgets a message: it is done.
    pub(super) fn end(&mut self, publisher: PeerId, id: &MessageId) {
        let Some(messages) = self.by_publisher.get_mut(&publisher) else { return };
        let position = messages.iter().position(|message| message.id == *id);
        if let Some(message) = position.and_then(|position| messages.remove(position)) {
            self.assignments -= message.assignments.len();
            self.update_deadline(publisher);
        }
    }

    /// Forgets all messages of a publisher.
    pub(super) fn forget(&mut self, publisher: PeerId) {
        for message in self.by_publisher.remove(&publisher).unwrap_or_default() {
            self.assignments -= message.assignments.len();
        }
        self.deadlines.set(publisher, None);
    }

    /// Forgets what is too old.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(publisher) = self.deadlines.pop_due(now) {
            let Some(messages) = self.by_publisher.get_mut(&publisher) else { continue };
            while let Some(message) = messages.front().filter(|message| message.until <= now) {
                self.assignments -= message.assignments.len();
                messages.pop_front();
            }
            self.update_deadline(publisher);
        }
    }

    /// Returns when something gets too old.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn update_deadline(&mut self, publisher: PeerId) {
        let oldest = self.by_publisher.get(&publisher).and_then(VecDeque::front).map(|message| message.until);
        self.deadlines.set(publisher, oldest);
        if oldest.is_none() {
            self.by_publisher.remove(&publisher);
        }
    }
}

/// The time that the rest of a message may take. Receivers give up at the same age (conat.md 2).
pub(super) const LIFETIME: Duration = Duration::from_secs(120);

/// ChunkAssignments messages of one publisher; as many as a receiver holds.
pub(super) const MAX_PER_PUBLISHER: usize = 1024;

/// Assignments remembered in all: about 50 MB.
pub(super) const MAX_ASSIGNMENTS: usize = 1024 * 1024;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn when_the_memory_is_full_no_message_begins_until_one_ends() {
        let (mut unfinished, now) = (ChunkAssignments::default(), Instant::now());
        let [first, second] = [0, 1].map(|slot| PeerId { serial: u64::from(slot), slot });
        let assignments =
            |count| (0..count).map(|group| (group, Assignment { peer: first, membership: 1 })).collect();
        unfinished.begin(now, first, "big".into(), assignments(MAX_ASSIGNMENTS as u64 - 1));
        assert_eq!(unfinished.check_room(), Ok(()));
        unfinished.begin(now, second, "small".into(), assignments(1));
        assert_eq!(unfinished.check_room(), Err(Refusal::TooManyUnfinished { limit: MAX_ASSIGNMENTS }));
        // Begun anew under the same id, it takes its place once.
        unfinished.begin(now, second, "small".into(), assignments(1));
        unfinished.end(second, &"small".into());
        assert_eq!(unfinished.check_room(), Ok(()));
        unfinished.forget(first);
        assert_eq!((unfinished.assignments, unfinished.poll_timeout()), (0, None));
    }
}
