//! Ends that clients watch: who owns them, who wants to know, and what is said of them.
//!
//! A subscription *owns* an end when its pattern ends in the same literal tokens: `….client.<id>` a client
//! socket, `….server.<server>.*` a listener, `….server.status` *some listener is there*. Nothing else owns
//! anything: a tap counts as interest, and must not hide that an end is gone. Whatever does not touch an
//! owning pattern, every message included, costs nothing here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::given_back::GivenBack;
use super::peer_id::PeerId;
use super::watchers::Watchers;
use crate::subject::Pattern;
use crate::wire::{Presence, PresenceChange};

/// The open watches, by the end and by the peer.
#[derive(Debug, Default)]
pub(super) struct Watches {
    ends: BTreeMap<EndName, End>,
    /// Each with the subject that was named: of a listener's end any of its sockets'.
    by_peer: HashMap<PeerId, OfPeer>,
    /// Memory of watches that have ended, and whose it was.
    given_back: GivenBack,
}

#[derive(Debug, Default)]
struct OfPeer {
    subjects: BTreeMap<u64, Arc<str>>,
    bytes: usize,
}

/// The two literal tokens, a space, and what stands before them, so that the ends which one pattern with
/// wildcards can own stand side by side. No subject has a space.
type EndName = String;

#[derive(Debug)]
struct End {
    /// One for each subscription that owns it.
    owners: Vec<PeerId>,
    watchers: Watchers,
}

/// What watchers are to be told.
#[derive(Debug, Default)]
pub(super) struct Notices(BTreeMap<PeerId, Vec<PresenceChange>>);

impl Watches {
    /// Whether a peer may begin one more watch, of this id.
    pub(super) fn has_room(&self, peer: PeerId, id: u64, subject: &str) -> bool {
        let is_in_bounds = |of_peer: &OfPeer| {
            of_peer.subjects.len() < MAX_WATCHES_PER_PEER
                && of_peer.bytes + memory_of(subject) <= MAX_WATCH_BYTES_PER_PEER
                && !of_peer.subjects.contains_key(&id)
        };
        let Some(name) = end_of(subject, false) else { return false };
        let watchers = self.ends.get(&name).map_or(0, |end| end.watchers.len());
        watchers < MAX_WATCHERS_OF_AN_END && self.by_peer.get(&peer).is_none_or(is_in_bounds)
    }

    /// Takes some memory that was given back, and by whom.
    pub(super) fn poll_given_back(&mut self) -> Option<(PeerId, usize)> {
        self.given_back.poll()
    }

    /// Begins a watch that there is room for ([`Self::has_room`]). `owners` finds the peers that own an end
    /// by a pattern that matches the subject. Returns the owners, or `None` if this is no end.
    pub(super) fn begin(
        &mut self,
        peer: PeerId,
        id: u64,
        subject: &Arc<str>,
        owners: impl FnOnce() -> Vec<PeerId>,
    ) -> Option<&[PeerId]> {
        let name = end_of(subject, false)?;
        let of_peer = self.by_peer.entry(peer).or_default();
        of_peer.subjects.insert(id, subject.clone());
        of_peer.bytes += memory_of(subject);
        let new = || End { owners: owners(), watchers: Watchers::new() };
        let end = self.ends.entry(name).or_insert_with(new);
        end.watchers.insert((peer, id));
        Some(&end.owners)
    }

    /// Ends a watch.
    pub(super) fn end(&mut self, peer: PeerId, id: u64) {
        let Some(of_peer) = self.by_peer.get_mut(&peer) else { return };
        let Some(subject) = of_peer.subjects.remove(&id) else { return };
        of_peer.bytes -= memory_of(&subject);
        self.given_back.push(peer, memory_of(&subject));
        if of_peer.subjects.is_empty() {
            self.by_peer.remove(&peer);
        }
        self.forget_watcher(&subject, (peer, id));
    }

    /// Returns how many a peer has.
    pub(super) fn count_of(&self, peer: PeerId) -> usize {
        self.by_peer.get(&peer).map_or(0, |of_peer| of_peer.subjects.len())
    }

