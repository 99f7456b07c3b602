//! The network: links between endpoints and a broker, or gateways onto a cluster of NATS, on virtual time,
//! with every fault that a seed asks for.
//!
//! A link keeps order and loses nothing until it is cut, as TCP does. The fabric behind it promises less:
//! deliveries get lost, come twice, or overtake each other, as in a cluster, or after a slow consumer was cut
//! off.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use selvedge::base::{Code, Failure};
use selvedge::broker::{Broker, BrokerConfig, PeerId};
use selvedge::wire::{ClientOp, Json, ServerOp, UpstreamNews, UpstreamOp};

use crate::cloud::Cloud;
use crate::dice::{Dice, Rare};
use crate::ends::FenceWatch;

/// What may happen to a delivery, and how long links take.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    pub loss: f64,
    pub duplicate: f64,
    pub reorder: f64,
    /// Milliseconds one way, at least and at most.
    pub latency: (u64, u64),
}

/// A healthy fabric.
pub const QUIET: Faults = Faults { loss: 0.0, duplicate: 0.0, reorder: 0.0, latency: (1, 5) };

/// Which way a half-open link is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToBroker,
    ToEndpoint,
}

/// What an endpoint is to be told.
#[derive(Debug)]
pub enum Notice {
    Up(usize),
    Down(usize, &'static str),
    Op(usize, ServerOp),
}

impl Notice {
    pub fn endpoint(&self) -> usize {
        let (Self::Up(endpoint) | Self::Down(endpoint, _) | Self::Op(endpoint, _)) = self;
        *endpoint
    }
}

pub struct Net {
    pub faults: Faults,
    pub dice: Dice,
    pub rare: Rare,
    /// What went wrong so far, by kind.
    pub harm: BTreeMap<&'static str, u64>,
    config: BrokerConfig,
    /// One, or several that are gateways.
    brokers: Vec<Option<Broker>>,
    cloud: Option<Cloud>,
    uplinks: Vec<Uplink>,
    /// Which broker each endpoint dials next.
    homes: Vec<usize>,
    /// How far the broker's clock is ahead.
    broker_skew: Duration,
    /// By endpoint.
    links: Vec<Option<Link>>,
    blocked_until: Vec<Option<Instant>>,
    endpoint_of: HashMap<(usize, PeerId), usize>,
    /// Names links and dials, so that what belongs to an old one is not taken for the new one's.
    generation: u64,
    dialing: Vec<Option<u64>>,
    flying: BTreeMap<(Instant, u64), Flight>,
    flights: u64,
    notices: VecDeque<Notice>,
    /// When it was looked at last.
    latest: Instant,
    /// Deadlines of brokers that were handled since.
    overdue: u32,
    /// When the world began.
    began: Instant,
    pub fences: FenceWatch,
}

/// A gateway's connection to the cluster.
#[derive(Default)]
struct Uplink {
    /// Of the connection, or of the dial.
    generation: u64,
    is_up: bool,
    /// When the last of what keeps order arrives, by direction.
    last: [Option<Instant>; 2],
    blocked_until: Option<Instant>,
}

struct Link {
    generation: u64,
    broker: usize,
    peer: PeerId,
    /// When the last of what keeps order arrives, by direction.
    last: [Instant; 2],
    silent: Option<Direction>,
}

enum Flight {
    ToBroker(usize, PeerId, ClientOp),
    ToEndpoint(usize, u64, ServerOp),
    /// The endpoint hung up; the broker notices after everything that was said.
    HungUp(usize, PeerId),
    Dialed(usize, u64),
    /// A half-open link is noticed.
    GivenUp(usize, u64),
    /// The answer to a gateway that dials the cluster.
    Joined(usize, u64),
    /// A gateway's word; until when it is asked again.
    ToCloud(usize, u64, UpstreamOp, Option<Instant>),
    /// A word for a gateway.
    ToGateway(usize, u64, UpstreamNews),
}

impl Net {
    pub fn new(now: Instant, seed: u64, config: BrokerConfig) -> Self {
        let mut net = Self {
            faults: QUIET,
            dice: Dice::new(seed),
            rare: Rare::default(),
            harm: BTreeMap::new(),
            config,
            brokers: vec![None],
            cloud: None,
            uplinks: Vec::new(),
            homes: Vec::new(),
            broker_skew: Duration::ZERO,
            links: Vec::new(),
            blocked_until: Vec::new(),
            endpoint_of: HashMap::new(),
            generation: 0,
            dialing: Vec::new(),
            flying: BTreeMap::new(),
            flights: 0,
            notices: VecDeque::new(),
            latest: now,
            overdue: 0,
            began: now,
            fences: FenceWatch::default(),
        };
        net.start_broker(now);
        net
    }

