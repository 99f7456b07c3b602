//! The network: links between endpoints and one broker, on virtual time, with every fault that a seed asks
//! for.
//!
//! A link keeps order and loses nothing until it is cut, as TCP does. The fabric behind it promises less:
//! deliveries get lost, come twice, or overtake each other, as in a cluster, or after a slow consumer was cut
//! off.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use selvedge::broker::{Broker, BrokerConfig, PeerId};
use selvedge::wire::{ClientOp, Json, ServerOp};

use crate::dice::{Dice, Rare};

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
    broker: Option<Broker>,
    /// How far the broker's clock is ahead.
    broker_skew: Duration,
    /// By endpoint.
    links: Vec<Option<Link>>,
    blocked_until: Vec<Option<Instant>>,
    endpoint_of: HashMap<PeerId, usize>,
    /// Names links and dials, so that what belongs to an old one is not taken for the new one's.
    generation: u64,
    dialing: Vec<Option<u64>>,
    flying: BTreeMap<(Instant, u64), Flight>,
    flights: u64,
    notices: VecDeque<Notice>,
    /// When it was looked at last.
    latest: Instant,
    /// When the world began.
    began: Instant,
}

struct Link {
    generation: u64,
    peer: PeerId,
    /// When the last of what keeps order arrives, by direction.
    last: [Instant; 2],
    silent: Option<Direction>,
}

enum Flight {
    ToBroker(PeerId, ClientOp),
    ToEndpoint(usize, u64, ServerOp),
    /// The endpoint hung up; the broker notices after everything that was said.
    HungUp(PeerId),
    Dialed(usize, u64),
    /// A half-open link is noticed.
    GivenUp(usize, u64),
}

impl Net {
    pub fn new(now: Instant, seed: u64, config: BrokerConfig) -> Self {
        let mut net = Self {
            faults: QUIET,
            dice: Dice::new(seed),
            rare: Rare::default(),
            harm: BTreeMap::new(),
            config,
            broker: None,
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
            began: now,
        };
        net.start_broker(now);
        net
    }

    /// A place for one more endpoint.
    pub fn add_endpoint(&mut self) -> usize {
        self.links.push(None);
        self.blocked_until.push(None);
        self.dialing.push(None);
        self.links.len() - 1
    }

    pub fn broker(&self) -> Option<&Broker> {
        self.broker.as_ref()
    }

    /// A fresh broker, which knows nobody.
    pub fn start_broker(&mut self, now: Instant) {
        if self.broker.is_none() {
            // A clock on the wall, which goes on while there is no broker.
            let started_ms = u64::try_from((now - self.began).as_millis()).unwrap_or(0);
            let config = BrokerConfig { started_ms, ..self.config.clone() };
            self.broker = Some(Broker::new(config, self.dice.split(&self.rare)));
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
        self.count("broker death");
        for endpoint in 0..self.links.len() {
            self.cut(endpoint, "the broker died");
        }
        self.broker = None;
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
        let (at, peer) = (link.last[0], link.peer);
        self.fly(at, Flight::ToBroker(peer, op));
    }

    /// The endpoint gives its link up, after what it said.
    pub fn hang_up(&mut self, now: Instant, endpoint: usize) {
        self.dialing[endpoint] = None;
        if let Some(link) = self.links[endpoint].take() {
            self.endpoint_of.remove(&link.peer);
            self.fly(link.last[0].max(now), Flight::HungUp(link.peer));
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
        self.endpoint_of.remove(&link.peer);
        if let Some(broker) = &mut self.broker {
            broker.detach(link.peer);
            self.drain_broker(self.latest);
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
        self.start_broker(now);
    }

    pub fn next_at(&self) -> Option<Instant> {
        let flight = self.flying.first_key_value().map(|((at, _), _)| *at);
        let broker = self.broker.as_ref().and_then(Broker::poll_timeout);
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
        self.latest = now;
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(notice);
            }
            let its_now = now + self.broker_skew;
            if let Some(broker) = &mut self.broker
                && broker.poll_timeout().is_some_and(|at| at <= its_now)
            {
                broker.handle_timeout(its_now);
                self.drain_broker(now);
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
            Flight::ToBroker(peer, op) => {
                if let Some(broker) = &mut self.broker {
                    broker.handle_op(now + self.broker_skew, peer, op);
                    self.drain_broker(now);
                }
            }
            Flight::ToEndpoint(endpoint, generation, op) => {
                if self.links[endpoint].as_ref().is_some_and(|link| link.generation == generation) {
                    self.notices.push_back(Notice::Op(endpoint, op));
                }
            }
            Flight::HungUp(peer) => {
                if let Some(broker) = &mut self.broker {
                    broker.detach(peer);
                    self.drain_broker(now);
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
        let Some(broker) = self.broker.as_mut().filter(|_| !blocked) else {
            return self.notices.push_back(Notice::Down(endpoint, "refused"));
        };
        let peer = broker.attach(now + self.broker_skew, Json::from_value(&serde_json::json!(null)));
        self.endpoint_of.insert(peer, endpoint);
        self.links[endpoint] = Some(Link { generation, peer, last: [now; 2], silent: None });
        self.notices.push_back(Notice::Up(endpoint));
        self.drain_broker(now);
    }

    /// Puts what the broker says onto the links.
    fn drain_broker(&mut self, now: Instant) {
        let mut outbox = Vec::new();
        while let Some(peer) = self.broker.as_mut().and_then(Broker::poll_woken) {
            let Some(broker) = &mut self.broker else { return };
            broker.take_outbox(peer, &mut outbox);
            let closing = broker.close_reason(peer).is_some();
            let Some(&endpoint) = self.endpoint_of.get(&peer) else {
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

    fn say(&mut self, now: Instant, endpoint: usize, op: ServerOp) {
        let faults = self.faults;
        let is_delivery = matches!(op, ServerOp::Deliver { .. });
        let latency = self.latency();
        let Some(link) = &mut self.links[endpoint] else { return };
        if link.silent == Some(Direction::ToEndpoint) {
            return;
        }
        let generation = link.generation;
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
