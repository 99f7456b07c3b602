//! Queue groups over gateways: of each message one member has one copy, whatever joins and leaves in order
//! meanwhile, and whichever of its patterns a group is reached by.

use std::collections::BTreeMap;

use selvedge::base::Handle;
use selvedge::client::{Request, RequestKind};
use selvedge::endpoint::Command;
use selvedge::subject::{Pattern, Subject};
use selvedge::wire::{Headers, Message, Payload};

use crate::chaos::number;
use crate::gateways::{GATEWAYS, NODES, check_cloud, world};
use crate::socket::SECOND;
use crate::world::{Outcome, World};

const SEEDS: u64 = 200;
const MEMBERS: usize = 5;
const PATTERNS: [&str; 2] = ["jobs.*", "jobs.a"];

/// A story: who is there, and what was published.
struct Group {
    world: World,
    patterns: &'static [&'static str],
    askers: Vec<usize>,
    present: Vec<(usize, Handle)>,
    asked: Vec<(u32, Option<Handle>)>,
}

impl Group {
    fn new(seed: u64, patterns: &'static [&'static str]) -> Self {
        let mut world = world(seed);
        world.net.faults.latency = (0, world.dice.pick(&[0, 3, 30]));
        let askers = (0..GATEWAYS).map(|_| world.node()).collect();
        let members: Vec<usize> = (0..MEMBERS).map(|_| world.node()).collect();
        world.run_for(SECOND);
        let mut story = Self { world, patterns, askers, present: Vec::new(), asked: Vec::new() };
        members.into_iter().for_each(|node| story.join(node));
        story.world.run_for(SECOND);
        story
    }

    fn join(&mut self, node: usize) {
        let pattern = self.world.dice.pick(self.patterns);
        let subscription = self.subscribe(node, pattern);
        self.present.push((node, subscription));
    }

    fn subscribe(&mut self, node: usize, pattern: &str) -> Handle {
        let subscription = self.world.handle();
        self.world.delivered.insert(subscription, Vec::new());
        let (pattern, queue) = (Pattern::parse(pattern).expect("valid"), Some("workers".into()));
        self.world.command(node, Command::Subscribe { subscription, ticket: None, pattern, queue });
        subscription
    }

    /// Publishes one message, with a confirmation or without.
    fn publish(&mut self) {
        let asker = self.world.dice.pick(&self.askers);
        let number = u32::try_from(self.asked.len()).expect("few");
        let (subject, raw) = (Subject::parse("jobs.a").expect("valid"), number.to_be_bytes().to_vec());
        let message = Message { subject, payload: Payload::msgpack(raw), headers: Headers::default() };
        let (command, ticket) = if self.world.dice.chance(0.5) {
            (Command::Publish(message), None)
        } else {
            let ticket = Some(self.world.ticket(asker));
            let (kind, timeout, wait_for_interest) = (RequestKind::Publish, 30 * SECOND, false);
            let request = Request { kind, message, timeout, wait_for_interest, ttl: None };
            (Command::Request { ticket, request }, ticket)
        };
        self.world.command(asker, command);
        self.asked.push((number, ticket));
    }

    /// One leaves in order and comes back, now or in a moment, by the same pattern or another one. Meanwhile
    /// its client subscribes to something else, too.
    fn change(&mut self) {
        let (node, subscription) = self.present.remove(self.world.dice.below(self.present.len()));
        let ticket = self.world.ticket(node);
        self.world.command(node, Command::Drain { subscription, ticket });
        let pause = self.world.dice.millis(0, 20);
        self.world.run_for(pause);
        if self.world.dice.chance(0.5) {
            let other = self.subscribe(node, &format!("other.{subscription}"));
            self.world.command(node, Command::Unsubscribe(other));
        }
        let pause = self.world.dice.millis(0, 20);
        self.world.run_for(pause);
        self.join(node);
    }

    /// How often each message was delivered.
    fn copies(&self) -> BTreeMap<u32, usize> {
        let mut copies = BTreeMap::new();
        for message in self.world.delivered.values().flatten() {
            let number = u32::from_be_bytes(message.payload.raw[..4].try_into().expect("a number"));
            *copies.entry(number).or_default() += 1;
        }
        copies
    }

    /// Each of these was delivered once, and counted so where that was asked.
    fn check_since(&mut self, first: usize, seed: u64) {
        assert!(self.world.run_until(60 * SECOND, |world| world.tickets.values().all(Option::is_some)));
        self.world.run_for(SECOND);
        let copies = self.copies();
        for (number, ticket) in &self.asked[first..] {
            assert_eq!(copies.get(number), Some(&1), "seed {seed}: copies of message {number}");
            if let Some(ticket) = ticket {
                let outcome = &self.world.tickets[ticket];
                assert_eq!(*outcome, Some(Outcome::Published(1)), "seed {seed}: message {number}");
            }
        }
    }
}

fn seeds() -> u64 {
    number("SELVEDGE_SIM_SEEDS").map_or(SEEDS, |seeds| seeds.min(100_000))
}

#[test]
fn each_message_to_a_group_has_one_receiver_while_members_come_and_leave_in_order() {
    for seed in 0..seeds() {
        let mut story = Group::new(seed, &PATTERNS);
        for round in 0..40 {
            for _ in 0..story.world.dice.below(8) {
                story.publish();
            }
            if round % 4 == 3 {
                story.change();
            }
            let pause = story.world.dice.millis(0, 3);
            story.world.run_for(pause);
        }
        story.check_since(0, seed);
        check_cloud(&mut story.world);
        story.world.assert_right("this story");
    }
}

#[test]
fn faults_of_the_fabric_double_no_message_to_a_group_and_when_they_are_over_none_is_lost() {
    for seed in 0..seeds() {
        let mut story = Group::new(seed, &PATTERNS);
        for _ in 0..40 {
            for _ in 0..story.world.dice.below(8) {
                story.publish();
            }
            if story.world.dice.chance(0.3) {
                story.hurt();
            }
            let pause = story.world.dice.millis(0, 200);
            story.world.run_for(pause);
        }
        story.world.net.mend_routes();
        story.world.run_for(30 * SECOND);
        check_cloud(&mut story.world);
        let copies = story.copies();
        assert!(copies.values().all(|copies| *copies == 1), "seed {seed}: twice: {copies:?}");
        let first = story.asked.len();
        (0..30).for_each(|_| story.publish());
        story.check_since(first, seed);
        story.world.assert_right("this story");
    }
}

impl Group {
    fn hurt(&mut self) {
        let Self { world, present, .. } = self;
        let (now, gateway, node) = (world.now, world.dice.below(GATEWAYS), world.dice.below(NODES));
        match world.dice.below(4) {
            0 => {
                let length = world.dice.millis(0, 2000);
                world.net.cut_uplink(now, gateway, length);
            }
            1 => world.net.kill_node(now, node),
            2 => world.net.break_route(node, (node + 1) % NODES),
            _ => {
                let victim = world.dice.below(present.len());
                world.net.cut(present[victim].0, "cut");
            }
        }
    }
}
