//! Queries about a broker that are answered at once: JSON both ways (`docs/internals/boundary.md`,
//! "Queries").

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::broker::{
    Broker, BrokerStats, EndReason, Found, FoundPeer, FoundRows, JournalEntry, LimitChanges, PeerStats,
    RefusedFor, RefusedOp, SocketEnd, SortBy, Unwanted, UpstreamStats, Volume, Wanted, WantedPatterns,
};
use crate::runtime::{Acceptor, BrokerHandle};
use crate::subject::Subject;
use crate::transport::TurnedAwayFor;
use crate::wire::Carrier;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
enum Query {
    /// The broker's numbers.
    Totals,
    /// Those that only metrics show, by name.
    Metrics,
    /// Every connection that is signed in or about to be.
    Connections,
    /// Some connections, sorted.
    Find {
        sort: String,
        descending: bool,
        filter: String,
        offset: usize,
        limit: usize,
    },
    /// One connection, with its patterns.
    Connection {
        id: String,
    },
    /// Some patterns, with the number of their subscriptions.
    FindPatterns(Listed),
    /// Some sockets.
    FindSockets(Listed),
    /// What has happened since the last time.
    Journal,
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
    ChangeLimits {
        limits: Limits,
    },
    /// A drain has begun, in this process first.
    Leave,
    NoteAction {
        action: String,
        text: String,
    },
}

/// Absent: unchanged.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    max_connections: Option<usize>,
    max_connections_per_user: Option<usize>,
    max_subscriptions_per_client: Option<usize>,
    max_subscriptions_per_hub: Option<usize>,
    max_memory_bytes: Option<usize>,
    max_memory_bytes_per_user: Option<usize>,
    max_memory_bytes_per_connection: Option<usize>,
}

