//! The broker, and peers that ask for anything.

use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use selvedge::base::SeededEntropy;
use selvedge::broker::{Broker, BrokerConfig, PeerId};
use selvedge::wire::{ClientOp, Json, ServerOp};

use super::messages;

/// A whole life: outboxes stay within bounds, and who is gone leaves nothing behind.
pub fn life(data: &[u8]) {
    let config =
        BrokerConfig { max_payload: 2000, max_connections: 4, max_outbox_ops: 50, ..BrokerConfig::default() };
    let mut broker = Broker::new(config, Box::new(SeededEntropy::new(1)));
    let (mut now, mut peers) = (Instant::now(), Vec::new());
    // The end of the data is the end of the life.
    let _ = live(&mut Unstructured::new(data), &mut now, &mut broker, &mut peers);
    for peer in peers {
        broker.detach(now, peer);
    }
    now += Duration::from_secs(3600);
    broker.handle_timeout(now);
    let stats = broker.stats();
    let left = [
        stats.connections,
        stats.subscriptions,
        stats.patterns,
        stats.waits,
        stats.outbox_ops,
        broker.unfinished(),
    ];
    assert_eq!(left, [0; 6], "{stats:?}");
}

fn live(
    u: &mut Unstructured<'_>,
    now: &mut Instant,
    broker: &mut Broker,
    peers: &mut Vec<PeerId>,
) -> Result<()> {
    while !u.is_empty() {
        match u.int_in_range(0..=9)? {
            0 if peers.len() < 6 => {
                let user = Json::parse("null".into()).expect("valid");
                peers.push(broker.attach(*now, user));
            }
            1 if !peers.is_empty() && u.ratio(1, 3)? => {
                let index = u.choose_index(peers.len())?;
                broker.detach(*now, peers.swap_remove(index));
            }
            2 => {
                *now += messages::duration(u)?;
                if broker.poll_timeout().is_some_and(|at| at <= *now) {
                    broker.handle_timeout(*now);
                }
            }
            3 => drain(broker),
            _ if !peers.is_empty() => {
                let peer = peers[u.choose_index(peers.len())?];
                let op = op(u)?;
                broker.handle_op(*now, peer, op);
            }
            _ => {}
        }
        let stats = broker.stats();
        assert!(stats.outbox_ops <= 60 * peers.len() && stats.connections <= 4, "{stats:?}");
    }
    Ok(())
}

fn op(u: &mut Unstructured<'_>) -> Result<ClientOp> {
    let ack = if u.arbitrary()? { Some(messages::ack(u)?) } else { None };
    let id = ack.unwrap_or(selvedge::wire::AckId(0));
    Ok(match u.int_in_range(0..=9)? {
        0..=2 => ClientOp::Publish { ack, publication: messages::publication(u)? },
        3 => ClientOp::Request { ack: id, publication: messages::publication(u)? },
        4 | 5 => {
            let count = u.int_in_range(0..=4)?;
            let subscriptions = (0..count).map(|_| messages::subscription(u)).collect::<Result<_>>()?;
            ClientOp::Subscribe { ack, subscriptions, list: u.arbitrary()? }
        }
        6 => ClientOp::Unsubscribe {
            ack,
            patterns: vec![messages::subscription(u)?.pattern],
            list: false,
            drain: u.arbitrary()?,
        },
        7 => {
            let subject = messages::subscription(u)?.pattern;
            ClientOp::WaitForInterest { ack: id, subject, timeout: messages::duration(u)? }
        }
        8 => u
            .choose(&[
                ClientOp::InfoReceived,
                ClientOp::Subscriptions { ack: id },
                ClientOp::Cluster { ack: id },
            ])?
            .clone(),
        _ => ClientOp::Stats { messages: u.arbitrary()?, bytes: u.arbitrary()? },
    })
}

fn drain(broker: &mut Broker) {
    let mut outbox: Vec<ServerOp> = Vec::new();
    while broker.poll_discarded().is_some() {}
    for index in 0.. {
        let Some(peer) = broker.poll_woken() else { return };
        assert!(index < 100_000, "it never ends");
        broker.take_outbox(peer, &mut outbox);
        outbox.clear();
    }
}
