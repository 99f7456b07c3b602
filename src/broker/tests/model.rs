//! Random histories, compared with a model that walks over all subscriptions.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::base::Entropy;
use crate::subject::Pattern;
use crate::wire::SubscribeStatus;

/// A pattern with a queue: a group.
type GroupName = (String, String);

/// All members of all groups, each with the time at which it joined.
#[derive(Default)]
struct Model {
    peers: Vec<PeerId>,
    subscriptions: BTreeMap<(PeerId, String), (String, usize)>,
    /// Who had the first chunk, for each unfinished message of a publisher.
    unfinished: BTreeMap<(PeerId, u64), BTreeMap<GroupName, (PeerId, usize)>>,
}

impl Model {
    /// Who may get a message, by group.
    fn candidates(&self, subject: &str) -> BTreeMap<GroupName, BTreeSet<(PeerId, usize)>> {
        let mut groups: BTreeMap<GroupName, BTreeSet<(PeerId, usize)>> = BTreeMap::new();
        for ((peer, pattern), (queue, joined)) in &self.subscriptions {
            if Pattern::parse(pattern).unwrap().matches(subject) {
                groups.entry((pattern.clone(), queue.clone())).or_default().insert((*peer, *joined));
            }
        }
        groups
    }
}

struct History {
    stage: Stage,
    model: Model,
    random: SeededEntropy,
    step: usize,
}

impl History {
    fn peer(&mut self) -> PeerId {
        self.model.peers[self.random.below(self.model.peers.len())]
    }

    fn any(&mut self, assignments: &[&str]) -> String {
        assignments[self.random.below(assignments.len())].to_owned()
    }

    fn run(&mut self) {
        match self.random.below(100) {
            0..5 if self.model.peers.len() < 12 => {
                let peer = self.stage.join();
                self.model.peers.push(peer);
            }
            _ if self.model.peers.is_empty() => {}
            0..8 => self.detach(),
            8..35 => self.subscribe(),
            35..50 => self.unsubscribe(),
            50..60 => self.publish_bundle(),
            _ => self.publish(),
        }
        self.step += 1;
    }

    fn detach(&mut self) {
        let peer = self.peer();
        self.stage.broker.detach(self.stage.now, peer);
        self.model.peers.retain(|other| *other != peer);
        self.model.subscriptions.retain(|(other, _), _| *other != peer);
        self.model.unfinished.retain(|(other, _), _| *other != peer);
    }

    fn subscribe(&mut self) {
        let (peer, pattern, queue) = (self.peer(), self.any(&PATTERNS), self.any(&QUEUES));
        let is_new = !self.model.subscriptions.contains_key(&(peer, pattern.clone()));
        let expected = if is_new { SubscribeStatus::Added } else { SubscribeStatus::AlreadyAdded };
        assert_eq!(self.stage.subscribe(peer, &pattern, &queue), Reply::Subscribed(vec![Ok(expected)]));
        self.model.subscriptions.entry((peer, pattern)).or_insert((queue, self.step));
    }

    fn unsubscribe(&mut self) {
        let (peer, pattern) = (self.peer(), self.any(&PATTERNS));
        self.stage.unsubscribe(peer, &pattern);
        self.model.subscriptions.remove(&(peer, pattern));
    }

    /// Publishes a whole message or a chunk, and checks who got it.
    fn publish(&mut self) {
        let (peer, subject) = (self.peer(), self.any(&SUBJECTS));
        let candidates = self.model.candidates(&subject);
        let id = self.random.below(3) as u64;
        let (seq, done) = [(0, true), (0, false), (1, false), (1, true)][self.random.below(4)];
        // A chunk keeps to the groups that had the first one, and that still match under its own subject.
        let earlier = self.model.unfinished.get(&(peer, id)).cloned().unwrap_or_default();
        let allowed: BTreeMap<&GroupName, BTreeSet<PeerId>> = candidates
            .iter()
            .map(|(group, members)| {
                let may = |member: &&(PeerId, usize)| seq == 0 || earlier.get(group) == Some(*member);
                (group, members.iter().filter(may).map(|(peer, _)| *peer).collect::<BTreeSet<_>>())
            })
            .filter(|(_, members)| !members.is_empty())
            .collect();

        let text = self.step.to_string();
        let count = self.stage.publish_chunk(peer, publication(&subject, &id.to_string(), seq, done, &text));

        let mut got = BTreeMap::new();
        for receiver in self.model.peers.clone() {
            for line in self.stage.received(receiver) {
                let (pattern, payload) = line.split_once(": ").unwrap();
                assert_eq!(payload, text);
                let queue = &self.model.subscriptions[&(receiver, pattern.to_owned())].0;
                let group = (pattern.to_owned(), queue.clone());
                assert!(allowed[&group].contains(&receiver), "{receiver} under {pattern}");
                assert_eq!(got.insert(group, receiver), None, "two members of one group");
            }
        }
        assert!(allowed.keys().copied().eq(got.keys()), "{:?} got it, not {:?}", got.keys(), allowed.keys());
        let is_known = seq == 0 || self.model.unfinished.contains_key(&(peer, id));
        let expected = got.keys().filter(|(pattern, _)| pattern != ">").count() as u64;
        assert_eq!(count, if is_known { expected } else { UNKNOWN });

        if (seq, done) == (0, false) {
            let joined =
                |receiver: PeerId, pattern: &str| self.model.subscriptions[&(receiver, pattern.to_owned())].1;
            let chosen = got.into_iter().map(|(group, receiver)| {
                let membership = (receiver, joined(receiver, &group.0));
                (group, membership)
            });
            let chosen = chosen.collect();
            self.model.unfinished.insert((peer, id), chosen);
        } else if done && seq > 0 {
            self.model.unfinished.remove(&(peer, id));
        }
    }