    /// Ends all watches of a peer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        let Some(OfPeer { subjects, bytes }) = self.by_peer.remove(&peer) else { return };
        self.given_back.push(peer, bytes);
        for (id, subject) in subjects {
            self.forget_watcher(&subject, (peer, id));
        }
    }

    /// Ends a peer's watches of one subject, to which it may no longer publish.
    pub(super) fn forget_subject(&mut self, peer: PeerId, subject: &str, notices: &mut Notices) {
        let of_peer = self.by_peer.get(&peer).into_iter().flat_map(|of_peer| &of_peer.subjects);
        let ids: Vec<u64> = of_peer.filter(|(_, other)| &***other == subject).map(|(id, _)| *id).collect();
        for id in ids {
            self.end(peer, id);
            notices.add((peer, id), Presence::Unknown);
        }
    }

    /// Handles a subscription of `peer`; `here` is how its presence is called.
    pub(super) fn handle_owner(
        &mut self,
        pattern: &Pattern,
        peer: PeerId,
        here: Presence,
        notices: &mut Notices,
    ) {
        self.each_owned(pattern, |end| {
            if end.owners.is_empty() {
                end.watchers.for_each(|watcher| notices.add(*watcher, here));
            }
            end.owners.push(peer);
        });
    }

    /// Handles the end of a subscription of `peer`, and how it came to it.
    pub(super) fn handle_owner_gone(
        &mut self,
        pattern: &Pattern,
        peer: PeerId,
        why: Presence,
        notices: &mut Notices,
    ) {
        self.each_owned(pattern, |end| {
            let Some(at) = end.owners.iter().position(|owner| *owner == peer) else { return };
            end.owners.swap_remove(at);
            if end.owners.is_empty() {
                end.watchers.for_each(|watcher| notices.add(*watcher, why));
            }
        });
    }

    /// Tells this of all ends that nobody owns.
    pub(super) fn tell_of_absent(&self, presence: Presence, notices: &mut Notices) {
        let absent = self.ends.values().filter(|end| end.owners.is_empty());
        absent.for_each(|end| end.watchers.for_each(|watcher| notices.add(*watcher, presence)));
    }

    /// Returns the subjects that a peer watches: one for each watch.
    pub(super) fn subjects_of(&self, peer: PeerId) -> impl Iterator<Item = Arc<str>> {
        self.by_peer.get(&peer).into_iter().flat_map(|of_peer| of_peer.subjects.values().cloned())
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.by_peer.values().map(|of_peer| of_peer.subjects.len()).sum()
    }

    fn each_owned(&mut self, pattern: &Pattern, mut act: impl FnMut(&mut End)) {
        if self.ends.is_empty() {
            return;
        }
        let Some(name) = end_of(pattern.as_str(), true) else { return };
        let (key, prefix) = name.split_once(' ').unwrap_or((&name, ""));
        if !prefix.split('.').any(|token| token == "*") {
            return self.ends.get_mut(&name).into_iter().for_each(act);
        }
        let Ok(prefix) = Pattern::parse(prefix) else { return };
        for (other, end) in self.ends.range_mut(format!("{key} ")..format!("{key}!")) {
            if other.split_once(' ').is_some_and(|(_, subject)| prefix.matches(subject)) {
                act(end);
            }
        }
    }

    fn forget_watcher(&mut self, subject: &str, watcher: (PeerId, u64)) {
        let Some(name) = end_of(subject, false) else { return };
        let Some(end) = self.ends.get_mut(&name) else { return };
        end.watchers.remove(watcher);
        if end.watchers.is_empty() {
            self.ends.remove(&name);
        }
    }
}

