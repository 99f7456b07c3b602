//! The server of a transcript: a listener, and its end of the socket.

use std::time::Duration;

use selvedge::base::Entropy;
use selvedge::socket::{
    AskTerms, Consumed, Leaving, ListenerAction, ListenerEntry, Output, ServerSocket, SocketEnd, SocketEvent,
    draw_tag,
};
use selvedge::wire::stream::{Answer, Class, Request, key};
use selvedge::wire::{Item, Message, Messages, Presence};

use super::application::{data, short};
use super::story::{ID, Story};

const HANDLE: u32 = 1;

impl Story {
    pub fn server_hears(&mut self, message: Message) {
        if message.subject.as_str().ends_with(".server.status") {
            self.listener.handle_status(self.now, &message);
        } else {
            let action = self.listener.handle_message(self.now, message);
            self.follow(action);
        }
        self.drain_server();
    }

    fn follow(&mut self, action: ListenerAction) {
        match action {
            ListenerAction::Done => {}
            ListenerAction::Socket(_, message) => {
                if let Some(server) = &mut self.server {
                    server.handle_message(self.now, message);
                    server.flush(self.now);
                }
            }
            ListenerAction::Supersede(_, message) => {
                self.server = None;
                self.listener.remove(ID);
                let action = self.listener.handle_message(self.now, message);
                self.follow(action);
            }
            ListenerAction::Accept { id, client, connect, epoch, offer, .. } => {
                let Some(offer) = offer else { return };
                let tag = draw_tag(&mut self.tags as &mut dyn Entropy);
                let config = self.server_config.clone();
                let mut server = ServerSocket::with_stream(self.now, client, config, &offer, tag);
                server.accept(&connect, offer.tag);
                let entry = ListenerEntry {
                    socket: HANDLE,
                    epoch,
                    attempt: connect.headers.attempt(),
                    origin: None,
                    has_stream: true,
                    is_unproven: false,
                };
                self.listener.insert(id, entry);
                self.server = Some(server);
            }
        }
    }

    pub fn drain_server(&mut self) {
        while let Some(output) = self.listener.poll_output() {
            match output {
                Output::Publish(message) => self.post_to_client(message),
                Output::Respond(message) => self.post_reply(message),
                Output::AwaitInterest { tag, .. } => {
                    let there = self.network.has_client && self.network.is_subscribed;
                    let action = self.listener.handle_interest(tag, there);
                    self.follow(action);
                }
                _ => {}
            }
        }
        while let Some(output) = self.server.as_mut().and_then(SocketEnd::poll_output) {
            match output {
                Output::Publish(message) => self.post_to_client(message),
                Output::PublishBundle(bundle) => self.post_bundle_to_client(&bundle),
                Output::Probe { message, .. } => self.post_to_client(*message),
                Output::LookUpPeer => {
                    let now = self.now;
                    self.server.iter_mut().for_each(|server| server.handle_missed(now));
                }
                Output::Event(SocketEvent::Data(messages)) => {
                    messages.items().for_each(|item| self.server_takes(item));
                }
                Output::Event(SocketEvent::Closed { .. }) => {
                    self.drain_closed_server();
                    return;
                }
                _ => {}
            }
        }
    }

    /// What it says last leaves, too.
    fn drain_closed_server(&mut self) {
        self.listener.remove(ID);
        let Some(mut server) = self.server.take() else { return };
        while let Some(output) = server.poll_output() {
            if let Output::Publish(message) = output {
                self.post_to_client(message);
            }
        }
    }

    fn with_server(&mut self, act: impl FnOnce(&mut ServerSocket, std::time::Instant)) {
        let now = self.now;
        if let Some(server) = &mut self.server {
            act(server, now);
            server.flush(now);
        }
        self.drain_server();
    }

    fn server_takes(&mut self, item: Item) {
        let (now, class) = (self.now, item.payload.encoding.class());
        let counts = match class {
            Some(Class::Answer) => Consumed { answers: 1, ..Consumed::default() },
            Some(Class::Request) => Consumed { requests: 1, ..Consumed::default() },
            _ => Consumed::data(1),
        };
        let delay = if self.dice.chance(0.5) { Duration::ZERO } else { self.network_time(0, 300) };
        if class == Some(Class::Answer) {
            self.server.iter_mut().for_each(|server| server.consumed(now, counts));
            return;
        }
        self.after(delay, move |story| story.with_server(|server, now| server.consumed(now, counts)));
        if class == Some(Class::Request) && self.dice.chance(0.8) {
            let key = key(&item.payload.raw).expect("a key");
            let delay = self.network_time(1, 900);
            self.after(delay, move |story| {
                let answer = Messages::one(Answer { key, payload: short(key) }.encode(false), None);
                story.with_server(|server, now| {
                    let _ = server.write(now, answer, false);
                });
            });
        }
    }

    pub fn server_writes(&mut self) {
        for _ in 0..=self.dice.below(7) {
            let (n, size) = (self.server_written + 1, self.dice.below(40));
            let (payload, json) = data(n, size);
            let (now, message) = (self.now, Messages::one(payload, json));
            let is_written =
                self.server.as_mut().is_some_and(|server| server.write(now, message, false).is_ok());
            self.server_written += u32::from(is_written);
        }
        self.with_server(|_, _| {});
    }

    pub fn server_asks(&mut self) {
        let timeout = self.dice.pick(&[0, 700, 20_000]);
        let key = self.server_asked + 1;
        let payload = Request { key, timeout, payload: short(key) }.encode(false);
        let (now, item) = (self.now, Item { payload, json: None });
        let is_asked =
            self.server.as_mut().is_some_and(|server| server.ask(now, item, AskTerms::default()).is_ok());
        self.server_asked += u64::from(is_asked);
        self.with_server(|_, _| {});
    }

    pub fn server_closes(&mut self) {
        self.with_server(|server, _| server.close_by_application(None));
    }

    /// Its listener ends in order.
    pub fn server_leaves(&mut self) {
        self.with_server(|server, _| {
            server.note_leaving(Leaving::Asked);
            server.close_by_application(None);
        });
    }

    /// What its broker says of the client.
    pub fn tell_server(&mut self, presence: Presence) {
        let delay = self.network_time(1, 40);
        self.after(delay, move |story| {
            if story.network.has_server {
                story.with_server(|server, now| {
                    server.handle_presence(now, selvedge::socket::WatchedEnd::Peer, presence, 1);
                });
            }
        });
    }
}
