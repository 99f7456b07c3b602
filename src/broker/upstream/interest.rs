//! What clients want of the fabric above: each pattern once, each membership of a group for itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::PeerId;
use super::batches::BatchId;
use crate::subject::Pattern;
use crate::wire::AckId;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct RemoteInterest {
    patterns: BTreeMap<Pattern, Wanted>,
    members: BTreeMap<u64, Member>,
    by_peer: HashMap<PeerId, BTreeMap<Pattern, Use>>,
    joined: u64,
}

/// A pattern that somebody wants.
#[derive(Debug, Default)]
struct Wanted {
    users: BTreeSet<PeerId>,
    /// The acknowledgement that is awaited.
    asked: Option<AckId>,
    /// Who waits for it.
    batches: Vec<BatchId>,
}

/// A member of a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) peer: PeerId,
    pub(super) pattern: Pattern,
    pub(super) queue: Arc<str>,
    /// Who waits for it.
    batch: Option<BatchId>,
    /// It is asked for, and not confirmed.
    is_joining: bool,
    is_leaving: bool,
    /// Its client wants nothing of it any more.
    pub(super) is_gone: bool,
}

/// What a client has of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Pattern,
    Member(u64),
}

/// What is to be said after a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Subscribe(Pattern),
    Join(u64),
    Unsubscribe(Pattern),
    Leave(u64),
    /// It is being confirmed.
    Awaited,
    /// Nothing.
    None,
}

impl Member {
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }
}

impl RemoteInterest {
    /// A client wants a pattern. `batch` waits for it, if it is not confirmed.
    pub(super) fn add(&mut self, peer: PeerId, pattern: &Pattern, batch: Option<BatchId>) -> Change {
        self.by_peer.entry(peer).or_default().insert(pattern.clone(), Use::Pattern);
        let is_new = !self.patterns.contains_key(pattern);
        let wanted = self.patterns.entry(pattern.clone()).or_default();
        wanted.users.insert(peer);
        if is_new || wanted.asked.is_some() {
            wanted.batches.extend(batch);
        }
        match (is_new, wanted.asked) {
            (true, _) => Change::Subscribe(pattern.clone()),
            (false, Some(_)) => Change::Awaited,
            (false, None) => Change::None,
        }
    }

    /// A client becomes a member of a group.
    pub(super) fn join(
        &mut self,
        peer: PeerId,
        pattern: &Pattern,
        queue: Arc<str>,
        batch: Option<BatchId>,
    ) -> Change {
        self.joined += 1;
        self.by_peer.entry(peer).or_default().insert(pattern.clone(), Use::Member(self.joined));
        let pattern = pattern.clone();
        let member =
            Member { peer, pattern, queue, batch, is_joining: false, is_leaving: false, is_gone: false };
        self.members.insert(self.joined, member);
        Change::Join(self.joined)
    }

    /// A client does not want a pattern any more. Its membership is kept until [`Self::forget_member`]: what
    /// is under way for it goes to the client if that `drains`. Also returns who waits in vain now.
    pub(super) fn remove(&mut self, peer: PeerId, pattern: &Pattern, drains: bool) -> (Change, Vec<BatchId>) {
        let nothing = (Change::None, Vec::new());
        let Some(uses) = self.by_peer.get_mut(&peer) else { return nothing };
        let taken = uses.remove(pattern);
        if uses.is_empty() {
            self.by_peer.remove(&peer);
        }
        match taken {
            None => nothing,
            Some(Use::Member(number)) => {
                let Some(member) = self.members.get_mut(&number) else { return nothing };
                (member.is_leaving, member.is_gone) = (true, !drains);
                (Change::Leave(number), member.batch.take().into_iter().collect())
            }
            Some(Use::Pattern) => {
                let Some(wanted) = self.patterns.get_mut(pattern) else { return nothing };
                wanted.users.remove(&peer);
                if !wanted.users.is_empty() {
                    return nothing;
                }
                let batches = std::mem::take(&mut wanted.batches);
                self.patterns.remove(pattern);
                (Change::Unsubscribe(pattern.clone()), batches)
            }
        }
    }

