//! Looks for patterns and sockets among the subscriptions of all connections: filters, sorts and cuts, as
//! [`super::connection_list`] does. What would let a reader receive the answers of others is not told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::peer::Peer;
use super::socket_reports::Told;
use crate::subject::Pattern;
use crate::wire::{SocketCounts, SocketEndName, SocketStateName};

/// Which patterns, or which sockets, are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedPatterns {
    /// A part of the pattern; of a socket's subject, id or connection.
    pub filter: String,
    /// Only patterns that match this subject; only sockets on it.
    pub subject: Option<String>,
    /// So many of them are passed over.
    pub offset: usize,
    /// At most so many are returned.
    pub limit: usize,
}

/// Some of what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRows<Row> {
    /// How many there are.
    pub total: usize,
    /// How many of them are wanted.
    pub matching: usize,
    /// Some of these.
    pub rows: Vec<Row>,
}

/// One pattern, or all inboxes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternRow {
    /// Its text; of inboxes the first token.
    pub pattern: String,
    /// How many subscribe to it.
    pub subscriptions: usize,
    /// Their queue groups, the first of them by name.
    pub queues: Vec<String>,
}

/// One socket, as its client's subscription tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketRow {
    /// What it is connected to.
    pub subject: String,
    /// Its id.
    pub id: String,
    /// The connection of its client.
    pub connection: String,
    /// How many listen on its subject.
    pub listeners: usize,
    /// What its client tells of it.
    pub client: Option<SocketEnd>,
    /// What its server tells of it, and the connection of that.
    pub server: Option<(String, SocketEnd)>,
}

/// What one end of a socket has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketEnd {
    /// Its state.
    pub state: SocketStateName,
    /// Its counters and its window.
    pub counts: SocketCounts,
}

impl From<&Told> for SocketEnd {
    fn from(told: &Told) -> Self {
        Self { state: told.state, counts: told.counts }
    }
}

pub(super) fn find_patterns<'a>(
    peers: impl Iterator<Item = &'a Peer>,
    wanted: &WantedPatterns,
) -> FoundRows<PatternRow> {
    let mut found: BTreeMap<&str, (usize, BTreeSet<&str>, bool)> = BTreeMap::new();
    for (pattern, queue) in peers.filter(|peer| !peer.is_internal).flat_map(|peer| &peer.subscriptions) {
        let is_match = wanted.subject.as_deref().is_none_or(|subject| pattern.matches(subject));
        let row = found.entry(shown(pattern)).or_default();
        row.0 += 1;
        row.2 |= is_match && shown(pattern).contains(&wanted.filter);
        if row.1.len() < MAX_QUEUES && !queue.is_empty() && !is_own_queue(queue) {
            row.1.insert(queue);
        }
    }
    let total = found.len();
    let mut chosen: Vec<_> = found.into_iter().filter(|(_, (_, _, is_wanted))| *is_wanted).collect();
    // The sort is stable: what is equal stays in the order of its name.
    chosen.sort_by_key(|(_, (count, _, _))| Reverse(*count));
    let row = |(pattern, (subscriptions, queues, _)): (&str, (usize, BTreeSet<&str>, bool))| PatternRow {
        pattern: pattern.to_owned(),
        subscriptions,
        queues: queues.into_iter().map(str::to_owned).collect(),
    };
    cut(total, chosen, wanted, row)
}

pub(super) fn find_sockets<'a>(
    peers: impl Iterator<Item = &'a Peer>,
    wanted: &WantedPatterns,
) -> FoundRows<SocketRow> {
    let (mut listeners, mut found) = (BTreeMap::<&str, usize>::new(), Vec::new());
    let mut total = 0;
    let peers: Vec<&Peer> = peers.filter(|peer| !peer.is_internal).collect();
    for peer in &peers {
        for pattern in peer.subscriptions.keys() {
            if let Some((subject, id)) = socket_of(pattern.as_str()) {
                total += 1;
                if is_wanted([subject, id, &peer.name], wanted) {
                    found.push((subject, id, &peer.name, *peer));
                }
            } else if let Some(subject) = listener_of(pattern.as_str()) {
                *listeners.entry(subject).or_default() += 1;
            }
        }
    }
    found.sort_unstable_by_key(|(subject, id, connection, _)| (*subject, *id, *connection));
    let wide: Vec<_> = listeners.iter().filter(|(name, _)| name.contains('*')).collect();
    let beyond = |subject: &str| -> usize {
        wide.iter().filter(|(name, _)| reaches(name, subject)).map(|(_, count)| **count).sum()
    };
    let mut page = cut(total, found, wanted, |(subject, id, connection, peer)| SocketRow {
        subject: subject.to_owned(),
        id: id.to_owned(),
        connection: connection.clone(),
        listeners: listeners.get(subject).copied().unwrap_or(0) + beyond(subject),
        client: told(peer, SocketEndName::Client, id, subject),
        server: None,
    });
    add_servers(&mut page.rows, &peers);
    page
}

