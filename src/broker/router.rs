//! Chooses the receivers of a message: interest, queue groups, and one member for all chunks of a message.
//!
//! Chooses receivers, and leaves the sending to its caller. The cost of a publish grows with the groups that
//! it goes to, and with the arrangements of wildcards that there are (`Interest`).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::account::{Account, Owner};
use super::assigned_members::{Assignment, Assignments, GroupId, Membership};
use super::budget::SharedPayloads;
use super::chunk_assignments::{Begun, ChunkAssignments};
use super::error::Refusal;
use super::index_map::IndexMap;
use super::member_drains::{DrainId, MemberDrain, MemberDrains};
use super::outbox::SHARED_FROM_BYTES;
use super::peer_id::PeerId;
use super::upstream::Class;
use crate::base::Entropy;
use crate::subject::{Interest, Pattern, Route};
use crate::wire::{AckId, Form, MessageId, Publication, SocketCommand, chunk_id};

/// All subscriptions by pattern and queue. A pattern in the table has at least one group, a group at least
/// one member.
#[derive(Debug, Default)]
pub(super) struct Router {
    interest: Interest<Groups>,
    unfinished: ChunkAssignments,
    drains: MemberDrains,
    subscriptions: usize,
    /// Names for groups and memberships.
    names: u64,
    shared: SharedPayloads,
}

/// The groups of one pattern, by queue.
type Groups = IndexMap<Arc<str>, Group>;

#[derive(Debug)]
struct Group {
    id: GroupId,
    way: Way,
    /// Each with its membership.
    members: IndexMap<PeerId, Membership>,
}

/// Which way a group's messages take, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) class: Class,
    pub(super) since: Instant,
}

/// How the groups of [`Class::Group`] are chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Not here: a fabric above does it.
    Above,
    /// Each pattern has a group of its own.
    ByPattern,
    /// Groups are by name, over all patterns, as the fabric above has them: it is away.
    ByName,
}

/// What has come of a publication.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Routed {
    /// Deliveries, taps not counted.
    pub(super) count: u64,
    /// There are groups that were left out.
    pub(super) skipped: bool,
    /// Bytes that are kept for its publisher.
    pub(super) memory: usize,
}

impl Router {
    /// Counts payloads that go to several with `shared`.
    pub(super) fn new(shared: SharedPayloads) -> Self {
        Self { shared, ..Self::default() }
    }

    /// Adds `peer` to a group. It is not subscribed to `pattern` yet.
    pub(super) fn subscribe(&mut self, pattern: &Pattern, queue: Arc<str>, peer: PeerId, way: Way) {
        let (id, membership) = (self.names, self.names + 1);
        self.names += 2;
        let groups = self.interest.get_or_insert_with(pattern, IndexMap::new);
        let group = groups.get_or_insert_with(queue, || Group { id, way, members: IndexMap::new() });
        group.members.get_or_insert_with(peer, || membership);
        self.subscriptions += 1;
    }

    /// Returns how many assignments for messages in chunks are remembered.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// Takes some memory that was given back, and by whom.
    pub(super) fn poll_given_back(&mut self) -> Option<(PeerId, usize)> {
        self.unfinished.poll_given_back()
    }

    /// Steps that looking for patterns, and for what was begun, has taken.
    pub(super) fn steps(&self) -> u64 {
        self.interest.steps() + self.unfinished.steps()
    }

    /// Begins a drain of so many patterns: [`Self::unsubscribe`] each, then [`Self::take_drained`].
    pub(super) fn begin_drain(&mut self, peer: PeerId, ack: Option<AckId>, patterns: usize) -> DrainId {
        self.drains.begin(peer, ack, patterns)
    }

    /// Takes a drain if nothing more comes for it.
    pub(super) fn take_drained(&mut self, id: DrainId) -> Option<MemberDrain> {
        self.drains.take_done(id)
    }

    /// Returns a drain for which nothing more comes, since a message has come to its end.
    pub(super) fn poll_drained(&mut self) -> Option<MemberDrain> {
        while let Some(id) = self.unfinished.poll_ended() {
            self.drains.finish_one(id);
            if let Some(drain) = self.drains.take_done(id) {
                return Some(drain);
            }
        }
        None
    }

