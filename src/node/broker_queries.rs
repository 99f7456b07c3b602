//! Queries about a broker that are answered at once: JSON both ways (`docs/internals/boundary.md`,
//! "Queries").

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::broker::{Broker, BrokerStats, PeerStats, Volume};
use crate::runtime::BrokerHandle;
use crate::subject::Subject;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
enum Query {
    /// The broker's numbers.
    Totals,
    /// Every connection that is signed in or about to be.
    Connections,
    /// The number of connections of each user.
    Usage,
    /// Every pattern, with the number of its subscriptions.
    Patterns,
    /// The patterns that a subject matches.
    Matches {
        subject: String,
    },
    /// Whether there is a subscriber other than a tap.
    HasMatch {
        subject: String,
    },
    Disconnect {
        ids: BTreeSet<String>,
    },
    /// Absent: all.
    Revalidate {
        ids: Option<BTreeSet<String>>,
    },
}

/// Returns the answer to a query. `lib` writes the queries: an unknown one is a bug, and answered with
/// `null`.
pub fn answer(broker: &BrokerHandle, query: &str) -> String {
    let Ok(query) = serde_json::from_str::<Query>(query) else { return "null".to_owned() };
    if let Query::Totals = query {
        return totals(&broker.stats()).to_string();
    }
    broker.with(|machine, now| look(machine, now, query))
}

fn look(machine: &mut Broker, now: Instant, query: Query) -> String {
    let value = match query {
        Query::Totals => totals(&machine.stats()),
        Query::Connections => return connections(machine),
        Query::Usage => {
            let by_user: Map<_, _> = machine
                .connections_by_user()
                .into_iter()
                .map(|(user, count)| (user, Value::from(count)))
                .collect();
            json!({ "total": machine.connections(), "perUser": by_user })
        }
        Query::Patterns => {
            let patterns = machine.patterns().into_iter();
            patterns.map(|(pattern, count)| (pattern.to_string(), Value::from(count))).collect()
        }
        Query::Matches { subject } => {
            let patterns = machine.patterns().into_keys().filter(|pattern| pattern.matches(&subject));
            patterns.map(|pattern| Value::from(pattern.to_string())).collect()
        }
        Query::HasMatch { subject } => {
            Subject::parse(&subject).is_ok_and(|subject| machine.has_interest(&subject)).into()
        }
        Query::Disconnect { ids } => machine.disconnect(&ids).into(),
        Query::Revalidate { ids } => machine.revalidate(now, ids.as_ref()).into(),
    };
    value.to_string()
}

fn totals(stats: &BrokerStats) -> Value {
    json!({
        "connections": stats.connections,
        "subscriptions": stats.subscriptions,
        "patterns": stats.patterns,
        "waits": stats.waits,
        "outbox": { "messages": stats.outbox_ops, "bytes": stats.outbox_bytes },
        "published": volume(stats.published),
        "delivered": volume(stats.delivered),
        "publishesRefused": stats.publishes_refused,
        "connectionsRefused": stats.connections_refused,
        "slowConsumers": stats.slow_consumers,
    })
}

fn connections(machine: &Broker) -> String {
    let peers = machine.peers().into_iter().filter_map(|peer| Some((peer, machine.peer_stats(peer)?)));
    let open = peers.filter(|(_, stats)| stats.close_reason.is_none());
    let all: Vec<_> = open.map(|(peer, stats)| connection(&stats, machine.patterns_of(peer))).collect();
    format!("[{}]", all.join(","))
}

fn connection(stats: &PeerStats, patterns: Vec<String>) -> String {
    let json = json!({
        "id": stats.name,
        "address": stats.address,
        "subscriptions": patterns,
        "recv": volume(stats.published),
        "send": volume(stats.delivered),
    });
    // As its text: not all that JavaScript has in a user is a value here.
    let user = stats.user.as_str();
    json.to_string().replacen('{', &format!("{{\"user\":{user},"), 1)
}

fn volume(volume: Volume) -> Value {
    json!({ "messages": volume.messages, "bytes": volume.bytes })
}
