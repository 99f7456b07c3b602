//! One life of a client's end: what its application does, and when its timers fire.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use selvedge::base::{Entropy, SeededEntropy};
use selvedge::socket::{
    ClientSocket, Listener, Output, PeerLoss, ServerSocket, SocketConfig, SocketEnd, SocketEvent, State, Tag,
    TagSource,
};
use selvedge::wire::{Json, Message, SocketCommand};
use serde_json::{Value, json};

use super::lines::Lines;
use super::network::{Network, Question};
use crate::dice::Dice;

pub const ID: &str = "page";

/// What happens later.
pub type Todo = Box<dyn FnOnce(&mut Story)>;

pub struct Story {
    seed: u64,
    pub now: Instant,
    pub dice: Dice,
    pub lines: Lines,
    pub client: ClientSocket,
    pub config: SocketConfig,
    pub server_config: SocketConfig,
    pub listener: Listener,
    pub server: Option<ServerSocket>,
    pub network: Network,
    /// In the order of its time.
    agenda: BTreeMap<(Instant, u64), Todo>,
    todos: u64,
    /// The client's machine was given something, and is to be flushed.
    pub has_news: bool,
    /// The latest question that is reported when nobody gets it.
    pub probe: Option<Tag>,
    pub tags: SeededEntropy,
    pub written: u32,
    pub asked: u64,
    /// What the server's end has written, and asked.
    pub server_written: u32,
    pub server_asked: u64,
    pub is_ending: bool,
    /// Since when it is not ready.
    pub away_since: Option<Instant>,
}

impl Story {
    #[allow(clippy::disallowed_methods)]
    pub fn new(seed: u64) -> Self {
        let (now, mut dice) = (Instant::now(), Dice::new(seed));
        let config = any_config(&mut dice);
        let server_config = any_config(&mut dice);
        let mut client = ClientSocket::new("s", ID, config.clone()).expect("valid");
        client.offer_streams(TagSource::new(Box::new(SeededEntropy::new(seed))));
        let mut listener = Listener::new("s", "server".into(), &server_config).expect("valid");
        (0..3).for_each(|_| listener.handle_subscribed());
        Self {
            seed,
            now,
            dice,
            lines: Lines::new(now),
            client,
            config,
            server_config,
            listener,
            server: None,
            network: Network::default(),
            agenda: BTreeMap::new(),
            todos: 0,
            has_news: false,
            probe: None,
            tags: SeededEntropy::new(!seed),
            written: 0,
            asked: 0,
            server_written: 0,
            server_asked: 0,
            is_ending: false,
            away_since: None,
        }
    }