    /// Returns how many drains wait for the rest of messages.
    pub(super) fn drains(&self) -> usize {
        self.drains.len()
    }

    /// Takes `peer` out of a group, and removes what is empty then. In a drain it still gets the rest of what
    /// was begun for it.
    pub(super) fn unsubscribe(
        &mut self,
        pattern: &Pattern,
        queue: &Arc<str>,
        peer: PeerId,
        drain: Option<DrainId>,
    ) {
        let Some(groups) = self.interest.get_mut(pattern) else { return };
        let Some(group) = groups.get_mut(queue) else { return };
        let Some(membership) = group.members.remove(&peer) else { return };
        if let Some(drain) = drain {
            let unfinished = self.unfinished.release(membership, pattern, drain);
            self.drains.add(drain, unfinished);
        }
        self.subscriptions -= 1;
        if group.members.is_empty() {
            groups.remove(queue);
        }
        if groups.is_empty() {
            self.interest.remove(pattern);
        }
    }

    /// Calls `deliver` for one member of each group of each pattern that the subject matches, and of all
    /// groups of listeners for one member of one; it returns
    /// whether it could, and is told whether others get the same payload, and whether nobody else gets
    /// anything. A group with more than one member
    /// shares the messages of a bundle. `choice`: what of groups of [`Class::Group`]. The last receiver gets
    /// the publication itself, so that nothing is copied for an only one.
    ///
    /// What is remembered of a message that has begun takes memory, until that is given back.
    pub(super) fn route(
        &mut self,
        now: Instant,
        (publisher, account, owner): (PeerId, Account, Owner),
        publication: Publication,
        (max_message, choice): (usize, Choice),
        entropy: &mut dyn Entropy,
        mut deliver: impl FnMut(PeerId, &Pattern, Publication, (bool, bool, Way)) -> bool,
    ) -> Result<Routed, Refusal> {
        let route = self.interest.route(&publication.subject);
        if let Some((peer, pattern, way)) = self.only_receiver(&route, &publication, choice) {
            let is_counted = deliver(peer, pattern, publication, (false, true, way)) && !pattern.is_silent();
            return Ok(Routed { count: is_counted.into(), ..Routed::default() });
        }
        self.route_to_all(
            now,
            (publisher, account, owner),
            (publication, route),
            (max_message, choice),
            entropy,
            deliver,
        )
    }

