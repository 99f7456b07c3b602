//! Messages that come in chunks and are not done: which member of each queue group has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::account::Owner;
use super::assigned_members::{AssignedMembers, Assignments, Membership};
use super::error::Refusal;
use super::given_back::GivenBack;
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
    members: AssignedMembers,
    shares: Tiers<Owner, PeerId>,
    deadlines: Deadlines<Serial>,
    begun: Serial,
    /// Memory of messages that are done, and whose it was.
    given_back: GivenBack,
    steps: u64,
}

/// Grows with every message that begins.
type Serial = u64;

/// Who has a message, and what it is called on the way to them: what publishers call it may be what another
/// does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// Nobody can guess it, and nobody else's message has it.
    pub(super) id: MessageId,
    pub(super) assignments: Assignments,
}

#[derive(Debug)]
struct Message {
    id: MessageId,
    publisher: PeerId,
    owner: Owner,
    begun: Begun,
    begun_at: Instant,
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
        (begun, bytes): (Begun, usize),
    ) -> usize {
        self.end(peer, &id);
        let serial = self.begun;
        self.begun += 1;
        let publisher = self.by_publisher.entry(peer).or_default();
        publisher.by_id.insert(id.clone(), serial);
        publisher.oldest_first.insert(serial);
        let surplus = publisher.oldest_first.len() > MAX_PER_PUBLISHER;
        let oldest = publisher.oldest_first.first().copied().filter(|_| surplus);
        self.shares.add(owner, peer, size(&begun.assignments));
        let memory = memory_of(&id, &begun.assignments);
        self.members.add(&begun.assignments);
        self.deadlines.set(serial, Some(now + LIFETIME));
        let message = Message { id, publisher: peer, owner, begun, begun_at: now, bytes, is_refused: false };
        self.messages.insert(serial, message);
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
        memory
    }

    /// Who gets the other chunks.
    pub(super) fn begun(&self, publisher: PeerId, id: &MessageId) -> Result<&Begun, Refusal> {
        let serial = self.by_publisher.get(&publisher).and_then(|publisher| publisher.by_id.get(id));
        let message = serial.and_then(|serial| self.messages.get(serial));
        message.map(|message| &message.begun).ok_or(Refusal::UnknownMessage)
    }

    /// Returns those who have left and still get the rest, in a fixed order.
    pub(super) fn leaving(&mut self, publisher: PeerId, id: &MessageId) -> Vec<(PeerId, Pattern)> {
        if !self.members.are_leaving() {
            return Vec::new();
        }
        let Ok(Begun { assignments, .. }) = self.begun(publisher, id) else { return Vec::new() };
        let (leaving, steps) = (self.members.leaving(assignments), assignments.len() as u64);
        self.steps += steps;
        leaving
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
        let (bytes, owner) = (message.bytes, message.owner);
        let assignments = std::mem::take(&mut message.begun.assignments);
        self.members.subtract(&assignments);
        self.shares.subtract(owner, publisher, size(&assignments) - 1);
        self.given_back.push(publisher, assignments.len() * ASSIGNMENT_MEMORY);
        Err(Refusal::TooBig { size: bytes, limit })
    }

    /// Remembers a message of which the first chunk is too large. Returns the memory that this takes.
    pub(super) fn begin_refused(
        &mut self,
        now: Instant,
        publisher: (PeerId, Owner),
        id: MessageId,
        bytes: usize,
    ) -> usize {
        let nobody = Begun { id: id.clone(), assignments: Assignments::default() };
        let memory = self.begin(now, publisher, id, (nobody, bytes));
        if let Some(message) = self.messages.get_mut(&(self.begun - 1)) {
            message.is_refused = true;
        }
        memory
    }

    /// Lets a member that leaves have the rest of what it has begun to get. Returns the number of messages.
    pub(super) fn release(&mut self, membership: Membership, pattern: &Pattern, drain: DrainId) -> usize {
        self.members.release(membership, pattern, drain)
    }

    /// Returns a drain of which one more message has come to its end.
    pub(super) fn poll_ended(&mut self) -> Option<DrainId> {
        self.members.poll_ended()
    }

    /// Forgets a message: it is done.
    pub(super) fn end(&mut self, publisher: PeerId, id: &MessageId) {
        let serial = self.by_publisher.get(&publisher).and_then(|publisher| publisher.by_id.get(id));
        if let Some(&serial) = serial {
            self.remove(serial);
        }
    }

    /// Takes some memory that was given back, and by whom.
    pub(super) fn poll_given_back(&mut self) -> Option<(PeerId, usize)> {
        self.given_back.poll()
    }

    /// Forgets all messages of a publisher: some at once, the others when others have had their turn.
    pub(super) fn forget(&mut self, publisher: PeerId) {
        let known = self.by_publisher.remove(&publisher).unwrap_or_default();
        let mut removed = 0;
        for serial in known.oldest_first {
            if removed < REMOVED_AT_ONCE {
                removed += self.remove(serial);
            } else if let Some(message) = self.messages.get(&serial) {
                self.deadlines.set(serial, Some(message.begun_at));
            }
        }
        self.steps += removed as u64;
    }

    /// Forgets what is too old: some of it, if it is much. Then there is more to do at once.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let mut removed = 0;
        while removed < REMOVED_AT_ONCE
            && let Some(serial) = self.deadlines.pop_due(now)
        {
            removed += self.remove(serial);
        }
        self.steps += removed as u64;
    }

    /// Steps that forgetting much, and looking for those who have left, has taken.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns when something gets too old.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Returns what it counted for.
    fn remove(&mut self, serial: Serial) -> usize {
        let Some(message) = self.messages.remove(&serial) else { return 0 };
        self.deadlines.set(serial, None);
        let Message { id, publisher, owner, begun: Begun { assignments, .. }, .. } = message;
        self.members.subtract(&assignments);
        self.shares.subtract(owner, publisher, size(&assignments));
        self.given_back.push(publisher, memory_of(&id, &assignments));
        if let Some(known) = self.by_publisher.get_mut(&publisher) {
            known.by_id.remove(&id);
            known.oldest_first.remove(&serial);
            if known.oldest_first.is_empty() {
                self.by_publisher.remove(&publisher);
            }
        }
        size(&assignments)
    }
}

