//! Looks for connections: filtered, sorted and cut.

use super::*;
use crate::broker::{ConnectionInfo, SortBy, Wanted};
use crate::wire::Carrier;

fn stage() -> Stage {
    let mut stage = Stage::new();
    for (n, carrier) in [(3, Carrier::Own), (1, Carrier::Conat), (2, Carrier::OwnInWebSocket)] {
        let info = ConnectionInfo {
            id: format!("id-{n}"),
            address: format!("10.0.0.{n}"),
            carrier,
            ..Default::default()
        };
        let peer = stage.broker.attach_connection(stage.now, info);
        for _ in 0..n {
            stage.publish(peer, "a", "x");
        }
    }
    stage
}

fn ids(stage: &Stage, wanted: Wanted) -> Vec<String> {
    let found = stage.broker.find_connections(stage.now, &wanted);
    found.rows.into_iter().map(|row| row.stats.name).collect()
}

#[test]
fn connections_are_sorted_before_they_are_cut() {
    let stage = stage();
    let wanted = |sort, descending| Wanted { sort, descending, limit: 9, ..Wanted::default() };
    assert_eq!(ids(&stage, wanted(SortBy::Since, false)), ["id-3", "id-1", "id-2"]);
    assert_eq!(ids(&stage, wanted(SortBy::Id, false)), ["id-1", "id-2", "id-3"]);
    assert_eq!(ids(&stage, wanted(SortBy::MessagesIn, true)), ["id-3", "id-2", "id-1"]);
    assert_eq!(ids(&stage, wanted(SortBy::Wire, false)), ["id-1", "id-3", "id-2"]);
    let page = Wanted { offset: 1, limit: 1, ..wanted(SortBy::MessagesIn, true) };
    assert_eq!(ids(&stage, page), ["id-2"]);
}

#[test]
fn a_filter_is_a_part_of_id_address_or_user() {
    let stage = stage();
    let found = |filter: &str| {
        let wanted = Wanted { filter: filter.into(), limit: 9, ..Wanted::default() };
        let found = stage.broker.find_connections(stage.now, &wanted);
        (found.total, found.matching, found.rows.len())
    };
    assert_eq!(found("0.0.2"), (3, 1, 1));
    assert_eq!(found("id-"), (3, 3, 3));
    assert_eq!(found("nobody"), (3, 0, 0));
}

#[test]
fn connections_are_counted_by_what_carries_them_and_why_they_ended() {
    let mut stage = stage();
    let wanted = Wanted { limit: 9, ..Wanted::default() };
    let peers: Vec<_> = stage.broker.peers();
    stage.broker.note_lost(peers[0], crate::broker::EndReason::Timeout);
    stage.broker.detach(stage.now, peers[0]);
    stage.broker.detach(stage.now, peers[1]);
    stage.broker.close();
    let stats = stage.broker.stats();
    assert_eq!((stats.opened, stats.ended), ([0, 1, 1, 1], [0, 1, 1, 1]));
    let by = |reason: crate::broker::EndReason| stats.ended_by[reason as usize];
    use crate::broker::EndReason::{Client, Shutdown, Timeout};
    assert_eq!((by(Timeout), by(Client), by(Shutdown)), (1, 1, 1));
    assert_eq!(stage.broker.find_connections(stage.now, &wanted).total, 0);
}

#[test]
fn a_connection_that_ends_without_a_word_was_not_closed_by_its_client() {
    use crate::broker::EndReason::{self, Client, Network};
    use crate::wire::ClientOp;
    for (carrier, leaves, why) in [
        (Carrier::Own, false, Network),
        (Carrier::Own, true, Client),
        // What is around it has said so.
        (Carrier::OwnInWebSocket, false, Client),
        (Carrier::Conat, false, Client),
    ] {
        let mut stage = Stage::new();
        let info = ConnectionInfo { carrier, ..Default::default() };
        let peer = stage.broker.attach_connection(stage.now, info);
        if leaves {
            stage.broker.handle_op(stage.now, peer, ClientOp::Leaving);
        }
        stage.broker.note_lost(peer, Client);
        stage.broker.detach(stage.now, peer);
        let ended = |reason: EndReason| stage.broker.stats().ended_by[reason as usize];
        assert_eq!((ended(why), ended(Client) + ended(Network)), (1, 1), "{carrier:?}, {leaves}");
    }
}