    /// The same, where something is to be chosen.
    fn route_to_all(
        &mut self,
        now: Instant,
        (publisher, account, owner): (PeerId, Account, Owner),
        (mut publication, route): (Publication, Route),
        (max_message, choice): (usize, Choice),
        entropy: &mut dyn Entropy,
        mut deliver: impl FnMut(PeerId, &Pattern, Publication, (bool, bool, Way)) -> bool,
    ) -> Result<Routed, Refusal> {
        let bytes = publication.payload.raw.len();
        let mut leaving = Vec::new();
        let mut part = match publication.part() {
            None => Part::Whole,
            Some(chunk) if chunk.seq == 0 => {
                self.unfinished.make_room((publisher, owner))?;
                let id = chunk_id(account.origin(), &entropy.id());
                Part::First(id, Vec::new())
            }
            Some(chunk) => {
                if let Err(refusal) = self.unfinished.grow(publisher, &chunk.id, bytes, max_message) {
                    if chunk.done {
                        self.unfinished.end(publisher, &chunk.id);
                    }
                    return Err(refusal);
                }
                leaving = self.unfinished.leaving(publisher, &chunk.id);
                Part::Later(self.unfinished.begun(publisher, &chunk.id)?)
            }
        };
        let id = match (&part, &mut publication.form) {
            (Part::First(id, _) | Part::Later(Begun { id, .. }), Form::Chunk(chunk)) => {
                Some(std::mem::replace(&mut Arc::make_mut(chunk).id, id.clone()))
            }
            _ => None,
        };
        let others = if is_question(&publication) {
            other_groups(self.interest.on(&route), entropy)
        } else {
            Vec::new()
        };
        let is_shared = publication.payload.raw.len() >= SHARED_FROM_BYTES
            && self.interest.on(&route).map(|(_, groups)| groups.len()).sum::<usize>() > 1;
        if is_shared {
            publication.payload.raw = self.shared.count(publication.payload.raw);
        }
        let (mut count, mut skipped, mut memory) = (0, false, 0);
        let (is_first, is_last) = (Cell::new(true), Cell::new(false));
        let mut deliver_counted = |(peer, pattern, way): (PeerId, &Pattern, Way), publication| {
            let is_only = is_first.replace(false) && is_last.get();
            if deliver(peer, pattern, publication, (is_shared, is_only, way)) && !pattern.is_silent() {
                count += 1;
            }
        };
        for (peer, pattern) in &leaving {
            let way = Way { class: Class::Plain, since: now };
            deliver_counted((*peer, pattern, way), publication.clone());
        }
        let mut last = None;
        for (pattern, groups) in self.interest.on(&route) {
            for group in groups.values() {
                let way = group.way;
                if !others.is_empty() && others.contains(&group.id) {
                    continue;
                }
                if way.class == Class::Group && choice != Choice::ByPattern {
                    skipped = true;
                    continue;
                }
                if publication.is_bundle() && group.members.len() > 1 {
                    if let Some(before) = last.take() {
                        deliver_counted(before, publication.clone());
                    }
                    publication.clone().for_each_single(|single| {
                        if let Some(peer) = part.pick(group, entropy) {
                            deliver_counted((peer, pattern, way), single);
                        }
                    });
                    continue;
                }
                if let Some(peer) = part.pick(group, entropy)
                    && let Some(before) = last.replace((peer, pattern, way))
                {
                    deliver_counted(before, publication.clone());
                }
            }
        }
        if skipped && choice == Choice::ByName {
            skipped = false;
            let groups = groups_by_name(self.interest.on(&route));
            deliver_by_name(groups, &publication, (&mut part, entropy), &mut deliver_counted);
        }
        match (part, id) {
            (Part::First(secret, members), Some(id)) => {
                let begun = Begun { id: secret, assignments: Assignments::new(members) };
                memory = self.unfinished.begin(now, (publisher, owner), id, (begun, bytes));
            }
            (Part::Later(_), Some(id)) if publication.is_done() => self.unfinished.end(publisher, &id),
            _ => {}
        }
        is_last.set(true);
        if let Some(last) = last {
            deliver_counted(last, publication);
        }
        Ok(Routed { count, skipped, memory })
    }

