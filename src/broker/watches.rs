//! Ends that clients watch: who owns them, who wants to know, and what is said of them.
//!
//! A subscription *owns* an end when its pattern ends in the same literal tokens: `….client.<id>` a client
//! socket, `….server.<server>.*` a listener, `….server.status` *some listener is there*. Nothing else owns
//! anything: a tap counts as interest, and must not hide that an end is gone. Whatever does not touch an
//! owning pattern, every message included, costs nothing here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::account::Account;
use super::peer::PeerId;
use crate::base::Shares;
use crate::subject::Pattern;
use crate::wire::{Presence, PresenceChange};

/// The open watches, by the end and by the peer.
#[derive(Debug, Default)]
pub(super) struct Watches {
    ends: BTreeMap<EndName, End>,
    /// Each with the subject that was named: of a listener's end any of its sockets'.
    by_peer: HashMap<PeerId, OfPeer>,
    /// The bytes of those of all connections of a user.
    by_account: Shares<Account>,
}

#[derive(Debug, Default)]
struct OfPeer {
    subjects: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    /// Who pays for them.
    account: Option<Account>,
}

/// The two literal tokens, a space, and what stands before them, so that the ends which one pattern with
/// wildcards can own stand side by side. No subject has a space.
type EndName = String;

#[derive(Debug, Default)]
struct End {
    /// One for each subscription that owns it.
    owners: Vec<PeerId>,
    /// In order.
    watchers: Vec<(PeerId, u64)>,
}

/// What watchers are to be told.
#[derive(Debug, Default)]
pub(super) struct Notices(BTreeMap<PeerId, Vec<PresenceChange>>);

impl Watches {
    /// Begins a watch, whose id is new. `owners` finds the peers that own an end by a pattern that matches
    /// the subject. Returns the number of owners, or `None` if this is no end, or one too many to watch.
    pub(super) fn begin(
        &mut self,
        (peer, account): (PeerId, Account),
        id: u64,
        subject: &Arc<str>,
        owners: impl FnOnce() -> Vec<PeerId>,
    ) -> Option<&[PeerId]> {
        let name = end_of(subject, false)?;
        let cost = cost(subject);
        let of_user = self.by_account.of(&account) + cost;
        let of_all = self.by_account.total() + cost;
        let has_room = of_user <= MAX_WATCH_BYTES_PER_USER
            && (of_all <= MAX_WATCH_BYTES || of_user <= WATCH_BYTES_OF_EACH);
        let of_peer = self.by_peer.entry(peer).or_default();
        if !has_room
            || of_peer.subjects.len() >= MAX_WATCHES_PER_PEER
            || of_peer.bytes + cost > MAX_WATCH_BYTES_PER_PEER
            || of_peer.subjects.contains_key(&id)
        {
            if of_peer.subjects.is_empty() {
                self.by_peer.remove(&peer);
            }
            return None;
        }
        let account = *of_peer.account.get_or_insert(account);
        of_peer.subjects.insert(id, subject.clone());
        of_peer.bytes += cost;
        self.by_account.add(account, cost);
        let new = || End { owners: owners(), watchers: Vec::with_capacity(1) };
        let end = self.ends.entry(name).or_insert_with(new);
        let at = end.watchers.partition_point(|watcher| *watcher < (peer, id));
        end.watchers.insert(at, (peer, id));
        Some(&end.owners)
    }

    /// Ends a watch.
    pub(super) fn end(&mut self, peer: PeerId, id: u64) {
        let Some(of_peer) = self.by_peer.get_mut(&peer) else { return };
        let Some(subject) = of_peer.subjects.remove(&id) else { return };
        of_peer.bytes -= cost(&subject);
        if let Some(account) = of_peer.account {
            self.by_account.subtract(account, cost(&subject));
        }
        if of_peer.subjects.is_empty() {
            self.by_peer.remove(&peer);
        }
        self.forget_watcher(&subject, (peer, id));
    }

    /// Ends all watches of a peer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        let Some(OfPeer { subjects, bytes, account }) = self.by_peer.remove(&peer) else { return };
        if let Some(account) = account {
            self.by_account.subtract(account, bytes);
        }
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
                end.watchers.iter().for_each(|watcher| notices.add(*watcher, here));
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
                end.watchers.iter().for_each(|watcher| notices.add(*watcher, why));
            }
        });
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
        if let Ok(at) = end.watchers.binary_search(&watcher) {
            end.watchers.remove(at);
        }
        if end.watchers.is_empty() {
            self.ends.remove(&name);
        }
    }
}

impl Notices {
    fn add(&mut self, (peer, id): (PeerId, u64), presence: Presence) {
        self.0.entry(peer).or_default().push(PresenceChange { id, presence, crowd: 1 });
    }

    /// Returns the changes for each watcher, in the order in which they came; those that tell of an end with
    /// the number of watches that were told of it.
    pub(super) fn into_changes(self) -> impl Iterator<Item = (PeerId, Vec<PresenceChange>)> {
        let count = self.0.values().map(Vec::len).sum::<usize>() as u64;
        self.0.into_iter().map(move |(peer, mut changes)| {
            let ended = changes.iter_mut().filter(|change| change.presence.is_end());
            ended.for_each(|change| change.crowd = count);
            (peer, changes)
        })
    }
}

/// Returns whether a subscription to `pattern` owns the end that `subject`, which it matches, belongs to.
pub(super) fn is_owner(pattern: &Pattern, subject: &str) -> bool {
    let key = |name: &str| name.split_once(' ').map(|(key, _)| key.to_owned());
    let owned = end_of(pattern.as_str(), true).and_then(|name| key(&name));
    owned.is_some() && owned == end_of(subject, false).and_then(|name| key(&name))
}

/// Returns whether a subscription to `pattern` owns an end of sockets.
pub(super) fn is_end(pattern: &Pattern) -> bool {
    end_of(pattern.as_str(), true).is_some()
}

/// Returns the name of the end that a subject is of, or that a pattern owns.
fn end_of(text: &str, is_pattern: bool) -> Option<String> {
    let mut tokens = text.rsplitn(4, '.');
    let (last, before) = (tokens.next()?, tokens.next()?);
    if before == "client" || (before == "server" && last == "status") {
        let prefix = text.len().checked_sub(before.len() + last.len() + 2).map_or("", |end| &text[..end]);
        let is_literal = !is_pattern || !matches!(last, "*" | ">");
        return is_literal.then(|| format!("{before}.{last} {prefix}"));
    }
    let is_server = tokens.next() == Some("server") && !matches!(before, "~" | "status" | "rooms");
    let is_literal = !is_pattern || (last == "*" && before != "*");
    (is_server && is_literal).then(|| {
        let prefix = tokens.next().unwrap_or_default();
        format!("server.{before} {prefix}")
    })
}

/// What a watch takes, about: the subject, the name of its end, and its places in the tables.
fn cost(subject: &str) -> usize {
    2 * subject.len() + WATCH_COST
}

/// Bytes of a watch beside its subject.
const WATCH_COST: usize = 200;
/// Bytes of the watches of one connection.
pub(super) const MAX_WATCH_BYTES_PER_PEER: usize = 16 * 1024 * 1024;
/// Of all connections of one user.
const MAX_WATCH_BYTES_PER_USER: usize = 64 * 1024 * 1024;
/// Of all users.
const MAX_WATCH_BYTES: usize = 512 * 1024 * 1024;
/// What each user may have even then.
const WATCH_BYTES_OF_EACH: usize = 1024 * 1024;
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
