//! The broker's state as text, for people who debug: nothing in the engine calls it, tests and tools do.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{BrokerStats, PeerId, PeerStats};
use crate::subject::Pattern;

/// Renders a table of peers and one of patterns, each cut after [`MAX_ROWS`].
pub(super) fn render(
    id: &str,
    stats: &BrokerStats,
    peers: &[(PeerId, PeerStats)],
    patterns: &BTreeMap<Pattern, usize>,
) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_tables(&mut text, id, stats, peers, patterns);
    text
}

fn write_tables(
    out: &mut String,
    id: &str,
    stats: &BrokerStats,
    peers: &[(PeerId, PeerStats)],
    patterns: &BTreeMap<Pattern, usize>,
) -> std::fmt::Result {
    let BrokerStats { connections, subscriptions, waits, slow_consumers, .. } = stats;
    writeln!(
        out,
        "broker {}: {connections} connections, {subscriptions} subscriptions, {waits} waits, {slow_consumers} slow consumers",
        clip(id)
    )?;
    writeln!(
        out,
        "{:>8} {:>6} {:>8} {:>12} {:>10} {:>10}  user",
        "peer", "subs", "waiting", "bytes", "in", "out"
    )?;
    for (id, peer) in peers.iter().take(MAX_ROWS) {
        write!(
            out,
            "{:>8} {:>6} {:>8} {:>12} {:>10} {:>10}  {}",
            id.to_string(),
            peer.subscriptions,
            peer.outbox_ops,
            peer.outbox_bytes,
            peer.published.messages,
            peer.delivered.messages,
            clip(peer.user.as_str())
        )?;
        match peer.close_reason {
            Some(reason) => writeln!(out, "  ({reason})")?,
            None => writeln!(out)?,
        }
    }
    write_rest(out, peers.len(), "peers")?;
    writeln!(out, "{:>8}  pattern", "subs")?;
    for (pattern, count) in patterns.iter().take(MAX_ROWS) {
        writeln!(out, "{count:>8}  {}", clip(pattern.as_str()))?;
    }
    write_rest(out, patterns.len(), "patterns")
}

fn write_rest(out: &mut String, total: usize, what: &str) -> std::fmt::Result {
    if total > MAX_ROWS { writeln!(out, "{:>8}  more {what}", total - MAX_ROWS) } else { Ok(()) }
}

/// Returns the beginning of an untrusted text, without what would move a terminal's cursor.
fn clip(text: &str) -> String {
    let clipped: String = text.chars().take(MAX_WIDTH).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_WIDTH).is_some() { clipped + "…" } else { clipped }
}

/// Rows of each table: more is not read by anybody.
const MAX_ROWS: usize = 1000;

/// Characters of a name or user that are shown.
const MAX_WIDTH: usize = 100;