    /// The broker becomes several, gateways onto a cluster of so many servers.
    pub fn use_gateways(&mut self, now: Instant, gateways: usize, nodes: usize) {
        self.config.upstream = Some(selvedge::broker::UpstreamConfig::default());
        self.cloud = Some(Cloud::new(gateways, nodes));
        self.brokers = (0..gateways).map(|_| None).collect();
        self.uplinks = (0..gateways).map(|_| Uplink::default()).collect();
        (0..gateways).for_each(|gateway| self.start_broker_at(now, gateway));
    }

    /// A place for one more endpoint.
    pub fn add_endpoint(&mut self) -> usize {
        self.links.push(None);
        self.blocked_until.push(None);
        self.dialing.push(None);
        self.homes.push(self.links.len() % self.brokers.len());
        self.links.len() - 1
    }

    pub fn broker(&self) -> Option<&Broker> {
        self.brokers[0].as_ref()
    }

    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().flatten()
    }

    pub fn cloud(&mut self) -> Option<&mut Cloud> {
        self.cloud.as_mut()
    }

    /// A fresh broker, which knows nobody.
    pub fn start_broker(&mut self, now: Instant) {
        self.start_broker_at(now, 0);
    }

    pub fn start_broker_at(&mut self, now: Instant, at: usize) {
        if self.brokers[at].is_none() {
            // A clock on the wall, which goes on while there is no broker.
            let started_ms = u64::try_from((now - self.began).as_millis()).unwrap_or(0);
            let config = BrokerConfig { started_ms, ..self.config.clone() };
            self.brokers[at] = Some(Broker::new(config, self.dice.split(&self.rare)));
            self.drain_broker(now, at);
        }
    }

    /// The broker's clock jumps ahead: what it waits for is overdue at once.
    pub fn leap_broker(&mut self, by: Duration) {
        self.count("clock leap of the broker");
        self.broker_skew += by;
    }

    /// Counts something that went wrong.
    pub fn count(&mut self, what: &'static str) {
        *self.harm.entry(what).or_default() += 1;
    }

    /// The broker dies with all that it knew.
    pub fn kill_broker(&mut self) {
        self.kill_broker_at(0);
    }

    pub fn kill_broker_at(&mut self, at: usize) {
        self.count("broker death");
        for endpoint in 0..self.links.len() {
            if self.links[endpoint].as_ref().is_some_and(|link| link.broker == at) {
                self.cut(endpoint, "the broker died");
            }
        }
        self.brokers[at] = None;
        if let Some(cloud) = &mut self.cloud {
            cloud.disconnect(at);
            self.uplinks[at] = Uplink { generation: self.uplinks[at].generation + 1, ..Uplink::default() };
        }
    }

    /// A gateway loses its connection to the cluster, with all that is under way, and has none for so long.
    pub fn cut_uplink(&mut self, now: Instant, at: usize, length: Duration) {
        let Some(cloud) = &mut self.cloud else { return };
        let uplink = &mut self.uplinks[at];
        uplink.blocked_until = Some(now + length);
        if !std::mem::take(&mut uplink.is_up) {
            return;
        }
        uplink.generation += 1;
        cloud.disconnect(at);
        self.count("cut of an uplink");
        if let Some(broker) = &mut self.brokers[at] {
            broker.handle_upstream_down(now, Failure::new(Code::ConnectionReset, "cut"));
            self.drain_broker(now, at);
        }
    }

    /// A server of the cluster dies: all gateways that are at it lose their connection.
    pub fn kill_node(&mut self, now: Instant, node: usize) {
        let Some(cloud) = &self.cloud else { return };
        let there: Vec<usize> =
            (0..cloud.at.len()).filter(|gateway| cloud.at[*gateway] == Some(node)).collect();
        self.count("death of a server of NATS");
        there.into_iter().for_each(|gateway| self.cut_uplink(now, gateway, Duration::ZERO));
    }

    /// A route breaks, and nobody is told.
    pub fn break_route(&mut self, one: usize, other: usize) {
        if let Some(cloud) = self.cloud.as_mut().filter(|_| one != other) {
            cloud.broken.push((one.min(other), one.max(other)));
            self.count("break of a route");
        }
    }