impl From<Limits> for LimitChanges {
    fn from(limits: Limits) -> Self {
        Self {
            max_connections: limits.max_connections,
            max_connections_per_user: limits.max_connections_per_user,
            max_subscriptions_per_client: limits.max_subscriptions_per_client,
            max_subscriptions_per_hub: limits.max_subscriptions_per_hub,
            max_memory_bytes: limits.max_memory_bytes,
            max_memory_bytes_per_user: limits.max_memory_bytes_per_user,
            max_memory_bytes_per_connection: limits.max_memory_bytes_per_connection,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Listed {
    filter: String,
    subject: Option<String>,
    offset: usize,
    limit: usize,
}

impl From<Listed> for WantedPatterns {
    fn from(Listed { filter, subject, offset, limit }: Listed) -> Self {
        Self { filter, subject, offset, limit }
    }
}

/// Returns the answer to a query. `lib` writes the queries: an unknown one is a bug, and answered with
/// `null`.
pub fn answer(broker: &BrokerHandle, acceptor: &Acceptor, query: &str) -> String {
    let Ok(query) = serde_json::from_str::<Query>(query) else { return "null".to_owned() };
    if let Query::Totals = query {
        let upstream = broker.with(|machine, _| machine.upstream_stats());
        return totals(&broker.stats(), upstream).to_string();
    }
    if let Query::Metrics = query {
        return metrics(&broker.stats(), acceptor).to_string();
    }
    broker.with(|machine, now| look(machine, now, query))
}

fn look(machine: &mut Broker, now: Instant, query: Query) -> String {
    let value = match query {
        // Answered before.
        Query::Totals | Query::Metrics => Value::Null,
        Query::Connections => return connections(machine),
        Query::Find { sort, descending, filter, offset, limit } => {
            let wanted = Wanted { sort: sort_by(&sort), descending, filter, offset, limit };
            return found(machine.find_connections(now, &wanted));
        }
        Query::Connection { id } => {
            let Some((peer, patterns)) = machine.find_connection(now, &id) else { return "null".to_owned() };
            return format!(r#"{{"row":{},"patterns":{}}}"#, found_peer(&peer), json!(patterns));
        }
        Query::FindPatterns(listed) => rows(
            machine.find_patterns(&listed.into()),
            |row| json!({ "pattern": row.pattern, "subscriptions": row.subscriptions, "queues": row.queues }),
        ),
        Query::FindSockets(listed) => rows(machine.find_sockets(&listed.into()), |row| {
            json!({
                "subject": row.subject,
                "id": row.id,
                "connection": row.connection,
                "listeners": row.listeners,
                "client": row.client.as_ref().map(socket_end),
                "server": row.server.as_ref().map(|(connection, end)| {
                    let mut told = socket_end(end);
                    told["connection"] = connection.as_str().into();
                    told
                }),
            })
        }),
        Query::Journal => machine.take_journal().iter().map(journal_entry).collect(),
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
        Query::Leave => {
            machine.leave(now);
            true.into()
        }
        Query::NoteAction { action, text } => {
            machine.note_action(&action, &text);
            true.into()
        }
        Query::ChangeLimits { limits } => {
            machine.change_limits(&limits.into());
            true.into()
        }
    };
    value.to_string()
}

fn totals(stats: &BrokerStats, upstream: Option<UpstreamStats>) -> Value {
    let mut totals = json!({
        "connections": stats.connections,
        "subscriptions": stats.subscriptions,
        "patterns": stats.patterns,
        "waits": stats.waits,
        "outbox": { "messages": stats.outbox_ops, "bytes": stats.outbox_bytes },
        "memoryBytes": stats.memory_bytes,
        "published": volume(stats.published),
        "delivered": volume(stats.delivered),
        "publishesRefused": stats.publishes_refused,
        "connectionsRefused": stats.connections_refused,
        "slowConsumers": stats.slow_consumers,
    });
    if let Some(upstream) = upstream {
        totals["upstream"] = json!({
            "ready": upstream.is_ready,
            "overdue": upstream.is_overdue,
            "patterns": upstream.patterns,
            "members": upstream.members,
            "sent": volume(upstream.sent),
            "received": volume(upstream.received),
            "lost": upstream.lost,
            "held": upstream.held,
        });
    }
    totals
}

fn metrics(stats: &BrokerStats, acceptor: &Acceptor) -> Value {
    let by_name = |counts: &mut dyn Iterator<Item = (&'static str, u64)>| -> Value {
        counts.map(|(name, count)| (name.to_owned(), Value::from(count))).collect()
    };
    let carriers = || Carrier::ALL.iter().map(|carrier| (carrier.name(), *carrier as usize));
    let turned_away = TurnedAwayFor::ALL.iter().map(|why| (why.name(), acceptor.turned_away().get(*why)));
    let unwanted = Unwanted::ALL.iter().map(|why| (why.name(), stats.refused_by[*why as usize]));
    let refused_ops = RefusedOp::ALL.iter().map(|op| {
        let of_op = &stats.refused_ops[*op as usize];
        let mut counts = RefusedFor::ALL.iter().map(|why| (why.name(), of_op[*why as usize]));
        (op.name().to_owned(), by_name(&mut counts))
    });
    json!({
        "handshakes": acceptor.handshakes(),
        "open": by_name(&mut carriers().map(|(name, at)| (name, stats.opened[at] - stats.ended[at]))),
        "opened": by_name(&mut carriers().map(|(name, at)| (name, stats.opened[at]))),
        "closed": by_name(&mut EndReason::ALL.iter().map(|why| (why.name(), stats.ended_by[*why as usize]))),
        "refused": by_name(&mut unwanted.chain(turned_away)),
        "refusedOperations": Value::Object(refused_ops.collect()),
        "unheard": stats.unheard,
        "memory": {
            "patterns": stats.pattern_bytes,
            "chunks": stats.chunk_bytes,
            "waits": stats.wait_bytes,
        },
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
    with_user(&json, stats)
}

fn sort_by(name: &str) -> SortBy {
    match name {
        "id" => SortBy::Id,
        "user" => SortBy::User,
        "address" => SortBy::Address,
        "wire" => SortBy::Wire,
        "subscriptions" => SortBy::Subscriptions,
        "msgsIn" => SortBy::MessagesIn,
        "msgsOut" => SortBy::MessagesOut,
        "bytesIn" => SortBy::BytesIn,
        "bytesOut" => SortBy::BytesOut,
        "outbox" => SortBy::Outbox,
        _ => SortBy::Since,
    }
}

fn found(Found { total, matching, rows }: Found) -> String {
    let rows: Vec<_> = rows.iter().map(found_peer).collect();
    format!(r#"{{"total":{total},"matching":{matching},"rows":[{}]}}"#, rows.join(","))
}

fn rows<Row>(FoundRows { total, matching, rows }: FoundRows<Row>, row: impl Fn(Row) -> Value) -> Value {
    let rows: Vec<Value> = rows.into_iter().map(row).collect();
    json!({ "total": total, "matching": matching, "rows": rows })
}

fn socket_end(SocketEnd { state, counts }: &SocketEnd) -> Value {
    json!({
        "state": state,
        "sent": counts.sent,
        "received": counts.received,
        "pending": counts.pending,
        "pendingBytes": counts.pending_bytes,
        "resent": counts.resent,
    })
}

fn journal_entry(entry: &JournalEntry) -> Value {
    let JournalEntry { number, kind, id, address, carrier, code, text } = entry;
    json!({
        "number": number,
        "kind": kind.name(),
        "id": id,
        "address": address,
        "wire": carrier.name(),
        "code": code,
        "text": text,
    })
}

fn found_peer(FoundPeer { stats, carrier, age }: &FoundPeer) -> String {
    let json = json!({
        "id": stats.name,
        "address": stats.address,
        "wire": carrier.name(),
        "age": u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        "subscriptions": stats.subscriptions,
        "msgsIn": stats.published.messages,
        "msgsOut": stats.delivered.messages,
        "bytesIn": stats.published.bytes,
        "bytesOut": stats.delivered.bytes,
        "outbox": stats.outbox_bytes,
    });
    with_user(&json, stats)
}

/// With the user as its text: not all that JavaScript has in a user is a value here.
fn with_user(json: &Value, stats: &PeerStats) -> String {
    let user = stats.user.as_str();
    json.to_string().replacen('{', &format!("{{\"user\":{user},"), 1)
}

fn volume(volume: Volume) -> Value {
    json!({ "messages": volume.messages, "bytes": volume.bytes })
}
