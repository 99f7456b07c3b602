//! What one peer, or one stranger, may ask of us and of the application: nobody can keep either from others.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use super::SocketConfig;
use crate::base::{Allowance, FairAllowance, Shares};
use crate::wire::{Message, Origin};

/// What the peer of one socket may ask of it.
#[derive(Debug)]
pub(super) struct PeerAdmission {
    /// Its requests that the application has not taken.
    waiting: Option<Arc<Waiting>>,
    /// Whatever is answered without the application.
    answers: Allowance,
    /// What comes from others under its name.
    foreign: Allowance,
}

impl Default for PeerAdmission {
    fn default() -> Self {
        Self {
            waiting: None,
            answers: Allowance::new(ANSWER_BURST, ANSWERS_PER_SECOND),
            foreign: Allowance::new(FOREIGN_BURST, FOREIGN_PER_SECOND),
        }
    }
}

impl PeerAdmission {
    /// Takes a request for the application, or gives it back because too many wait for it.
    pub(super) fn admit(&mut self, request: Message) -> Result<ReceivedRequest, Box<Message>> {
        let waiting = self.waiting.get_or_insert_default();
        let (count, bytes) = (waiting.count.load(Relaxed), waiting.bytes.load(Relaxed));
        if count >= MAX_WAITING_REQUESTS || (count > 0 && bytes + size(&request) > MAX_WAITING_BYTES) {
            return Err(Box::new(request));
        }
        Ok(ReceivedRequest::new(request, waiting.clone()))
    }

    /// Returns whether to answer one more of its messages.
    pub(super) fn may_answer(&mut self, now: Instant) -> bool {
        self.answers.take(now)
    }

    /// Returns whether to answer one more message that is not from this peer.
    pub(super) fn may_answer_foreign(&mut self, now: Instant) -> bool {
        self.foreign.take(now)
    }
}

/// A request on its way to the application. As long as it exists it counts against its peer.
#[derive(Debug)]
pub struct ReceivedRequest {
    message: Message,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl ReceivedRequest {
    fn new(message: Message, waiting: Arc<Waiting>) -> Self {
        waiting.count.fetch_add(1, Relaxed);
        waiting.bytes.fetch_add(size(&message), Relaxed);
        Self { message, waiting }
    }
}

impl Deref for ReceivedRequest {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Clone for ReceivedRequest {
    fn clone(&self) -> Self {
        Self::new(self.message.clone(), self.waiting.clone())
    }
}

impl PartialEq for ReceivedRequest {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl Drop for ReceivedRequest {
    fn drop(&mut self) {
        self.waiting.count.fetch_sub(1, Relaxed);
        self.waiting.bytes.fetch_sub(size(&self.message), Relaxed);
    }
}

fn size(request: &Message) -> usize {
    request.payload.raw.len() + request.headers.json.as_ref().map_or(0, |json| json.as_bytes().len())
}

/// What those may ask of a listener who have no socket of it.
#[derive(Debug)]
pub(super) struct StrangerAdmission {
    /// Messages for sockets that do not exist, and connects that are refused: each is answered with a close.
    strays: Allowance,
    /// Questions who serves, by who asks: a user, or a connection without one.
    searches: FairAllowance<Option<u64>>,
}

impl Default for StrangerAdmission {
    fn default() -> Self {
        Self {
            strays: Allowance::new(STRAY_BURST, STRAYS_PER_SECOND),
            searches: FairAllowance::new(STRAY_BURST, STRAYS_PER_SECOND),
        }
    }
}

impl StrangerAdmission {
    /// Returns whether to answer one more of those. Who is not answered learns it by keep-alive.
    pub(super) fn may_answer_stray(&mut self, now: Instant) -> bool {
        self.strays.take(now)
    }

    /// Returns whether to answer one more search of this user. Who is not answered searches again.
    pub(super) fn may_answer_search(&mut self, now: Instant, user: Option<u64>) -> bool {
        self.searches.take(now, user)
    }
}

/// Whose a socket is, as far as the broker tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SocketOwner {
    /// As the broker tells users, or connections without one, apart; those that it does not are one.
    pub(super) user: Option<u64>,
    /// As it tells networks apart, users and others there each by themselves.
    network: Option<(u32, bool)>,
}

impl SocketOwner {
    pub(super) fn of(origin: Option<&Origin>) -> Self {
        let is_user = |origin: &Origin| origin.user.as_ref().is_none_or(|user| user.as_str() != "null");
        let network = origin.and_then(|origin| Some((origin.network?, is_user(origin))));
        Self { user: origin.map(|origin| origin.number), network }
    }
}

/// The sockets of a listener, by whose they are.
#[derive(Debug)]
pub(super) struct Population {
    max: usize,
    max_per_user: usize,
    by_user: Shares<Option<u64>>,
    by_network: Shares<(u32, bool)>,
    /// The same of those that are connecting.
    arriving: Shares<Option<u64>>,
}

impl Population {
    pub(super) fn new(config: &SocketConfig) -> Self {
        let (max, max_per_user) = (config.max_sockets, config.max_sockets_per_user);
        Self {
            max,
            max_per_user,
            by_user: Shares::default(),
            by_network: Shares::default(),
            arriving: Shares::default(),
        }
    }

