//! Messages that come in chunks and are not done: which member of each queue group has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::account::Owner;
use super::error::Refusal;
use super::member_drains::DrainId;
use super::peer_id::PeerId;
use crate::base::Deadlines;
use crate::base::Tiers;
use crate::subject::Pattern;
use crate::wire::MessageId;

/// The memory of chosen members.
///
/// Bounded: a publisher that begins more than [`MAX_PER_PUBLISHER`] messages loses the rest of its own oldest
/// one; above [`MAX_ASSIGNMENTS`] in all, the connection with most of them, of the owner with most, loses its
/// oldest message. Who sends the rest of a message that was given up is told so.
#[derive(Debug, Default)]
pub(super) struct ChunkAssignments {
    messages: BTreeMap<Serial, Message>,
    by_publisher: HashMap<PeerId, Publisher>,
    /// What a membership has begun to get.
    by_membership: HashMap<Membership, BTreeSet<Serial>>,
    /// Drains, once for each message that has ended and was theirs.
    ended: Vec<DrainId>,
    shares: Tiers<Owner, PeerId>,
    deadlines: Deadlines<Serial>,
    begun: Serial,
    /// Memory of messages that are done, and whose it was.
    given_back: Vec<(PeerId, usize)>,
}

/// Grows with every message that begins.
type Serial = u64;

/// Names a queue group under one pattern. Never used again.
pub(super) type GroupId = u64;

/// Names a member of a group, for as long as it stays one. Never used again.
pub(super) type Membership = u64;

/// Who has a message, and what it is called on the way to them: what publishers call it may be what another
/// does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignments {
    /// Nobody can guess it, and nobody else's message has it.
    pub(super) id: MessageId,
    /// By group.
    pub(super) by_group: HashMap<GroupId, Assignment>,
}

/// A member of a group, for as long as it stays one: who leaves and comes back is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The member.
    pub(super) peer: PeerId,
    /// Its membership.
    pub(super) membership: Membership,
    /// It has left its group, in order: by which pattern it gets the rest, and who waits for that.
    pub(super) leaving: Option<(Pattern, DrainId)>,
}

impl Assignments {
    /// Returns those who have left and still get the rest, in a fixed order.
    pub(super) fn leaving(&self) -> Vec<(PeerId, &Pattern)> {
        let mut leaving: Vec<_> = self
            .by_group
            .values()
            .filter_map(|one| Some((one.membership, one.peer, &one.leaving.as_ref()?.0)))
            .collect();
        leaving.sort_unstable_by_key(|(membership, ..)| *membership);
        leaving.into_iter().map(|(_, peer, pattern)| (peer, pattern)).collect()
    }
}

#[derive(Debug)]
struct Message {
    id: MessageId,
    publisher: PeerId,
    owner: Owner,
    assignments: Assignments,
    /// Of all chunks so far.
    bytes: usize,
    /// It is too large: nobody gets the rest of it, and whoever sends that is told why.
    is_refused: bool,
}

#[derive(Debug, Default)]
struct Publisher {
    by_id: HashMap<MessageId, Serial>,
    oldest_first: BTreeSet<Serial>,
}

impl ChunkAssignments {
    /// How many assignments there are; a message that goes to nobody counts as one.
    pub(super) fn len(&self) -> usize {
        self.shares.total()
    }

    /// Makes room for one more message, or says that there is none. A single one may exceed the bound by as
    /// many groups as it goes to.
    pub(super) fn make_room(&mut self, (peer, owner): (PeerId, Owner)) -> Result<(), Refusal> {
        while self.shares.total() >= MAX_ASSIGNMENTS {
            let greedier = self.shares.yielding_to(&owner, &peer);
            let oldest =
                greedier.and_then(|greedier| self.by_publisher.get(&greedier)?.oldest_first.first().copied());
            let Some(oldest) = oldest else {
                return Err(Refusal::TooManyUnfinished { limit: MAX_ASSIGNMENTS });
            };
            self.remove(oldest);
        }
        Ok(())
    }

