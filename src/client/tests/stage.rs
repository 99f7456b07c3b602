//! A client, and the broker that the test plays by hand.

use super::*;

pub struct Stage {
    pub client: Client<u32>,
    pub now: Instant,
    /// What the broker calls itself.
    pub instance: Option<&'static str>,
}

impl Stage {
    /// A client that has subscribed to `news.>` and `tap`, and is ready.
    pub fn ready() -> Self {
        let client = Client::new(ClientConfig::default(), Box::new(SeededEntropy::new(7)));
        let mut stage = Self { client, now: Instant::now(), instance: Some("first") };
        stage.subscribe(NEWS, "news.>");
        stage.subscribe(TAP, "tap");
        stage.client.connect();
        stage.sign_in();
        stage
    }

    pub fn subscribe(&mut self, token: u32, pattern: &str) {
        let pattern = Pattern::parse(pattern).expect("valid");
        self.client.subscribe(self.now, token, pattern, SubscriptionKind::Shared(None));
    }

    pub fn sign_in(&mut self) {
        let (ack, count) = self.let_in();
        self.added(ack, count);
    }

    /// Up to the subscriptions: how many want to be confirmed, the inbox first.
    pub fn let_in(&mut self) -> (AckId, usize) {
        self.greet();
        let ops = self.ops();
        let [ClientOp::InfoReceived, ClientOp::Subscribe { ack: Some(ack), subscriptions, .. }] =
            ops.as_slice()
        else {
            panic!("no sign-in: {ops:?}")
        };
        (*ack, subscriptions.len())
    }

    /// It dials, and a broker says who it is.
    pub fn greet(&mut self) {
        assert!(self.client.poll_dial());
        self.client.handle_link_up(self.now, crate::base::LinkInfo::default());
        let user = Ok(Json::from_value(&serde_json::Value::Null));
        let info = Info {
            max_payload: 1_000_000,
            id: "0".to_owned(),
            cluster_name: None,
            user,
            instance: self.instance.map(str::to_owned),
            large: None,
            max_message: None,
            monitor: None,
        };
        self.client.handle_op(self.now, ServerOp::Info(info.into()));
    }

    pub fn lose(&mut self) {
        self.client.drop_link();
        assert!(self.client.poll_drop());
        self.client.handle_link_down(self.now, "cut".to_owned());
        self.now += Duration::from_secs(1);
        self.client.handle_timeout(self.now);
    }

    pub fn added(&mut self, ack: AckId, count: usize) {
        let statuses = (0..count).map(|_| Ok(SubscribeStatus::Added)).collect();
        self.client.handle_op(self.now, ServerOp::Ack { id: ack, reply: Reply::Subscribed(statuses) });
    }

    pub fn listed(&mut self, ack: AckId, strings: &[&str]) {
        let reply = Reply::Strings(strings.iter().map(ToString::to_string).collect());
        self.client.handle_op(self.now, ServerOp::Ack { id: ack, reply });
    }

    pub fn ask(&mut self, token: u32, kind: RequestKind) {
        let subject = Subject::parse("list").expect("valid");
        let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
        let timeout = Duration::from_secs(10);
        self.client.request(
            self.now,
            Some(token),
            Request { kind, message, timeout, wait_for_interest: false, ttl: None },
        );
    }

    /// The acknowledgement that the one request about a list wants.
    pub fn list_ack(&mut self) -> AckId {
        let ops = self.ops();
        let [ClientOp::Subscriptions { ack } | ClientOp::Cluster { ack }] = ops.as_slice() else {
            panic!("not one request about a list: {ops:?}")
        };
        *ack
    }

    pub fn ops(&mut self) -> Vec<ClientOp> {
        std::iter::from_fn(|| self.client.poll_op()).collect()
    }

    /// Returns what happened to the two requests.
    pub fn news(&mut self) -> Vec<ClientEvent<u32>> {
        std::iter::from_fn(|| self.client.poll_event())
            .filter(|event| {
                !matches!(
                    event,
                    ClientEvent::Session(_) | ClientEvent::Subscribed(_) | ClientEvent::Heard(..)
                )
            })
            .collect()
    }

    pub fn inbox(&self) -> String {
        format!("{}.*", self.client.inbox())
    }
}