    pub fn mend_routes(&mut self) {
        self.cloud.iter_mut().for_each(|cloud| cloud.broken.clear());
    }

    pub fn dial(&mut self, now: Instant, endpoint: usize) {
        self.generation += 1;
        self.dialing[endpoint] = Some(self.generation);
        let at = now + self.latency();
        self.fly(at, Flight::Dialed(endpoint, self.generation));
    }

    pub fn send(&mut self, now: Instant, endpoint: usize, op: ClientOp) {
        let latency = self.latency();
        let Some(link) = &mut self.links[endpoint] else { return };
        if link.silent == Some(Direction::ToBroker) {
            return;
        }
        link.last[0] = link.last[0].max(now + latency);
        let (at, broker, peer) = (link.last[0], link.broker, link.peer);
        self.fly(at, Flight::ToBroker(broker, peer, op));
    }

    /// The endpoint gives its link up, after what it said.
    pub fn hang_up(&mut self, now: Instant, endpoint: usize) {
        self.dialing[endpoint] = None;
        if let Some(link) = self.links[endpoint].take() {
            self.endpoint_of.remove(&(link.broker, link.peer));
            self.fly(link.last[0].max(now), Flight::HungUp(link.broker, link.peer));
        }
        // What was heard and not told yet is not told any more.
        self.notices.retain(|notice| notice.endpoint() != endpoint);
    }

    /// The process is gone, with its link; the next one at this place hears nothing of it.
    pub fn kill(&mut self, endpoint: usize) {
        self.dialing[endpoint] = None;
        self.cut(endpoint, "died");
        self.notices.retain(|notice| notice.endpoint() != endpoint);
    }

    /// The link breaks; everything under way is lost.
    pub fn cut(&mut self, endpoint: usize, why: &'static str) {
        let Some(link) = self.links[endpoint].take() else { return };
        self.count("cut");
        if self.cloud.is_some() && self.dice.chance(0.5) {
            // A balancer sends it to another gateway, though this one lives.
            self.homes[endpoint] = (link.broker + 1) % self.brokers.len();
        }
        self.endpoint_of.remove(&(link.broker, link.peer));
        if let Some(broker) = &mut self.brokers[link.broker] {
            broker.detach(self.latest + self.broker_skew, link.peer);
            self.drain_broker(self.latest, link.broker);
        }
        self.notices.push_back(Notice::Down(endpoint, why));
    }

    /// One direction falls silent; after `timeout` both ends notice.
    pub fn half_open(&mut self, now: Instant, endpoint: usize, direction: Direction, timeout: Duration) {
        let Some(link) = &mut self.links[endpoint] else { return };
        link.silent = Some(direction);
        let generation = link.generation;
        self.count("half-open link");
        self.fly(now + timeout, Flight::GivenUp(endpoint, generation));
    }

    /// The endpoint loses its link and gets no other one for so long.
    pub fn partition(&mut self, now: Instant, endpoint: usize, length: Duration) {
        self.blocked_until[endpoint] = Some(now + length);
        self.count("partition");
        self.cut(endpoint, "partitioned");
    }

    /// Everybody may reach the broker again.
    pub fn heal(&mut self, now: Instant) {
        self.faults = QUIET;
        self.rare.set(0, 0);
        self.blocked_until.fill(None);
        self.mend_routes();
        self.uplinks.iter_mut().for_each(|uplink| uplink.blocked_until = None);
        (0..self.brokers.len()).for_each(|at| self.start_broker_at(now, at));
    }

    pub fn next_at(&self) -> Option<Instant> {
        let flight = self.flying.first_key_value().map(|((at, _), _)| *at);
        let broker = self.brokers().filter_map(Broker::poll_timeout).min();
        // It may be overdue, and time does not go back.
        let broker = broker.map(|at| at.checked_sub(self.broker_skew).unwrap_or(at));
        flight.into_iter().chain(broker).min()
    }