    /// Remembers who got the first chunk. Returns the memory that this takes, until it is given back.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        (peer, owner): (PeerId, Owner),
        id: MessageId,
        (assignments, bytes): (Assignments, usize),
    ) -> usize {
        self.end(peer, &id);
        let serial = self.begun;
        self.begun += 1;
        let publisher = self.by_publisher.entry(peer).or_default();
        publisher.by_id.insert(id.clone(), serial);
        publisher.oldest_first.insert(serial);
        let surplus = publisher.oldest_first.len() > MAX_PER_PUBLISHER;
        let oldest = publisher.oldest_first.first().copied().filter(|_| surplus);
        self.shares.add(owner, peer, size(&assignments));
        let memory = memory_of(&id, &assignments);
        for one in assignments.by_group.values() {
            self.by_membership.entry(one.membership).or_default().insert(serial);
        }
        self.deadlines.set(serial, Some(now + LIFETIME));
        self.messages
            .insert(serial, Message { id, publisher: peer, owner, assignments, bytes, is_refused: false });
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        memory
    }

    /// Who gets the other chunks.
    pub(super) fn assignments(&self, publisher: PeerId, id: &MessageId) -> Result<&Assignments, Refusal> {
        let serial = self.by_publisher.get(&publisher).and_then(|publisher| publisher.by_id.get(id));
        let message = serial.and_then(|serial| self.messages.get(serial));
        message.map(|message| &message.assignments).ok_or(Refusal::UnknownMessage)
    }

    /// Counts another chunk. A message that becomes too large is given up; each of its chunks is refused for
    /// that, so that the last one tells.
    pub(super) fn grow(
        &mut self,
        publisher: PeerId,
        id: &MessageId,
        more: usize,
        limit: usize,
    ) -> Result<(), Refusal> {
        let serial = self.by_publisher.get(&publisher).and_then(|publisher| publisher.by_id.get(id).copied());
        let Some(serial) = serial else { return Ok(()) };
        let Some(message) = self.messages.get_mut(&serial) else { return Ok(()) };
        message.bytes = message.bytes.saturating_add(more);
        if message.bytes <= limit && !message.is_refused {
            return Ok(());
        }
        message.is_refused = true;
        let leaving = message.assignments.by_group.values_mut().filter_map(|one| one.leaving.take());
        self.ended.extend(leaving.map(|(_, drain)| drain));
        Err(Refusal::TooBig { size: message.bytes, limit })
    }

    /// Remembers a message of which the first chunk is too large. Returns the memory that this takes.
    pub(super) fn begin_refused(
        &mut self,
        now: Instant,
        publisher: (PeerId, Owner),
        id: MessageId,
        bytes: usize,
    ) -> usize {
        let nobody = Assignments { id: id.clone(), by_group: HashMap::new() };
        let memory = self.begin(now, publisher, id, (nobody, bytes));
        if let Some(message) = self.messages.get_mut(&(self.begun - 1)) {
            message.is_refused = true;
        }
        memory
    }

    /// Lets a member that leaves have the rest of what it has begun to get. Returns the number of messages.
    pub(super) fn release(
        &mut self,
        group: GroupId,
        membership: Membership,
        pattern: &Pattern,
        drain: DrainId,
    ) -> usize {
        let serials = self.by_membership.get(&membership).into_iter().flatten();
        let mut count = 0;
        for serial in serials {
            let Some(message) = self.messages.get_mut(serial).filter(|message| !message.is_refused) else {
                continue;
            };
            if let Some(one) = message.assignments.by_group.get_mut(&group) {
                one.leaving = Some((pattern.clone(), drain));
                count += 1;
            }
        }
        count
    }

    /// Returns a drain of which one more message has come to its end.
    pub(super) fn poll_ended(&mut self) -> Option<DrainId> {
        self.ended.pop()
    }

    /// Forgets a message: it is done.
    pub(super) fn end(&mut self, publisher: PeerId, id: &MessageId) {
        let serial = self.by_publisher.get(&publisher).and_then(|publisher| publisher.by_id.get(id));
        if let Some(&serial) = serial {
            self.remove(serial);
        }
    }

    /// Takes what memory was given back since the last time, and by whom.
    pub(super) fn take_given_back(&mut self) -> Vec<(PeerId, usize)> {
        std::mem::take(&mut self.given_back)
    }

    /// Forgets all messages of a publisher.
    pub(super) fn forget(&mut self, publisher: PeerId) {
        let known = self.by_publisher.get(&publisher).map(|publisher| publisher.oldest_first.clone());
        for serial in known.unwrap_or_default() {
            self.remove(serial);
        }
    }

    /// Forgets what is too old.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(serial) = self.deadlines.pop_due(now) {
            self.remove(serial);
        }
    }

    /// Returns when something gets too old.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn remove(&mut self, serial: Serial) {
        let Some(message) = self.messages.remove(&serial) else { return };
        self.deadlines.set(serial, None);
        self.shares.subtract(message.owner, message.publisher, size(&message.assignments));
        self.given_back.push((message.publisher, memory_of(&message.id, &message.assignments)));
        for one in message.assignments.by_group.values() {
            self.ended.extend(one.leaving.as_ref().map(|(_, drain)| *drain));
            if let Some(serials) = self.by_membership.get_mut(&one.membership) {
                serials.remove(&serial);
                if serials.is_empty() {
                    self.by_membership.remove(&one.membership);
                }
            }
        }
        if let Some(publisher) = self.by_publisher.get_mut(&message.publisher) {
            publisher.by_id.remove(&message.id);
            publisher.oldest_first.remove(&serial);
            if publisher.oldest_first.is_empty() {
                self.by_publisher.remove(&message.publisher);
            }
        }
    }
}