    /// Returns who gets a publication, if it goes as it is to one, and nothing is to be chosen, as nearly all
    /// do.
    fn only_receiver<'a>(
        &'a self,
        route: &'a Route,
        publication: &Publication,
        choice: Choice,
    ) -> Option<(PeerId, &'a Pattern, Way)> {
        let mut patterns = self.interest.on(route);
        let ((pattern, groups), None) = (patterns.next()?, patterns.next()) else { return None };
        let group = groups.only()?;
        let &(peer, _) = group.members.nth(0).filter(|_| group.members.len() == 1)?;
        let is_chosen_here = group.way.class != Class::Group || choice == Choice::ByPattern;
        (is_chosen_here && publication.part().is_none()).then_some((peer, pattern, group.way))
    }

    /// Calls `deliver` for one member of each group of one pattern, but for those of [`Class::Group`] unless
    /// `queue` names it. For what comes from a fabric above, which has chosen the pattern. Chunks go to the
    /// same member, and keep their id.
    pub(super) fn route_to(
        &mut self,
        pattern: &Pattern,
        queue: Option<&Arc<str>>,
        publication: &Publication,
        mut deliver: impl FnMut(PeerId, Publication),
    ) {
        let Some(groups) = self.interest.get_mut(pattern) else { return };
        let all = groups.values().filter(|group| queue.is_none() && group.way.class != Class::Group);
        for group in all.chain(queue.and_then(|queue| groups.get(queue))) {
            if let Some((peer, _)) = group.members.nth(0) {
                deliver(*peer, publication.clone());
            }
        }
    }

    /// Returns one of those who are subscribed to exactly this pattern.
    pub(super) fn first_member(&mut self, pattern: &Pattern) -> Option<PeerId> {
        let groups = self.interest.get_mut(pattern)?;
        groups.values().find_map(|group| group.members.keys().next().copied())
    }

    /// Returns the members of every group whose pattern `subject` matches and which is `wanted`.
    pub(super) fn members_where(&self, subject: &str, wanted: impl Fn(&Pattern) -> bool) -> Vec<PeerId> {
        let mut members = Vec::new();
        self.interest.for_each_match(subject, |pattern, groups| {
            if wanted(pattern) {
                let all = groups.values().flat_map(|group| group.members.keys());
                members.extend(all.copied());
            }
        });
        members
    }

    /// Returns whether a publish to `subject` would count anybody.
    pub(super) fn has_interest(&self, subject: &str) -> bool {
        self.interest.any_match(subject, |pattern, _| !pattern.is_silent())
    }

    /// The same, of those members that `counts` says.
    pub(super) fn has_member(&self, subject: &str, counts: impl Fn(&Pattern, PeerId) -> bool) -> bool {
        self.interest.any_match(subject, |pattern, groups| {
            let mut members = groups.values().flat_map(|group| group.members.keys());
            !pattern.is_silent() && members.any(|peer| counts(pattern, *peer))
        })
    }

    /// Remembers that a chunk was refused for its size: the rest of its message is refused for the same.
    /// Returns the memory that this takes.
    pub(super) fn note_too_big(
        &mut self,
        now: Instant,
        (publisher, owner): (PeerId, Owner),
        publication: &Publication,
    ) -> usize {
        match publication.part() {
            None => 0,
            Some(chunk) if chunk.seq == 0 => {
                if self.unfinished.make_room((publisher, owner)).is_err() {
                    return 0;
                }
                let (id, bytes) = (chunk.id.clone(), publication.payload.raw.len());
                self.unfinished.begin_refused(now, (publisher, owner), id, bytes)
            }
            Some(chunk) => {
                let (id, bytes) = (&chunk.id, publication.payload.raw.len());
                let _ = self.unfinished.grow(publisher, id, bytes, 0);
                if chunk.done {
                    self.unfinished.end(publisher, id);
                }
                0
            }
        }
    }

    /// Forgets a peer that is gone: the rest of its messages will not arrive, and nothing waits for its
    /// drains.
    pub(super) fn forget_peer(&mut self, peer: PeerId) {
        self.unfinished.forget(peer);
        self.drains.forget(peer);
    }

    /// Returns how many patterns there are.
    pub(super) fn patterns(&self) -> usize {
        self.interest.len()
    }

    /// Returns how many subscriptions there are.
    pub(super) fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// Gives up unfinished messages that are too old.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.unfinished.handle_timeout(now);
    }

    /// Returns when one becomes too old.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.unfinished.poll_timeout()
    }
}

/// Returns whether it is the question of a socket to whoever listens: one listener takes it.
fn is_question(publication: &Publication) -> bool {
    publication.headers.command == Some(SocketCommand::Connect) && {
        let mut tokens = publication.subject.as_str().rsplit('.').skip(1);
        (tokens.next(), tokens.next()) == (Some("~"), Some("server"))
    }
}

/// Returns all groups of listeners but one, which has as good a chance as it has members.
#[cold]
fn other_groups<'a>(
    all: impl Iterator<Item = (&'a Pattern, &'a Groups)>,
    entropy: &mut dyn Entropy,
) -> Vec<GroupId> {
    let queue = Arc::from(LISTENERS);
    let of_listeners = all.filter_map(|(_, groups)| groups.get(&queue));
    let groups: Vec<(GroupId, usize)> = of_listeners.map(|group| (group.id, group.members.len())).collect();
    if groups.len() < 2 {
        return Vec::new();
    }
    let mut at = entropy.below(groups.iter().map(|(_, members)| members).sum());
    let chosen = groups.iter().position(|(_, members)| {
        let is_chosen = at < *members;
        at = at.saturating_sub(*members);
        is_chosen
    });
    groups.iter().enumerate().filter(|(place, _)| Some(*place) != chosen).map(|(_, (id, _))| *id).collect()
}

