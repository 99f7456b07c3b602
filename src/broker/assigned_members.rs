//! The members of queue groups that messages in chunks were begun for: which has one, how many each has, and
//! who has left and still gets the rest.
//!
//! A message keeps its members in a short list of its own. Of a member is counted how many messages it has,
//! and not which: memory is these lists, and work the length of one of them.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::member_drains::DrainId;
use super::peer_id::PeerId;
use crate::subject::Pattern;

/// Names a queue group under one pattern. Never used again.
pub(super) type GroupId = u64;

/// Names a member of a group, for as long as it stays one: who leaves and comes back is another. Never used
/// again.
pub(super) type Membership = u64;

/// A member that has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) group: GroupId,
    pub(super) membership: Membership,
    pub(super) peer: PeerId,
}

/// Who has one message: one member of each group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assignments(Box<[Assignment]>);

impl Assignments {
    /// One for each group.
    pub(super) fn new(mut members: Vec<Assignment>) -> Self {
        members.sort_unstable_by_key(|member| member.group);
        Self(members.into_boxed_slice())
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the member of a group.
    pub(super) fn of(&self, group: GroupId) -> Option<&Assignment> {
        let position = self.0.binary_search_by_key(&group, |member| member.group).ok()?;
        self.0.get(position)
    }
}

/// What members have.
#[derive(Debug, Default)]
pub(super) struct AssignedMembers {
    /// How many unfinished messages, if any.
    counts: HashMap<Membership, u32, RandomState>,
    /// Those that have left in order, and have some: by which pattern they get the rest, and who waits for
    /// that.
    leaving: HashMap<Membership, (Pattern, DrainId), RandomState>,
    /// Drains, once for each message that has ended and was theirs.
    ended: Vec<DrainId>,
}

impl AssignedMembers {
    /// These have one message more.
    pub(super) fn add(&mut self, assignments: &Assignments) {
        for member in &assignments.0 {
            *self.counts.entry(member.membership).or_default() += 1;
        }
    }

    /// These have one message less.
    pub(super) fn subtract(&mut self, assignments: &Assignments) {
        for Assignment { membership, .. } in &assignments.0 {
            let Some(count) = self.counts.get_mut(membership) else { continue };
            *count -= 1;
            let is_last = *count == 0;
            if !self.leaving.is_empty()
                && let Some((_, drain)) = self.leaving.get(membership)
            {
                self.ended.push(*drain);
            }
            if is_last {
                self.counts.remove(membership);
                self.leaving.remove(membership);
            }
        }
        if self.counts.is_empty() {
            // What many took does not stay.
            (self.counts, self.leaving) = (HashMap::default(), HashMap::default());
        }
    }

    /// Lets a member that leaves have the rest of what it has begun to get. Returns the number of messages.
    pub(super) fn release(&mut self, membership: Membership, pattern: &Pattern, drain: DrainId) -> usize {
        let Some(&count) = self.counts.get(&membership) else { return 0 };
        self.leaving.insert(membership, (pattern.clone(), drain));
        count as usize
    }

    /// Whether anybody has left and still gets the rest of something.
    pub(super) fn are_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Returns which of these have left and still get the rest, in a fixed order.
    pub(super) fn leaving(&self, assignments: &Assignments) -> Vec<(PeerId, Pattern)> {
        let gone = assignments.0.iter().filter_map(|member| {
            let (pattern, _) = self.leaving.get(&member.membership)?;
            Some((member.membership, member.peer, pattern.clone()))
        });
        let mut gone: Vec<_> = gone.collect();
        gone.sort_unstable_by_key(|(membership, ..)| *membership);
        gone.into_iter().map(|(_, peer, pattern)| (peer, pattern)).collect()
    }

    /// Returns a drain of which one more message has come to its end.
    pub(super) fn poll_ended(&mut self) -> Option<DrainId> {
        self.ended.pop()
    }

    /// Whether nobody has anything.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.leaving.is_empty()
    }
}
