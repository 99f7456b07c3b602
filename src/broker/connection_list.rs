//! Looks for connections: filters, sorts and cuts a list that may be long, so that nobody gets all of it.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::PeerStats;
use super::peer::Peer;
use crate::wire::Carrier;

/// Which connections are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By what they are sorted; by age where it is nothing else.
    pub sort: SortBy,
    /// Largest first.
    pub descending: bool,
    /// A part of the id, the address or the user.
    pub filter: String,
    /// How many of them to skip.
    pub offset: usize,
    /// At most so many are returned.
    pub limit: usize,
}

/// What connections are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// When it signed in.
    #[default]
    Since,
    /// Its id.
    Id,
    /// Its user.
    User,
    /// Its address.
    Address,
    /// What carries it.
    Wire,
    /// How many subscriptions it has.
    Subscriptions,
    /// Messages that it published.
    MessagesIn,
    /// Messages that were handed to it.
    MessagesOut,
    /// Their bytes.
    BytesIn,
    /// Their bytes.
    BytesOut,
    /// Bytes that wait for it.
    Outbox,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How many connections there are.
    pub total: usize,
    /// How many of them the filter lets through.
    pub matching: usize,
    /// Some of these.
    pub rows: Vec<FoundPeer>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPeer {
    /// Its numbers.
    pub stats: PeerStats,
    /// What carries it.
    pub carrier: Carrier,
    /// How long ago it signed in.
    pub age: Duration,
}

pub(super) fn find<'a>(peers: impl Iterator<Item = &'a Peer>, now: Instant, wanted: &Wanted) -> Found {
    let open = peers.filter(|peer| is_open(peer));
    let (mut total, mut chosen) = (0, Vec::new());
    for peer in open {
        total += 1;
        if is_wanted(peer, &wanted.filter) {
            chosen.push(peer);
        }
    }
    sort(&mut chosen, wanted);
    let matching = chosen.len();
    let chosen = chosen.into_iter().skip(wanted.offset).take(wanted.limit.min(MAX_ROWS));
    let rows = chosen.map(|peer| found(peer, now)).collect();
    Found { total, matching, rows }
}

/// Whether it is one that is shown: signed in, and not about to be closed.
pub(super) fn is_open(peer: &Peer) -> bool {
    !peer.is_internal && peer.is_signed_in && peer.close.is_none()
}

pub(super) fn found(peer: &Peer, now: Instant) -> FoundPeer {
    FoundPeer {
        stats: peer.stats(),
        carrier: peer.carrier,
        age: peer.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
    }
}

fn is_wanted(peer: &Peer, filter: &str) -> bool {
    filter.is_empty()
        || [&*peer.name, &*peer.address, peer.user.as_str()].iter().any(|text| text.contains(filter))
}

fn sort(peers: &mut [&Peer], wanted: &Wanted) {
    match wanted.sort {
        SortBy::Since => by(peers, wanted, |peer| peer.id.serial),
        SortBy::Id => by(peers, wanted, |peer| peer.name.clone()),
        SortBy::User => by(peers, wanted, |peer| peer.user.as_str().to_owned()),
        SortBy::Address => by(peers, wanted, |peer| peer.address.clone()),
        SortBy::Wire => by(peers, wanted, |peer| peer.carrier.name()),
        SortBy::Subscriptions => by(peers, wanted, |peer| peer.subscriptions.len()),
        SortBy::MessagesIn => by(peers, wanted, |peer| peer.published.messages),
        SortBy::MessagesOut => by(peers, wanted, |peer| peer.delivered.messages),
        SortBy::BytesIn => by(peers, wanted, |peer| peer.published.bytes),
        SortBy::BytesOut => by(peers, wanted, |peer| peer.delivered.bytes),
        SortBy::Outbox => by(peers, wanted, |peer| peer.outbox.bytes()),
    }
}

fn by<Key: Ord>(peers: &mut [&Peer], wanted: &Wanted, key: impl Fn(&Peer) -> Key) {
    if wanted.descending {
        peers.sort_by_cached_key(|peer| Reverse(key(peer)));
    } else {
        peers.sort_by_cached_key(|peer| key(peer));
    }
}

/// Connections that are returned at most.
const MAX_ROWS: usize = 500;