    /// Returns whether a client wants a pattern.
    pub(super) fn has(&self, peer: PeerId, pattern: &Pattern) -> bool {
        self.by_peer.get(&peer).is_some_and(|uses| uses.contains_key(pattern))
    }

    /// Returns the patterns of a client.
    pub(super) fn patterns_of(&self, peer: PeerId) -> Vec<Pattern> {
        self.by_peer.get(&peer).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// Returns those of a client that are shared in a group.
    pub(super) fn groups_of(&self, peer: PeerId) -> Vec<Arc<str>> {
        let uses = self.by_peer.get(&peer).into_iter().flatten();
        let groups = uses.filter(|(_, used)| matches!(used, Use::Member(_)));
        groups.map(|(pattern, _)| pattern.as_str().into()).collect()
    }

    /// Notes what confirms a pattern.
    pub(super) fn note_asked(&mut self, pattern: &Pattern, ack: AckId) {
        if let Some(wanted) = self.patterns.get_mut(pattern) {
            wanted.asked = Some(ack);
        }
    }

    /// A pattern is confirmed, or refused. Returns who waited for that; nobody if it was asked for again
    /// since.
    pub(super) fn settle(&mut self, pattern: &Pattern, ack: AckId) -> Vec<BatchId> {
        let Some(wanted) = self.patterns.get_mut(pattern).filter(|wanted| wanted.asked == Some(ack)) else {
            return Vec::new();
        };
        wanted.asked = None;
        std::mem::take(&mut wanted.batches)
    }

    /// Notes that a membership is asked for.
    pub(super) fn note_joining(&mut self, member: u64) {
        self.members.get_mut(&member).into_iter().for_each(|member| member.is_joining = true);
    }

    /// Returns whether a client becomes a member of a group, and is none yet.
    pub(super) fn is_joining(&self, peer: PeerId, pattern: &Pattern) -> bool {
        match self.by_peer.get(&peer).and_then(|uses| uses.get(pattern)) {
            Some(Use::Member(number)) => self.members.get(number).is_some_and(|member| member.is_joining),
            _ => false,
        }
    }

    /// Returns the patterns of memberships that are asked for and not confirmed.
    pub(super) fn joining(&self) -> Vec<Pattern> {
        let joining = self.members.values().filter(|member| member.is_joining && !member.is_leaving);
        joining.map(|member| member.pattern.clone()).collect()
    }

    /// A membership is confirmed, or refused. Returns who waited for that.
    pub(super) fn settle_member(&mut self, member: u64) -> Option<BatchId> {
        let member = self.members.get_mut(&member)?;
        member.is_joining = false;
        member.batch.take()
    }

    /// Returns who wants a pattern, group or not.
    pub(super) fn users(&self, pattern: &Pattern) -> Vec<PeerId> {
        let plain = self.patterns.get(pattern).into_iter().flat_map(|wanted| &wanted.users).copied();
        let members = self.members.values().filter(|member| member.pattern == *pattern && !member.is_leaving);
        plain.chain(members.map(|member| member.peer)).collect()
    }

    pub(super) fn member(&self, member: u64) -> Option<&Member> {
        self.members.get(&member)
    }

    /// A membership has ended, with all that was under way for it.
    pub(super) fn forget_member(&mut self, member: u64) {
        if self.members.get(&member).is_some_and(|member| member.is_leaving) {
            self.members.remove(&member);
        }
    }

    /// Nothing that was asked for counts any more, and nobody waits for it. Returns all that is wanted.
    pub(super) fn renew(&mut self) -> (Vec<Pattern>, Vec<u64>) {
        self.members.retain(|_, member| !member.is_leaving);
        self.members.values_mut().for_each(|member| (member.batch, member.is_joining) = (None, false));
        for wanted in self.patterns.values_mut() {
            (wanted.asked, wanted.batches) = (None, Vec::new());
        }
        (self.patterns.keys().cloned().collect(), self.members.keys().copied().collect())
    }

    /// How many patterns and members there are.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.patterns.len(), self.members.len())
    }
}