/// What a message counts for.
fn size(assignments: &Assignments) -> usize {
    assignments.by_group.len().max(1)
}

/// What a message takes in all tables together, about: `tests/memory.rs` compares.
fn memory_of(id: &MessageId, assignments: &Assignments) -> usize {
    MESSAGE_MEMORY + id.len() + assignments.by_group.len() * ASSIGNMENT_MEMORY
}

/// What a begun message takes, whoever gets it.
pub(super) const MESSAGE_MEMORY: usize = 640;

/// For each receiver.
const ASSIGNMENT_MEMORY: usize = 480;

/// How long the rest of a message may take. Receivers give up at the same age (conat.md 2).
pub(super) const LIFETIME: Duration = Duration::from_secs(120);

/// Unfinished messages of one publisher; as many as a receiver holds.
pub(super) const MAX_PER_PUBLISHER: usize = 1024;

/// Assignments remembered in all: about 50 MB. Beyond it, who has most gives way.
pub(super) const MAX_ASSIGNMENTS: usize = 1024 * 1024;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn publisher(user: u64) -> (PeerId, Owner) {
        (PeerId { serial: user, slot: u32::try_from(user).unwrap() }, Owner::User(user))
    }

    fn assignments(count: usize) -> Assignments {
        let peer = publisher(9).0;
        let by_group = (0..count as u64)
            .map(|group| (group, Assignment { peer, membership: 1, leaving: None }))
            .collect();
        Assignments { id: "secret".into(), by_group }
    }

    #[test]
    fn when_the_memory_is_full_who_has_most_loses_his_oldest_message_to_others() {
        let (mut unfinished, now) = (ChunkAssignments::default(), Instant::now());
        let [greedy, modest] = [1, 2].map(publisher);
        unfinished.begin(now, greedy, "old".into(), (assignments(10), 1));
        unfinished.begin(now, greedy, "big".into(), (assignments(MAX_ASSIGNMENTS - 10), 1));
        assert_eq!(unfinished.make_room(greedy), Err(Refusal::TooManyUnfinished { limit: MAX_ASSIGNMENTS }));
        assert_eq!(unfinished.make_room(modest), Ok(()));
        unfinished.begin(now, modest, "small".into(), (assignments(1), 1));
        assert!(unfinished.assignments(modest.0, &"small".into()).is_ok());
        assert!(unfinished.assignments(greedy.0, &"big".into()).is_ok());
        assert_eq!(unfinished.assignments(greedy.0, &"old".into()), Err(Refusal::UnknownMessage));
        // Begun anew under the same id, it takes its place once.
        unfinished.begin(now, modest, "small".into(), (assignments(1), 1));
        assert_eq!(unfinished.len(), MAX_ASSIGNMENTS - 9);
        unfinished.end(modest.0, &"small".into());
        unfinished.forget(greedy.0);
        assert_eq!((unfinished.len(), unfinished.poll_timeout()), (0, None));
        assert!(unfinished.by_membership.is_empty() && unfinished.by_publisher.is_empty());
    }

    #[test]
    fn a_publisher_that_begins_too_many_loses_its_own_oldest_and_all_get_too_old() {
        let (mut unfinished, now) = (ChunkAssignments::default(), Instant::now());
        let one = publisher(1);
        for n in 0..=MAX_PER_PUBLISHER {
            unfinished.begin(now, one, n.to_string().into(), (assignments(usize::from(n > 3)), 1));
        }
        assert!(unfinished.assignments(one.0, &"0".into()).is_err());
        assert_eq!(
            unfinished.assignments(one.0, &"1".into()).map(|known| known.by_group.len()),
            Ok(0),
            "known, and for nobody"
        );
        assert_eq!(unfinished.len(), MAX_PER_PUBLISHER);
        unfinished.handle_timeout(now + LIFETIME);
        assert_eq!((unfinished.len(), unfinished.poll_timeout()), (0, None));
    }
}
