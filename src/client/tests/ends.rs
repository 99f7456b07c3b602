//! Subscriptions that end in order, and patterns that one client has to itself.

use super::*;
use crate::wire::Claim;

impl Stage {
    fn deliver(&mut self, pattern: &str, id: &str, seq: u32, done: bool, text: &'static str) {
        let publication = Publication::chunk(
            id.into(),
            seq,
            done,
            Message {
                subject: Subject::parse("tap").expect("valid"),
                payload: Payload::msgpack(text),
                headers: Headers::default(),
            },
        );
        let pattern = Pattern::parse(pattern).expect("valid");
        self.client.handle_op(self.now, ServerOp::Deliver { pattern, publication });
    }

    /// Begins the drain of the tap.
    fn drain(&mut self, token: u32) -> AckId {
        self.client.drain(token);
        let ops = self.ops();
        let [ClientOp::Unsubscribe { ack: Some(ack), patterns, drain: true, .. }] = ops.as_slice() else {
            panic!("no drain: {ops:?}")
        };
        assert_eq!(&*patterns[0], "tap");
        *ack
    }

    fn drained(&mut self, id: AckId) {
        self.client.handle_op(self.now, ServerOp::Ack { id, reply: Reply::Unsubscribed { count: 1 } });
    }

    /// What came, as token and text; a drain that is over is a token alone.
    fn came(&mut self) -> Vec<(u32, String)> {
        let text = |event| match event {
            ClientEvent::Delivered { token, message } => {
                (token, String::from_utf8_lossy(&message.payload.raw).into_owned())
            }
            ClientEvent::Drained(token) => (token, String::new()),
            other => panic!("{other:?}"),
        };
        self.news().into_iter().map(text).collect()
    }
}

#[test]
fn a_subscription_that_drains_takes_what_comes_until_the_answer() {
    let mut stage = Stage::ready();
    let ack = stage.drain(TAP);
    assert!(!stage.client.patterns().any(|pattern| pattern.as_str() == "tap"), "it is not wanted any more");
    stage.deliver("tap", "m", 0, false, "lo");
    stage.deliver("tap", "1", 0, true, "one");
    stage.deliver("tap", "m", 1, true, "ng");
    stage.drained(ack);
    stage.deliver("tap", "2", 0, true, "late");
    let came = [(TAP, "one"), (TAP, "long"), (TAP, "")].map(|(token, text)| (token, text.to_owned()));
    assert_eq!(stage.came(), came);
    assert_eq!(stage.client.usage().partial_bytes, 0);
}

#[test]
fn who_subscribes_again_meanwhile_gets_what_comes_behind_its_own_confirmation() {
    const AGAIN: u32 = 5;
    let mut stage = Stage::ready();
    let ack = stage.drain(TAP);
    stage.deliver("tap", "m", 0, false, "be");
    stage.subscribe(AGAIN, "tap");
    let ops = stage.ops();
    let [ClientOp::Subscribe { ack: Some(again), .. }] = ops.as_slice() else { panic!("{ops:?}") };
    stage.deliver("tap", "1", 0, true, "old");
    stage.added(*again, 1);
    stage.deliver("tap", "2", 0, true, "new");
    stage.deliver("tap", "m", 1, true, "gun");
    stage.drained(ack);
    let came = [(TAP, "old"), (AGAIN, "new"), (TAP, "begun"), (TAP, "")];
    assert_eq!(stage.came(), came.map(|(token, text)| (token, text.to_owned())));
}

#[test]
fn a_drain_ends_with_the_connection_and_at_once_where_there_is_none_or_others_share_the_pattern() {
    let mut stage = Stage::ready();
    stage.drain(TAP);
    stage.lose();
    assert_eq!(stage.came(), [(TAP, String::new())]);
    stage.client.drain(NEWS);
    assert_eq!((stage.came(), stage.ops()), (vec![(NEWS, String::new())], vec![]), "nobody is there");
    let mut stage = Stage::ready();
    stage.subscribe(SYNC, "tap");
    stage.client.drain(TAP);
    assert_eq!((stage.came(), stage.ops()), (vec![(TAP, String::new())], vec![]), "another one stays");
}

#[test]
fn who_has_a_pattern_to_itself_comes_back_with_its_token_and_ends_when_a_newer_one_has_it() {
    const MINE: u32 = 6;
    let mut stage = Stage::ready();
    let mine = || Pattern::parse("s.server.main.*").expect("valid");
    stage.client.subscribe(stage.now, MINE, mine(), SubscriptionKind::Exclusive);
    let ops = stage.ops();
    let [ClientOp::Subscribe { ack: Some(ack), subscriptions, .. }] = ops.as_slice() else {
        panic!("{ops:?}")
    };
    assert_eq!(subscriptions[0].exclusive, Some(Claim::Fresh));
    let reply = Reply::Subscribed(vec![Ok(SubscribeStatus::Exclusive(7))]);
    stage.client.handle_op(stage.now, ServerOp::Ack { id: *ack, reply });
    stage.lose();
    stage.greet();
    let Some(ClientOp::Subscribe { ack: Some(id), subscriptions, .. }) = stage.ops().pop() else { panic!() };
    let at =
        subscriptions.iter().position(|one| one.exclusive == Some(Claim::Returning(7))).expect("its own");
    assert_eq!(subscriptions.iter().filter(|one| one.exclusive.is_some()).count(), 1);
    let mut statuses = vec![Ok(SubscribeStatus::Added); subscriptions.len()];
    statuses[at] = Ok(SubscribeStatus::Exclusive(7));
    stage.client.handle_op(stage.now, ServerOp::Ack { id, reply: Reply::Subscribed(statuses) });
    stage.news();
    stage.client.handle_op(stage.now, ServerOp::Superseded { pattern: mine(), token: 8 });
    let tap = Pattern::parse("tap").expect("valid");
    stage.client.handle_op(stage.now, ServerOp::Superseded { pattern: tap.clone(), token: 8 });
    assert_eq!(stage.news(), [ClientEvent::Superseded(MINE)]);
    assert!(stage.client.patterns().any(|pattern| *pattern == tap), "which it has not to itself");
    assert!(!stage.client.patterns().any(|pattern| *pattern == mine()));
}

#[test]
fn who_was_away_while_a_newer_one_came_learns_it_on_its_return() {
    const MINE: u32 = 6;
    let mut stage = Stage::ready();
    let mine = Pattern::parse("s.server.main.*").expect("valid");
    stage.client.subscribe(stage.now, MINE, mine, SubscriptionKind::Exclusive);
    let ops = stage.ops();
    let [ClientOp::Subscribe { ack: Some(ack), .. }] = ops.as_slice() else { panic!("{ops:?}") };
    let reply = Reply::Subscribed(vec![Ok(SubscribeStatus::Superseded)]);
    stage.client.handle_op(stage.now, ServerOp::Ack { id: *ack, reply });
    assert_eq!(stage.news(), [ClientEvent::Superseded(MINE)]);
}