/// The queue of listeners that are asked by whoever wants any of them.
const LISTENERS: &str = "selvedge";

/// Delivers to one member of the groups of each name.
#[cold]
fn deliver_by_name<'a>(
    all: impl Iterator<Item = Vec<(&'a Pattern, &'a Group)>>,
    publication: &Publication,
    (part, entropy): (&mut Part<'_>, &mut dyn Entropy),
    mut deliver: impl FnMut((PeerId, &'a Pattern, Way), Publication),
) {
    for groups in all {
        let count = groups.iter().map(|(_, group)| group.members.len()).sum::<usize>();
        let mut pick = || {
            let at = if count == 1 { 0 } else { entropy.below(count) };
            part.pick_among(&groups, at)
        };
        if publication.is_bundle() && count > 1 {
            publication.clone().for_each_single(|single| {
                if let Some(receiver) = pick() {
                    deliver(receiver, single);
                }
            });
        } else if let Some(receiver) = pick() {
            deliver(receiver, publication.clone());
        }
    }
}

/// Returns the groups of [`Class::Group`] among those of some patterns, those of one name together.
fn groups_by_name<'a>(
    all: impl Iterator<Item = (&'a Pattern, &'a Groups)>,
) -> impl Iterator<Item = Vec<(&'a Pattern, &'a Group)>> {
    let mut by_name: BTreeMap<&str, Vec<(&Pattern, &Group)>> = BTreeMap::new();
    for (pattern, groups) in all {
        for queue in groups.keys() {
            let group = groups.get(queue).filter(|group| group.way.class == Class::Group);
            by_name.entry(queue).or_default().extend(group.map(|group| (pattern, group)));
        }
    }
    by_name.into_values().filter(|groups| !groups.is_empty())
}

/// The position of a chunk in its message.
enum Part<'a> {
    /// All of it: any member will do.
    Whole,
    /// The first chunk, and what its message is called: who gets it gets the others.
    First(MessageId, Vec<Assignment>),
    /// Another chunk, for those who had the first.
    Later(&'a Begun),
}

impl Part<'_> {
    /// Returns the member of `group` that gets this part; none if the one that got the first chunk has left
    /// since.
    fn pick(&mut self, group: &Group, entropy: &mut dyn Entropy) -> Option<PeerId> {
        if let Self::Later(begun) = self {
            let assignment = begun.assignments.of(group.id)?;
            // Its way out is in `leaving`.
            return (group.members.get(&assignment.peer) == Some(&assignment.membership))
                .then_some(assignment.peer);
        }
        // Most groups have one member, and random bits may cost a system call.
        let position = if group.members.len() == 1 { 0 } else { entropy.below(group.members.len()) };
        self.assign(group, position)
    }

    /// Returns the member at a position among all of some groups, if this part is for one of them.
    fn pick_among<'a>(
        &mut self,
        groups: &[(&'a Pattern, &Group)],
        mut position: usize,
    ) -> Option<(PeerId, &'a Pattern, Way)> {
        for &(pattern, group) in groups {
            if let Self::Later(begun) = self {
                if let Some(assignment) = begun.assignments.of(group.id) {
                    let is_here = group.members.get(&assignment.peer) == Some(&assignment.membership);
                    return is_here.then_some((assignment.peer, pattern, group.way));
                }
            } else if position < group.members.len() {
                return self.assign(group, position).map(|peer| (peer, pattern, group.way));
            } else {
                position -= group.members.len();
            }
        }
        None
    }

    /// Returns the member at a position, which gets the rest as well.
    fn assign(&mut self, group: &Group, position: usize) -> Option<PeerId> {
        let &(peer, membership) = group.members.nth(position)?;
        if let Self::First(_, members) = self {
            members.push(Assignment { group: group.id, membership, peer });
        }
        Some(peer)
    }
}