    /// Returns what a bundle does is what its messages would do: each group gets each of them once, in order
    /// where the group is one peer.
    fn publish_bundle(&mut self) {
        let (peer, subject) = (self.peer(), self.any(&SUBJECTS));
        let texts: Vec<String> =
            (0..2 + self.random.below(5)).map(|n| format!("{}-{n}", self.step)).collect();
        let before = self.stage.broker.stats();
        let publication = bundle(&subject, &texts);
        self.stage.handle(peer, ClientOp::Publish { ack: None, publication });

        let mut got: BTreeMap<GroupName, Vec<(PeerId, String)>> = BTreeMap::new();
        for receiver in self.model.peers.clone() {
            for line in self.stage.received(receiver) {
                let (pattern, payload) = line.split_once(": ").unwrap();
                let queue = &self.model.subscriptions[&(receiver, pattern.to_owned())].0;
                let group = (pattern.to_owned(), queue.clone());
                got.entry(group).or_default().push((receiver, payload.to_owned()));
            }
        }
        let candidates = self.model.candidates(&subject);
        assert!(candidates.keys().eq(got.keys()), "{:?} got it, not {:?}", got.keys(), candidates.keys());
        let deliveries: usize = got.values().map(Vec::len).sum();
        for (group, mut messages) in got {
            let members = &candidates[&group];
            assert!(messages.iter().all(|(to, _)| members.iter().any(|(member, _)| member == to)));
            if members.len() > 1 {
                messages.sort_by(|(_, a), (_, b)| a.cmp(b));
            }
            assert!(messages.iter().map(|(_, text)| text).eq(&texts), "{group:?}: {messages:?}");
        }
        let after = self.stage.broker.stats();
        assert_eq!(after.published.messages - before.published.messages, texts.len() as u64);
        assert_eq!(after.delivered.messages - before.delivered.messages, deliveries as u64);
    }

    fn check_totals(&self) {
        let stats = self.stage.broker.stats();
        assert_eq!(stats.connections, self.model.peers.len());
        assert_eq!(stats.subscriptions, self.model.subscriptions.len());
        let patterns: BTreeSet<_> = self.model.subscriptions.keys().map(|(_, pattern)| pattern).collect();
        assert_eq!(stats.patterns, patterns.len());
        assert!(self.stage.broker.patterns().keys().map(Pattern::as_str).eq(patterns));
        for subject in SUBJECTS {
            let counted = self.model.candidates(subject).keys().any(|(pattern, _)| pattern != ">");
            assert_eq!(self.stage.broker.has_interest(&Subject::parse(subject).unwrap()), counted);
        }
    }
}

const PATTERNS: [&str; 9] = ["a", "a.b", "a.b.c", "a.*", "*.b", "a.>", "*.>", "*", ">"];
const QUEUES: [&str; 3] = ["q", "r", "s"];
const SUBJECTS: [&str; 6] = ["a", "b", "a.b", "b.b", "a.b.c", "c.d.e"];

fn history(seed: u64) -> History {
    let stage = Stage::with(BrokerConfig::default(), seed);
    History { stage, model: Model::default(), random: SeededEntropy::new(!seed), step: 0 }
}

#[test]
fn a_random_history_goes_as_in_a_model_that_walks_over_all_subscriptions() {
    for seed in 0..200 {
        let mut history = history(seed);
        let story = std::panic::AssertUnwindSafe(|| {
            for _ in 0..400 {
                history.run();
            }
            history.check_totals();
        });
        if let Err(failure) = std::panic::catch_unwind(story) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(failure);
        }
    }
}

#[test]
fn a_seed_replays() {
    let run = || {
        let mut history = history(7);
        (0..400).for_each(|_| history.run());
        (history.stage.broker.snapshot(), history.stage.broker.stats())
    };
    assert_eq!(run(), run());
}
