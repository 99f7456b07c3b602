//! A model of NATS for gateways: servers with routes between them, subscriptions and queue groups, and what
//! it promises and does not promise: what is in order, whom a publish reaches, and that a route that breaks
//! loses what crosses it, and tells nobody.

use std::collections::BTreeMap;

use selvedge::subject::Pattern;
use selvedge::wire::{
    AckId, ClientOp, Info, Json, LargeMessages, Publication, Reply, ServerOp, SubscribeStatus, UpstreamNews,
    UpstreamOp,
};

use crate::dice::Dice;

/// What a gateway has of it.
pub struct Cloud {
    /// Which server each gateway is at, while it is connected.
    pub at: Vec<Option<usize>>,
    pub nodes: usize,
    /// Routes that are broken; each the lower server first.
    pub broken: Vec<(usize, usize)>,
    patterns: Vec<BTreeMap<Pattern, ()>>,
    members: Vec<BTreeMap<u64, (Pattern, String)>>,
}

/// What is said to a gateway.
pub type Said = (usize, UpstreamNews);

impl Cloud {
    pub fn new(gateways: usize, nodes: usize) -> Self {
        Self {
            at: vec![None; gateways],
            nodes,
            broken: Vec::new(),
            patterns: vec![BTreeMap::new(); gateways],
            members: vec![BTreeMap::new(); gateways],
        }
    }

    /// A gateway has come to a server.
    pub fn connect(&mut self, gateway: usize, node: usize) -> Said {
        self.at[gateway] = Some(node);
        let user = Ok(Json::from_value(&serde_json::json!(null)));
        let large = Some(LargeMessages { chunk: 50_000, whole: 101_000 });
        let (id, instance) = (format!("n{node}"), None);
        let info = Info {
            max_payload: 102_000,
            id,
            cluster_name: None,
            user,
            instance,
            max_message: None,
            large,
            monitor: None,
        };
        (gateway, UpstreamNews::Op(ServerOp::Info(info.into())))
    }

    /// A gateway is gone, with all that it wanted.
    pub fn disconnect(&mut self, gateway: usize) {
        self.at[gateway] = None;
        self.patterns[gateway].clear();
        self.members[gateway].clear();
    }

    /// How many patterns and memberships a gateway has.
    pub fn wanted_by(&self, gateway: usize) -> (usize, usize) {
        (self.patterns[gateway].len(), self.members[gateway].len())
    }

    /// Whether one gateway can reach another.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let (Some(one), Some(other)) = (self.at[from], self.at[to]) else { return false };
        one == other || !self.broken.contains(&(one.min(other), one.max(other)))
    }

    /// Takes an operation. Returns what is said to whom, in order. `None` for a wait that goes on.
    pub fn handle(&mut self, dice: &mut Dice, gateway: usize, op: &UpstreamOp) -> Option<Vec<Said>> {
        let ack = |id: AckId, reply| (gateway, UpstreamNews::Op(ServerOp::Ack { id, reply }));
        Some(match op {
            UpstreamOp::Join { ack: id, member, pattern, queue } => {
                self.members[gateway].insert(*member, (pattern.clone(), queue.to_string()));
                vec![ack(*id, Reply::Subscribed(vec![Ok(SubscribeStatus::Added)]))]
            }
            UpstreamOp::Leave { ack: id, member } => {
                self.members[gateway].remove(member);
                vec![ack(*id, Reply::Unsubscribed { count: 1 })]
            }
            UpstreamOp::Op(ClientOp::Subscribe { ack: id, subscriptions, .. }) => {
                let own = &mut self.patterns[gateway];
                for subscription in subscriptions {
                    own.insert(Pattern::parse(&subscription.pattern).expect("valid"), ());
                }
                let statuses = vec![Ok(SubscribeStatus::Added); subscriptions.len()];
                id.iter().map(|id| ack(*id, Reply::Subscribed(statuses.clone()))).collect()
            }
            UpstreamOp::Op(ClientOp::Unsubscribe { ack: id, patterns, .. }) => {
                for text in patterns {
                    self.patterns[gateway].remove(&Pattern::parse(text).expect("valid"));
                }
                id.iter().map(|id| ack(*id, Reply::Unsubscribed { count: patterns.len() })).collect()
            }
            UpstreamOp::Op(ClientOp::Publish { ack: id, publication }) => {
                let mut said = self.publish(dice, gateway, publication);
                let count = u64::from(!said.is_empty());
                said.extend(id.map(|id| ack(id, Reply::Published { count })));
                said
            }
            UpstreamOp::Op(ClientOp::WaitForInterest { ack: id, subject, timeout }) => {
                let is_there = self.has_interest(gateway, subject);
                if !is_there && !timeout.is_zero() {
                    return None;
                }
                vec![ack(*id, Reply::Interest(is_there))]
            }
            UpstreamOp::Op(other) => panic!("a gateway says {other:?}"),
        })
    }

    fn has_interest(&self, from: usize, subject: &str) -> bool {
        let others = (0..self.at.len()).filter(|to| self.reaches(from, *to));
        others.into_iter().any(|to| {
            let is_plain = to != from && self.patterns[to].keys().any(|pattern| pattern.matches(subject));
            is_plain || self.members[to].values().any(|(pattern, _)| pattern.matches(subject))
        })
    }

    fn publish(&self, dice: &mut Dice, from: usize, publication: &Publication) -> Vec<Said> {
        let subject = publication.subject.as_str();
        let mut said = Vec::new();
        let mut groups: BTreeMap<&str, Vec<(usize, u64)>> = BTreeMap::new();
        for to in (0..self.at.len()).filter(|to| self.reaches(from, *to)) {
            // A gateway does not hear its own publishes, but its members may be chosen for them.
            for pattern in self.patterns[to].keys().filter(|pattern| to != from && pattern.matches(subject)) {
                let (pattern, publication) = (pattern.clone(), publication.clone());
                said.push((to, UpstreamNews::Op(ServerOp::Deliver { pattern, publication })));
            }
            for (member, (_, queue)) in
                self.members[to].iter().filter(|(_, (pattern, _))| pattern.matches(subject))
            {
                groups.entry(queue).or_default().push((to, *member));
            }
        }
        for members in groups.into_values() {
            let (to, member) = members[dice.below(members.len())];
            said.push((to, UpstreamNews::Member { member, publication: publication.clone() }));
        }
        said
    }
}