    /// Returns whether there is room for one more of this owner. Of the last places each user has a small
    /// part of those that are free, and of the last half of these each network: whoever has few gets one
    /// beside crowds, and a network with few beside one with many crowds.
    pub(super) fn has_room(&self, owner: SocketOwner) -> bool {
        let free = self.max.saturating_sub(self.by_user.total());
        let of_user = self.by_user.of(&owner.user);
        let is_scarce = free <= self.max / SCARCE_PART && self.by_user.total() > self.by_user.of(&None);
        let small_part = (free / SCARCE_PART).max(1);
        let is_last = is_scarce && free <= self.max / SCARCE_PART / LAST_PART;
        let of_network = owner.network.map_or(0, |network| self.by_network.of(&network));
        let is_modest = !is_scarce || of_user < small_part;
        let is_of_modest = !is_last || of_network < small_part;
        free > 0 && (owner.user.is_none() || of_user < self.max_per_user) && is_modest && is_of_modest
    }

    /// Returns whose connecting sockets give way to one more of this owner; `Ok`: there is room.
    pub(super) fn check_arrival(&self, owner: SocketOwner) -> Result<(), Option<Option<u64>>> {
        if self.arriving.total() < MAX_ARRIVING {
            return Ok(());
        }
        Err(self.arriving.greedier_than(&owner.user))
    }

    pub(super) fn enter(&mut self, owner: SocketOwner) {
        self.by_user.add(owner.user, 1);
        if let Some(network) = owner.network {
            self.by_network.add(network, 1);
        }
    }

    pub(super) fn leave(&mut self, owner: SocketOwner) {
        self.by_user.subtract(owner.user, 1);
        if let Some(network) = owner.network {
            self.by_network.subtract(network, 1);
        }
    }

    /// One begins to connect.
    pub(super) fn enter_arriving(&mut self, owner: SocketOwner) {
        self.enter(owner);
        self.arriving.add(owner.user, 1);
    }

    /// It connects no more.
    pub(super) fn leave_arriving(&mut self, owner: SocketOwner) {
        self.leave(owner);
        self.arriving.subtract(owner.user, 1);
    }
}

/// Sockets that may be connecting at once; beyond that the oldest of whoever has most is forgotten, and asks
/// again.
const MAX_ARRIVING: usize = 10_000;
/// This part of the places of a listener is left to those who have few, and each may have such a part of it.
const SCARCE_PART: usize = 64;
/// This part of those is left to networks with few, in the same way.
const LAST_PART: usize = 2;
/// Requests of one peer that the application has not taken: as many as an original client may send at once
/// without harm to others. More are refused with 429.
const MAX_WAITING_REQUESTS: usize = 4096;
/// Bytes of these: payloads and headers. One larger request is taken when no other waits.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Answers of a socket to its peer, beside data and reports of progress: pings, resent messages, refusals.
const ANSWER_BURST: u32 = 2000;
/// The same, in the long run.
const ANSWERS_PER_SECOND: u32 = 1000;
/// Answers of a socket to others who use its id.
const FOREIGN_BURST: u32 = 20;
/// The same, in the long run.
const FOREIGN_PER_SECOND: u32 = 5;
/// Answers of a listener to those who have no socket of it: those who lost one server come together.
const STRAY_BURST: u32 = 10_000;
/// The same, in the long run: less than one part in a hundred of a processor.
const STRAYS_PER_SECOND: u32 = 1000;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::subject::Subject;
    use crate::wire::{Headers, Payload};

    fn request(bytes: usize) -> Message {
        let subject = Subject::parse("s.server.x.id").expect("valid");
        Message { subject, payload: Payload::msgpack(vec![0; bytes]), headers: Headers::default() }
    }

    #[test]
    fn requests_that_the_application_has_not_taken_are_bounded_by_number_and_by_bytes() {
        let mut peer = PeerAdmission::default();
        let mut held: Vec<ReceivedRequest> =
            std::iter::from_fn(|| peer.admit(request(1)).ok()).take(1_000_000).collect();
        assert_eq!(held.len(), MAX_WAITING_REQUESTS);
        held.truncate(10);
        let copy = held[0].clone();
        held.extend(std::iter::from_fn(|| peer.admit(request(1 << 20)).ok()));
        assert_eq!(held.len(), 10 + 15);
        drop(copy);
        held.clear();
        assert!(peer.admit(request(MAX_WAITING_BYTES + 1)).is_ok(), "one, when no other waits");
    }
}