fn told(peer: &Peer, end: SocketEndName, id: &str, subject: &str) -> Option<SocketEnd> {
    let told = peer.reports.as_ref()?.get(end, id)?;
    (*told.subject == *subject).then(|| told.into())
}

/// Adds what servers tell of these sockets: those alone that listen on their subjects.
fn add_servers(rows: &mut [SocketRow], peers: &[&Peer]) {
    let places: HashMap<String, usize> =
        rows.iter().enumerate().map(|(place, row)| (row.id.clone(), place)).collect();
    for peer in peers {
        let Some(reports) = &peer.reports else { continue };
        for (id, told) in reports.servers() {
            let Some(row) = places.get(id).and_then(|&place| rows.get_mut(place)) else { continue };
            if *told.subject == *row.subject && listens_on(peer, &row.subject) {
                row.server = Some((peer.name.clone(), told.into()));
            }
        }
    }
}

fn listens_on(peer: &Peer, subject: &str) -> bool {
    let own = peer.subscriptions.keys().filter_map(|pattern| listener_of(pattern.as_str()));
    own.into_iter().any(|name| reaches(name, subject))
}

/// Returns whether whoever listens on `name` listens on `subject`.
fn reaches(name: &str, subject: &str) -> bool {
    name == subject || (name.contains('*') && Pattern::parse(name).is_ok_and(|one| one.matches(subject)))
}

/// Returns the patterns of one connection with their queue groups, in order.
pub(super) fn patterns_of(peer: &Peer) -> Vec<(String, String)> {
    let all = peer.subscriptions.iter().take(MAX_PATTERNS);
    all.map(|(pattern, queue)| {
        let queue = if is_own_queue(queue) { String::new() } else { queue.to_string() };
        (shown(pattern).to_owned(), queue)
    })
    .collect()
}

fn cut<Item, Row>(
    total: usize,
    chosen: Vec<Item>,
    wanted: &WantedPatterns,
    row: impl FnMut(Item) -> Row,
) -> FoundRows<Row> {
    let matching = chosen.len();
    let rows = chosen.into_iter().skip(wanted.offset).take(wanted.limit.min(MAX_ROWS)).map(row).collect();
    FoundRows { total, matching, rows }
}

/// Returns a pattern as strangers may see it: whoever knows an inbox can read what comes to it.
fn shown(pattern: &Pattern) -> &str {
    let text = pattern.as_str();
    if text.starts_with("_INBOX") { text.split('.').next().unwrap_or(text) } else { text }
}

/// A queue that a client has chosen at random, so as to be alone in it: it groups nobody.
fn is_own_queue(queue: &str) -> bool {
    queue.len() >= 32 && queue.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn is_wanted(texts: [&str; 3], wanted: &WantedPatterns) -> bool {
    wanted.subject.as_deref().is_none_or(|only| only == texts[0])
        && texts.iter().any(|text| text.contains(&wanted.filter))
}

/// Returns the subject and the id of the socket whose client subscribes to this.
fn socket_of(pattern: &str) -> Option<(&str, &str)> {
    let (front, id) = pattern.rsplit_once('.')?;
    let subject = front.strip_suffix(".client")?;
    (!matches!(id, "*" | ">")).then_some((subject, id))
}

/// Returns the subject on which whoever subscribes to this listens.
fn listener_of(pattern: &str) -> Option<&str> {
    let front = pattern.strip_suffix(".*")?;
    let (front, server) = front.rsplit_once('.')?;
    let subject = front.strip_suffix(".server")?;
    (!matches!(server, "*" | "~" | "rooms")).then_some(subject)
}

/// Rows that are returned at most.
const MAX_ROWS: usize = 500;
/// Queue groups of one pattern that are told.
const MAX_QUEUES: usize = 10;
/// Patterns of one connection that are told.
const MAX_PATTERNS: usize = 1000;