    /// Tells it, and returns it.
    pub fn tell(mut self) -> Value {
        self.plan();
        self.run(5 * MINUTE);
        let Self { seed, lines, config, .. } = self;
        let mut hasher = DefaultHasher::new();
        ID.hash(&mut hasher);
        let (keep_alive, resume) = (config.keep_alive, config.resume_timeout);
        let millis = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(0));
        json!({
            "seed": seed,
            "place": SeededEntropy::new(hasher.finish()).fraction(),
            "maxQueueSize": config.max_queue,
            "maxQueueBytes": config.max_queue_bytes,
            "keepAlive": millis(keep_alive),
            "keepAliveTimeout": millis(Some(config.keep_alive_timeout)),
            "resumeTimeout": millis(resume),
            "reconnection": config.reconnection,
            "given": lines.given,
            "said": lines.said,
        })
    }

    pub fn after(&mut self, delay: Duration, todo: impl FnOnce(&mut Story) + 'static) {
        self.todos += 1;
        self.agenda.insert((self.now + delay, self.todos), Box::new(todo));
    }

    /// What both applications do, and what the network does to them.
    fn plan(&mut self) {
        self.has_news = true;
        self.bring_up_server();
        self.bring_up_client();
        for _ in 0..4 + self.dice.below(14) {
            let at = self.network_time(0, 12_000);
            match self.dice.below(12) {
                0..=2 => self.after(at, |story| story.write_some()),
                3..=5 => self.after(at, |story| story.server_writes()),
                6 => self.after(at, |story| story.ask()),
                7 => self.after(at, |story| story.server_asks()),
                8 => self.after(at, |story| story.lose_for_a_while()),
                9 => self.after(at, |story| story.cut_client()),
                10 => self.after(at, |story| story.cut_server()),
                _ => self.after(at, |story| story.detach_by_hand()),
            }
        }
        if self.dice.chance(0.1) {
            let at = self.network_time(0, 120);
            self.after(at, |story| story.close());
        }
        let at = self.network_time(13_000, 20_000);
        match self.dice.below(8) {
            0 | 1 => self.after(at, |story| story.end()),
            2 => self.after(at, |story| story.close()),
            3 => self.after(at, |story| story.server_closes()),
            4 => self.after(at, |story| story.server_leaves()),
            5 => self.after(at, |story| story.server_dies()),
            6 => {
                // One after the other, in either order.
                self.after(at, |story| story.cut_client());
                let other = self.network_time(13_000, 20_000).clamp(at - 20 * MILLISECOND, at + SECOND);
                self.after(other, |story| story.end());
            }
            _ => {}
        }
        // Long enough for any timer, and then it ends.
        self.after(2 * MINUTE, |story| story.end());
    }

    /// A time in ms, in eighths: JavaScript's numbers hold them exactly.
    pub fn network_time(&mut self, from: usize, to: usize) -> Duration {
        let eighths = 8 * from + self.dice.below(8 * (to - from));
        Duration::from_micros(125 * (eighths as u64 + 1))
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        loop {
            let server = self.server.as_ref().and_then(SocketEnd::poll_timeout);
            let todo = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let next = [self.client.poll_timeout(), server, todo].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else { return };
            self.now = next.max(self.now);
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
                entry.remove()(self);
            }
            self.settle();
            if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
                self.client.handle_timeout(self.now);
                self.has_news = true;
            }
            if let Some(server) = self.server.as_mut() {
                if server.poll_timeout().is_some_and(|at| at <= self.now) {
                    server.handle_timeout(self.now);
                }
                server.flush(self.now);
            }
            self.settle();
        }
    }

    /// What was begun at this moment is carried out.
    fn settle(&mut self) {
        if std::mem::take(&mut self.has_news) {
            // What comes is handed to the application before anything leaves.
            self.drain_client();
            self.client.flush(self.now);
            self.drain_client();
        }
        self.drain_server();
    }

    fn drain_client(&mut self) {
        while let Some(output) = self.client.poll_output() {
            self.carry_out(output);
        }
        while self.client.waits_for_turn() {
            self.client.flush(self.now);
            while let Some(output) = self.client.poll_output() {
                self.carry_out(output);
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Publish(message) => self.client_sends(message),
            Output::PublishBundle(bundle) => {
                bundle.messages().for_each(|message| self.lines.say_frame(now, &message));
                self.post_bundle_to_server(&bundle);
            }
            Output::Probe { tag, message, .. } => {
                self.probe = Some(tag);
                self.client_sends(*message);
                self.report_probe(tag);
            }
            Output::Request { tag, message, timeout, .. } => self.client_asks(tag, *message, timeout),
            Output::Cancel(tag) => self.network.forget(tag),
            Output::AwaitInterest { tag, .. } => {
                self.lines.say(now, json!(["look"]));
                self.answer_look(tag);
            }
            // Whoever is told of its server's ends knows the answer.
            Output::LookUpPeer => self.client.handle_missed(now),
            Output::Subscribe(_) => self.confirm_subscription(),
            Output::Unsubscribe(_) => {
                (self.network.is_subscribed, self.network.is_subscribing) = (false, false);
            }
            Output::Ended(_) => self.lines.say(now, json!(["ended"])),
            Output::Event(event) => self.handle_event(event),
            _ => {}
        }
    }

    fn client_sends(&mut self, message: Message) {
        match message.headers.command {
            None => self.lines.say_frame(self.now, &message),
            Some(SocketCommand::Close) => {
                let json = message.headers.json.as_ref().map_or(Value::Null, Json::to_value);
                self.lines.say(self.now, json!(["bye", json["for"]]));
            }
            Some(_) => {}
        }
        self.post_to_server(message);
    }

    fn client_asks(&mut self, tag: Tag, message: Message, timeout: Duration) {
        let is_connect = message.headers.command == Some(SocketCommand::Connect);
        if message.headers.command == Some(SocketCommand::Close) {
            // A request, for servers of Conat; nobody waits for the answer.
            return self.client_sends(message);
        }
        let attempt = is_connect.then(|| message.headers.attempt()).flatten();
        let question = Question { number: 0, attempt, is_delivered: false };
        if self.network.open(tag, question, timeout) {
            if is_connect {
                self.lines.say_connect(self.now, &message);
            } else {
                self.lines.say(self.now, json!(["find"]));
            }
        }
        self.put_question(tag, message, timeout);
    }

    fn handle_event(&mut self, event: SocketEvent) {
        let now = self.now;
        match event {
            SocketEvent::State(state) => {
                self.watch_server();
                let name = match state {
                    State::Disconnected => "disconnected",
                    State::Connecting => "connecting",
                    State::Ready => "ready",
                    State::Closed => return,
                };
                self.away_since = match state {
                    State::Ready => None,
                    _ => self.away_since.or(Some(now)),
                };
                self.lines.say(now, json!(["state", name, null]));
            }
            SocketEvent::PeerLost(loss) => {
                let code = if loss == PeerLoss::Ended { "ERR_PEER_ENDED" } else { "ERR_PEER_SILENT" };
                self.away_since.get_or_insert(now);
                self.lines.say(now, json!(["state", "disconnected", code]));
            }
            SocketEvent::Data(messages) => {
                self.lines.say_got(now, &messages);
                messages.items().for_each(|item| self.take(item));
            }
            SocketEvent::Acked { messages, .. } => self.lines.say(now, json!(["acked", messages])),
            SocketEvent::RequestFailed { key, failure, is_unhandled } => {
                self.lines.say_failed(now, key, &failure, is_unhandled);
            }
            SocketEvent::Undelivered(data) => self.lines.say(now, json!(["undelivered", data.seq])),
            SocketEvent::Closed { failure, missing, is_leaving, .. } => {
                let code = failure.map(|failure| failure.code.to_string());
                self.lines.say(now, json!(["closed", code, missing, is_leaving]));
            }
            _ => {}
        }
    }
}

fn any_config(dice: &mut Dice) -> SocketConfig {
    let keep_alive = dice.pick(&[45_000, 45_000, 3000]);
    SocketConfig {
        max_queue: dice.pick(&[1000, 1000, 20, 5]),
        max_queue_bytes: dice.pick(&[64 << 20, 64 << 20, 1000]),
        keep_alive: Some(Duration::from_millis(keep_alive)),
        keep_alive_timeout: Duration::from_millis(keep_alive * 2 / 3),
        command_timeout: Duration::from_secs(4),
        reconnection: dice.chance(0.85),
        resume_timeout: dice.pick(&[None, None, Some(Duration::from_secs(6))]),
        ..SocketConfig::default()
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