    /// Returns whether endpoints are to be told something at once.
    pub fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Does what is due, and says what an endpoint is to be told.
    pub fn poll_notice(&mut self, now: Instant) -> Option<Notice> {
        if now > self.latest {
            self.overdue = 0;
        }
        self.latest = now;
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(notice);
            }
            let its_now = now + self.broker_skew;
            for at in 0..self.brokers.len() {
                if let Some(broker) = &mut self.brokers[at]
                    && broker.poll_timeout().is_some_and(|due| due <= its_now)
                {
                    self.overdue += 1;
                    assert!(self.overdue < MAX_AT_ONCE, "a deadline of the broker that has come stays");
                    broker.handle_timeout(its_now);
                    self.drain_broker(now, at);
                }
            }
            let first = self.flying.first_entry().filter(|first| first.key().0 <= now)?;
            let flight = first.remove();
            self.land(now, flight);
        }
    }

    /// Forgets all that is under way: a run that has gone wrong must end.
    pub fn hush(&mut self) {
        self.flying.clear();
        self.notices.clear();
    }

    fn land(&mut self, now: Instant, flight: Flight) {
        match flight {
            Flight::ToBroker(at, peer, op) => {
                if let Some(broker) = &mut self.brokers[at] {
                    broker.handle_op(now + self.broker_skew, peer, op);
                    self.drain_broker(now, at);
                }
            }
            Flight::ToEndpoint(endpoint, generation, op) => {
                if self.links[endpoint].as_ref().is_some_and(|link| link.generation == generation) {
                    self.notices.push_back(Notice::Op(endpoint, op));
                }
            }
            Flight::HungUp(at, peer) => {
                if let Some(broker) = &mut self.brokers[at] {
                    broker.detach(now + self.broker_skew, peer);
                    self.drain_broker(now, at);
                }
            }
            Flight::Joined(at, generation) => self.answer_join(now, at, generation),
            Flight::ToCloud(at, generation, op, until) => {
                if self.uplinks[at].generation == generation {
                    self.tell_cloud(now, at, op, until);
                }
            }
            Flight::ToGateway(at, generation, news) => {
                if self.uplinks[at].generation == generation
                    && let Some(broker) = &mut self.brokers[at]
                {
                    broker.handle_upstream(now + self.broker_skew, news);
                    self.drain_broker(now, at);
                }
            }
            Flight::Dialed(endpoint, generation) => self.answer_dial(now, endpoint, generation),
            Flight::GivenUp(endpoint, generation) => {
                if self.links[endpoint].as_ref().is_some_and(|link| link.generation == generation) {
                    self.cut(endpoint, "nothing heard for too long");
                }
            }
        }
    }

    fn answer_dial(&mut self, now: Instant, endpoint: usize, generation: u64) {
        if self.dialing[endpoint] != Some(generation) {
            return;
        }
        self.dialing[endpoint] = None;
        let blocked = self.blocked_until[endpoint].is_some_and(|until| now < until);
        let at = self.homes[endpoint];
        let Some(broker) = self.brokers[at].as_mut().filter(|_| !blocked) else {
            // Behind one name there are several.
            self.homes[endpoint] = (at + 1) % self.brokers.len();
            return self.notices.push_back(Notice::Down(endpoint, "refused"));
        };
        let peer = broker.attach(now + self.broker_skew, Json::from_value(&serde_json::json!(null)));
        self.endpoint_of.insert((at, peer), endpoint);
        self.links[endpoint] = Some(Link { generation, broker: at, peer, last: [now; 2], silent: None });
        self.notices.push_back(Notice::Up(endpoint));
        self.drain_broker(now, at);
    }

    fn answer_join(&mut self, now: Instant, at: usize, generation: u64) {
        let Some(broker) = &mut self.brokers[at] else { return };
        let uplink = &mut self.uplinks[at];
        if uplink.generation != generation {
            return;
        }
        if uplink.blocked_until.is_some_and(|until| now < until) {
            broker.handle_upstream_down(now, Failure::new(Code::ConnectionRefused, "refused"));
            return self.drain_broker(now, at);
        }
        let Some(cloud) = &mut self.cloud else { return };
        uplink.is_up = true;
        broker.handle_upstream_up();
        let node = self.dice.below(cloud.nodes);
        let (_, info) = cloud.connect(at, node);
        self.fly_up(now, at, 1, |generation| Flight::ToGateway(at, generation, info));
        self.drain_broker(now, at);
    }

    fn tell_cloud(&mut self, now: Instant, at: usize, op: UpstreamOp, until: Option<Instant>) {
        let Some(cloud) = &mut self.cloud else { return };
        match cloud.handle(&mut self.dice, at, &op) {
            Some(said) => {
                for (to, news) in said {
                    self.fly_up(now, to, 1, |generation| Flight::ToGateway(to, generation, news));
                }
            }
            None => {
                let UpstreamOp::Op(ClientOp::WaitForInterest { ack, subject, timeout }) = op else { return };
                let until = until.unwrap_or(now + timeout);
                let timeout = if now >= until { Duration::ZERO } else { timeout };
                let op = UpstreamOp::Op(ClientOp::WaitForInterest { ack, subject, timeout });
                let generation = self.uplinks[at].generation;
                self.fly(now + ASK_AGAIN, Flight::ToCloud(at, generation, op, Some(until)));
            }
        }
    }

    /// Sends something between a gateway and the cluster, in order.
    fn fly_up(&mut self, now: Instant, at: usize, direction: usize, flight: impl FnOnce(u64) -> Flight) {
        let latency = self.latency();
        let uplink = &mut self.uplinks[at];
        let arrives = uplink.last[direction].map_or(now + latency, |last| last.max(now + latency));
        uplink.last[direction] = Some(arrives);
        let generation = uplink.generation;
        self.fly(arrives, flight(generation));
    }

    /// Carries out what a gateway wants of the cluster.
    fn drain_upstream(&mut self, now: Instant, at: usize) {
        let mut rounds = 0;
        while let Some(broker) = &mut self.brokers[at] {
            rounds += 1;
            assert!(rounds < MAX_AT_ONCE, "a gateway wants one thing after another, and no time passes");
            if broker.poll_upstream_dial() {
                let uplink = &mut self.uplinks[at];
                (uplink.generation, uplink.is_up) = (uplink.generation + 1, false);
                let generation = uplink.generation;
                let arrives = now + self.latency();
                self.fly(arrives, Flight::Joined(at, generation));
            } else if let Some(op) = broker.poll_upstream_op() {
                self.fly_up(now, at, 0, |generation| Flight::ToCloud(at, generation, op, None));
            } else {
                return;
            }
        }
    }

    /// Puts what the broker says onto the links.
    fn drain_broker(&mut self, now: Instant, at: usize) {
        if self.cloud.is_some() {
            self.drain_upstream(now, at);
        }
        let mut outbox = Vec::new();
        while self.brokers[at].as_mut().is_some_and(|broker| broker.poll_discarded().is_some()) {}
        self.fences.begin();
        let mut rounds = 0;
        while let Some(peer) = self.brokers[at].as_mut().and_then(Broker::poll_woken) {
            rounds += 1;
            assert!(
                rounds < MAX_AT_ONCE,
                "a broker has something to say again and again, and no time passes"
            );
            let Some(broker) = &mut self.brokers[at] else { return };
            broker.take_outbox(peer, &mut outbox);
            let closing = broker.close_reason(peer).is_some();
            let Some(&endpoint) = self.endpoint_of.get(&(at, peer)) else {
                outbox.clear();
                continue;
            };
            for op in outbox.drain(..) {
                self.say(now, endpoint, op);
            }
            if closing {
                self.cut(endpoint, "closed by the broker");
            }
        }
    }

    /// Names the link of an endpoint, if it is not half open.
    pub fn whole_link(&self, endpoint: usize) -> Option<u64> {
        self.links[endpoint].as_ref().filter(|link| link.silent.is_none()).map(|link| link.generation)
    }

    fn say(&mut self, now: Instant, endpoint: usize, op: ServerOp) {
        let faults = self.faults;
        let is_delivery = matches!(op, ServerOp::Deliver { .. });
        let latency = self.latency();
        let Some(link) = &mut self.links[endpoint] else { return };
        if link.silent == Some(Direction::ToEndpoint) {
            return;
        }
        let generation = link.generation;
        self.fences.note(endpoint, generation, &op);
        if is_delivery && self.dice.chance(faults.loss) {
            return self.count("loss");
        }
        let late = is_delivery && self.dice.chance(faults.reorder);
        let at = if late {
            self.count("reorder");
            now + latency + self.dice.millis(1, 800)
        } else {
            let Some(link) = &mut self.links[endpoint] else { return };
            link.last[1] = link.last[1].max(now + latency);
            link.last[1]
        };
        if is_delivery && self.dice.chance(faults.duplicate) {
            self.count("duplicate");
            let again = at + self.dice.millis(0, 800);
            self.fly(again, Flight::ToEndpoint(endpoint, generation, op.clone()));
        }
        self.fly(at, Flight::ToEndpoint(endpoint, generation, op));
    }

    fn latency(&mut self) -> Duration {
        let (least, most) = self.faults.latency;
        self.dice.millis(least, most)
    }

    fn fly(&mut self, at: Instant, flight: Flight) {
        self.flights += 1;
        self.flying.insert((at, self.flights), flight);
    }
}

/// How often a server is asked whether somebody listens by now.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// More than a broker ever does at one moment.
const MAX_AT_ONCE: u32 = 1_000_000;