/// What a message counts for.
fn size(assignments: &Assignments) -> usize {
    assignments.len().max(1)
}

/// What a message takes in all tables together, about: `tests/memory.rs` compares.
fn memory_of(id: &MessageId, assignments: &Assignments) -> usize {
    MESSAGE_MEMORY + id.len() + assignments.len() * ASSIGNMENT_MEMORY
}

/// What a begun message takes, whoever gets it.
pub(super) const MESSAGE_MEMORY: usize = 640;

/// For each receiver.
const ASSIGNMENT_MEMORY: usize = 48;

/// What is forgotten in one go, in receivers: less than a millisecond.
const REMOVED_AT_ONCE: usize = 8192;

/// How long the rest of a message may take. Receivers give up at the same age (conat.md 2).
pub(super) const LIFETIME: Duration = Duration::from_secs(120);

/// Unfinished messages of one publisher; as many as a receiver holds.
pub(super) const MAX_PER_PUBLISHER: usize = 1024;

/// Assignments remembered in all: about 60 MB. Beyond it, who has most gives way.
pub(super) const MAX_ASSIGNMENTS: usize = 1024 * 1024;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::super::assigned_members::Assignment;
    use super::*;

    fn publisher(user: u64) -> (PeerId, Owner) {
        (PeerId { serial: user, slot: u32::try_from(user).unwrap() }, Owner::User(user))
    }

    /// A message for one member of each of so many groups.
    fn begun(count: usize) -> Begun {
        let peer = publisher(9).0;
        let members = (0..count as u64).map(|group| Assignment { group, membership: group % 7, peer });
        Begun { id: "secret".into(), assignments: Assignments::new(members.collect()) }
    }

    #[test]
    fn when_the_memory_is_full_who_has_most_loses_his_oldest_message_to_others() {
        let (mut unfinished, now) = (ChunkAssignments::default(), Instant::now());
        let [greedy, modest] = [1, 2].map(publisher);
        unfinished.begin(now, greedy, "old".into(), (begun(10), 1));
        unfinished.begin(now, greedy, "big".into(), (begun(MAX_ASSIGNMENTS - 10), 1));
        assert_eq!(unfinished.make_room(greedy), Err(Refusal::TooManyUnfinished { limit: MAX_ASSIGNMENTS }));
        assert_eq!(unfinished.make_room(modest), Ok(()));
        unfinished.begin(now, modest, "small".into(), (begun(1), 1));
        assert!(unfinished.begun(modest.0, &"small".into()).is_ok());
        assert!(unfinished.begun(greedy.0, &"big".into()).is_ok());
        assert_eq!(unfinished.begun(greedy.0, &"old".into()), Err(Refusal::UnknownMessage));
        // Begun anew under the same id, it takes its place once.
        unfinished.begin(now, modest, "small".into(), (begun(1), 1));
        assert_eq!(unfinished.len(), MAX_ASSIGNMENTS - 9);
        unfinished.end(modest.0, &"small".into());
        unfinished.forget(greedy.0);
        assert_eq!((unfinished.len(), unfinished.poll_timeout()), (0, None));
        assert!(unfinished.members.is_empty() && unfinished.by_publisher.is_empty());
    }

    #[test]
    fn a_publisher_that_begins_too_many_loses_its_own_oldest_and_all_get_too_old() {
        let (mut unfinished, now) = (ChunkAssignments::default(), Instant::now());
        let one = publisher(1);
        for n in 0..=MAX_PER_PUBLISHER {
            unfinished.begin(now, one, n.to_string().into(), (begun(usize::from(n > 3)), 1));
        }
        assert!(unfinished.begun(one.0, &"0".into()).is_err());
        assert_eq!(
            unfinished.begun(one.0, &"1".into()).map(|known| known.assignments.len()),
            Ok(0),
            "known, and for nobody"
        );
        assert_eq!(unfinished.len(), MAX_PER_PUBLISHER);
        unfinished.handle_timeout(now + LIFETIME);
        assert_eq!((unfinished.len(), unfinished.poll_timeout()), (0, None));
    }

    #[test]
    fn much_is_forgotten_bit_by_bit_when_it_is_too_old_and_when_its_publisher_goes() {
        for goes in [false, true] {
            let (mut unfinished, now) = (ChunkAssignments::default(), Instant::now());
            let one = publisher(1);
            for n in 0..100 {
                unfinished.begin(now, one, n.to_string().into(), (begun(1000), 1));
            }
            let (mut turns, mut later) = (0, now + LIFETIME);
            if goes {
                (turns, later) = (1, now);
                unfinished.forget(one.0);
                assert!(unfinished.begun(one.0, &"99".into()).is_err(), "nothing more is taken for it");
            }
            while unfinished.poll_timeout().is_some_and(|at| at <= later) {
                let (len, steps) = (unfinished.len(), unfinished.steps());
                unfinished.handle_timeout(later);
                assert!(len - unfinished.len() < REMOVED_AT_ONCE + 1000);
                assert_eq!(unfinished.steps() - steps, (len - unfinished.len()) as u64);
                turns += 1;
            }
            assert_eq!((unfinished.len(), unfinished.poll_timeout(), turns), (0, None, 12));
            assert!(unfinished.members.is_empty() && unfinished.messages.is_empty());
        }
    }
}