impl Notices {
    fn add(&mut self, (peer, id): (PeerId, u64), presence: Presence) {
        self.0.entry(peer).or_default().push(PresenceChange { id, presence, crowd: 1 });
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> u64 {
        self.0.values().map(Vec::len).sum::<usize>() as u64
    }

    /// Returns the changes for each watcher, in the order in which they came; those that tell of an end with
    /// the number of watches that were told of it.
    pub(super) fn into_changes(self) -> impl Iterator<Item = (PeerId, Vec<PresenceChange>)> {
        let count = self.len();
        self.0.into_iter().map(move |(peer, mut changes)| {
            let ended = changes.iter_mut().filter(|change| change.presence.is_end());
            ended.for_each(|change| change.crowd = count);
            (peer, changes)
        })
    }
}

/// Returns whether a subscription to `pattern` owns the end that `subject`, which it matches, belongs to.
pub(super) fn is_owner(pattern: &Pattern, subject: &str) -> bool {
    let owned = tokens_of(pattern.as_str(), true).map(|(tokens, _)| tokens);
    owned.is_some() && owned == tokens_of(subject, false).map(|(tokens, _)| tokens)
}

/// Returns whether a subscription to `pattern` owns an end of sockets.
pub(super) fn is_end(pattern: &Pattern) -> bool {
    tokens_of(pattern.as_str(), true).is_some()
}

/// Returns the name of the end that a subject is of, or that a pattern owns.
fn end_of(text: &str, is_pattern: bool) -> Option<EndName> {
    let ([first, second], prefix) = tokens_of(text, is_pattern)?;
    Some([first, ".", second, " ", prefix].concat())
}

/// Returns the two literal tokens, and what stands before them.
fn tokens_of(text: &str, is_pattern: bool) -> Option<([&str; 2], &str)> {
    let mut tokens = text.rsplitn(4, '.');
    let (last, before) = (tokens.next()?, tokens.next()?);
    if before == "client" || (before == "server" && last == "status") {
        let prefix = text.len().checked_sub(before.len() + last.len() + 2).map_or("", |end| &text[..end]);
        let is_literal = !is_pattern || !matches!(last, "*" | ">");
        return is_literal.then_some(([before, last], prefix));
    }
    let is_server = tokens.next() == Some("server") && !matches!(before, "~" | "status" | "rooms");
    let is_literal = !is_pattern || (last == "*" && before != "*");
    (is_server && is_literal).then(|| (["server", before], tokens.next().unwrap_or_default()))
}

/// What a watch takes in all tables together, about: `tests/memory.rs` compares.
pub(super) fn memory_of(subject: &str) -> usize {
    2 * subject.len() + WATCH_MEMORY
}

/// What a watch takes beside its subject and the name of its end.
const WATCH_MEMORY: usize = 200;
/// Memory of the watches of one connection.
pub(super) const MAX_WATCH_BYTES_PER_PEER: usize = 16 * 1024 * 1024;
/// Watches of one end, all of which are told at once when it goes.
const MAX_WATCHERS_OF_AN_END: usize = 131_072;
/// Watches of one connection; a listener has one for each of its sockets. What is beyond goes by keep-alive.
pub(super) const MAX_WATCHES_PER_PEER: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_named_by_its_literal_tokens() {
        for (text, name) in [
            ("chat.client.a", Some("client.a chat")),
            ("x.chat.client.a", Some("client.a x.chat")),
            ("client.a", Some("client.a ")),
            ("chat.server.status", Some("server.status chat")),
            ("chat.server.s1.a", Some("server.s1 chat")),
            ("chat.server.~.a", None),
            ("chat.server.rooms.a", None),
            ("chat.b", None),
            ("chat", None),
        ] {
            assert_eq!(end_of(text, false).as_deref(), name, "{text}");
        }
        for (pattern, name) in [
            ("chat.client.a", Some("client.a chat")),
            ("*.client.a", Some("client.a *")),
            ("chat.server.status", Some("server.status chat")),
            ("chat.server.s1.*", Some("server.s1 chat")),
            ("chat.client.*", None),
            ("chat.client.>", None),
            ("chat.server.s1.a", None),
            ("chat.server.*.*", None),
            ("chat.server.s1.>", None),
            ("chat.>", None),
            (">", None),
        ] {
            assert_eq!(end_of(pattern, true).as_deref(), name, "{pattern}");
        }
    }
}
