//! Writes events for JavaScript, packed into one byte string (`docs/internals/boundary.md`, "Events").

use bytes::Bytes;

use crate::base::{Failure, Handle};
use crate::boundary::{BrokerEvent, HostEvent, SocketyServerEvent};
use crate::broker::{Action, AuthRequest, AuthRequestId, PeerId};
use crate::client::{ClientError, SessionState};
use crate::endpoint::Event;
use crate::link::{ListenAddress, PipeEvent};
use crate::socket::State;
use crate::sockety;
use crate::wire::conat::join;
use crate::wire::{Encoding, Info, Item, Json, Message, Messages, Payload, push_item};

/// One buffer, and the payloads that are too big for it.
#[derive(Debug, Default)]
pub struct EventBuffer {
    /// The records.
    pub bytes: Vec<u8>,
    /// Each becomes a buffer of its own.
    pub big: Vec<Bytes>,
    /// The last record is a *socket data* of many, of this socket: it begins here, and the next message joins
    /// it.
    run: Option<(Handle, usize)>,
}

impl EventBuffer {
    /// Appends one record.
    pub fn put(&mut self, news: HostEvent) {
        let news = match news {
            HostEvent::Fabric(_, Event::Data { socket, batch: Messages::Packed(run) }) => {
                return self.data(socket, |out| out.extend_from_slice(run.raw()));
            }
            HostEvent::Fabric(_, Event::Data { socket, batch: Messages::One(Item { payload, json }) })
                if payload.raw.len() <= MAX_INLINE_PAYLOAD_BYTES =>
            {
                return self.data(socket, |out| push_item(out, &payload, json.as_ref()));
            }
            other => other,
        };
        self.run = None;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        match news {
            HostEvent::Fabric(client, event) => self.event(client, event),
            HostEvent::Broker(broker, event) => self.broker_event(broker, event),
            HostEvent::Pipe(pipe, news) => self.pipe(pipe, news),
            HostEvent::Sockety(connection, event) => self.sockety(connection, event),
            HostEvent::SocketyServer(server, event) => self.sockety_server(server, event),
        }
        self.close(start);
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.big.clear();
        self.run = None;
    }

    /// Writes more messages of a socket, in the same record as those before if possible.
    fn data(&mut self, socket: Handle, push: impl FnOnce(&mut Vec<u8>)) {
        let start = match self.run {
            Some((open, start)) if open == socket => start,
            _ => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(&[0; 4]);
                self.head(40, socket);
                self.run = Some((socket, start));
                start
            }
        };
        push(&mut self.bytes);
        self.close(start);
    }

    /// Fills in the length of the record that began at `start`.
    fn close(&mut self, start: usize) {
        let length = u32::try_from(self.bytes.len() - start - 4).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn event(&mut self, client: Handle, event: Event) {
        match event {
            Event::Delivered { subscription, message } => self.message(1, subscription, &message),
            Event::DeliveredBundle { subscription, bundle } => {
                self.head(41, subscription);
                self.str(bundle.subject.as_str());
                if bundle.first.is_none() && bundle.attempt.is_none() {
                    return self.bytes.extend_from_slice(bundle.packed.raw());
                }
                // Somebody listens to what is for a socket.
                for Message { payload, headers, .. } in bundle.messages() {
                    push_item(&mut self.bytes, &payload, join(&headers).as_ref());
                }
            }
            Event::Published { ticket, bytes, count } => {
                self.head(2, ticket);
                self.number(bytes as u64);
                self.u32(u32::try_from(count).unwrap_or(u32::MAX));
            }
            Event::Reply { ticket, message } => self.message(3, ticket, &message),
            Event::Done { ticket, value } => {
                self.head(4, ticket);
                self.u32(value.into());
            }
            Event::Strings { ticket, strings } => {
                self.head(16, ticket);
                self.u32(u32::try_from(strings.len()).unwrap_or(u32::MAX));
                strings.iter().for_each(|text| self.str(text));
            }
            Event::Failed { ticket, failure } => {
                self.head(5, ticket);
                self.str(&failure.code.as_str());
                self.str(&failure.message);
            }
            Event::Session(state) => self.session(client, &state),
            Event::Socket { socket, state } => self.state(7, socket, state, None, 0),
            Event::SocketClosed { socket, failure, undelivered } => {
                self.state(7, socket, State::Closed, failure.as_ref(), undelivered);
            }
            Event::Data { socket, batch: Messages::One(Item { payload, json }) } => {
                self.head(8, socket);
                self.json(json.as_ref());
                self.payload(&payload);
            }
            // They have a record of their own in `put`.
            Event::Data { batch: Messages::Packed(_), .. } => {}
            Event::Request { socket, message } => self.message(9, socket, &message),
            Event::Acked { socket, total, bytes } => {
                self.head(10, socket);
                self.number(total);
                self.number(bytes);
            }
            Event::Undelivered { socket, seq, payload, json } => {
                self.head(34, socket);
                self.number(seq);
                self.json(json.as_ref());
                self.payload(&payload);
            }
            Event::Collected(socket) => self.head(35, socket),
            Event::Counted { socket, resent, duplicates } => {
                self.head(36, socket);
                self.number(resent);
                self.number(duplicates);
            }
            Event::Accepted { listener, socket, id, subject } => {
                self.head(11, listener);
                self.u32(socket);
                self.str(&id);
                self.str(&subject);
            }
            Event::Listener { listener, state } => self.state(12, listener, state, None, 0),
            Event::ListenerClosed { listener, failure } => {
                self.state(12, listener, State::Closed, failure.as_ref(), 0)
            }
            Event::ChooseServer(socket) => self.head(13, socket),
            Event::ConnectFailed(failure) => {
                self.head(30, client);
                self.str(&failure.code.as_str());
                self.str(&failure.message);
            }
            Event::Permission(news) => {
                self.head(14, client);
                self.str(news.as_str());
            }
        }
    }

    fn session(&mut self, client: Handle, state: &SessionState) {
        let (number, text) = match state {
            SessionState::Disconnected(reason) => (0, reason.clone()),
            SessionState::Connected(id) => (1, id.clone()),
            SessionState::SignedIn(info) => (2, info_json(info)),
            SessionState::Ready => (3, String::new()),
            SessionState::Closed => (4, String::new()),
            SessionState::Ending(why) => return self.ending(client, why),
            SessionState::SignInFailed(reason) => (5, reason.clone()),
        };
        self.head(6, client);
        self.bytes.push(number);
        self.str(&text);
    }

    fn ending(&mut self, client: Handle, why: &ClientError) {
        let failure = Failure::from(why.clone());
        self.head(70, client);
        self.bytes.push(u8::from(matches!(why, ClientError::InboxRefused { .. })));
        self.str(&failure.code.as_str());
        self.str(&failure.message);
    }

    fn state(
        &mut self,
        kind: u8,
        handle: Handle,
        state: State,
        failure: Option<&Failure>,
        undelivered: usize,
    ) {
        self.head(kind, handle);
        self.bytes.push(match state {
            State::Disconnected => 0,
            State::Connecting => 1,
            State::Ready => 2,
            State::Closed => 3,
        });
        self.opt_str(failure.map(|failure| failure.code.as_str()).as_deref());
        self.str(failure.map_or("", |failure| &failure.message));
        self.u32(u32::try_from(undelivered).unwrap_or(u32::MAX));
    }

    fn broker_event(&mut self, broker: Handle, event: BrokerEvent) {
        match event {
            BrokerEvent::Ready(None) => self.broker(broker, 1, None, ""),
            BrokerEvent::Ready(Some(place)) => self.broker(broker, 1, None, &listening_json(&place)),
            BrokerEvent::Drained => self.broker(broker, 2, None, ""),
            BrokerEvent::Closed => self.broker(broker, 4, None, ""),
            BrokerEvent::Failed(failure) => {
                self.broker(broker, 5, Some(&failure.code.as_str()), &failure.message)
            }
            BrokerEvent::Auth(request) => self.auth_request(broker, request),
        }
    }

    fn broker(&mut self, broker: Handle, state: u8, code: Option<&str>, text: &str) {
        self.head(15, broker);
        self.bytes.push(state);
        self.opt_str(code);
        self.str(text);
    }

    fn auth_request(&mut self, broker: Handle, auth_request: AuthRequest) {
        match auth_request {
            AuthRequest::Authenticate { request, peer, connection } => {
                self.head(20, broker);
                self.request(request, peer);
                let headers: Vec<_> = connection.headers.iter().map(|(name, value)| [name, value]).collect();
                let certificate = connection.certificate.map(|shown| {
                    serde_json::json!({ "fingerprint256": shown.fingerprint256, "subjectAltNames": shown.alternative_names })
                });
                let text = serde_json::json!({
                    "id": connection.id, "address": connection.address, "headers": headers, "certificate": certificate,
                });
                self.str(&text.to_string());
            }
            AuthRequest::Authorize { request, peer, action, subject } => {
                self.head(21, broker);
                self.request(request, peer);
                self.bytes.push(u8::from(action == Action::Subscribe));
                self.str(&subject);
            }
            AuthRequest::Disconnected(peer) => {
                self.head(22, broker);
                self.number(peer.serial());
            }
        }
    }

    fn request(&mut self, request: AuthRequestId, peer: PeerId) {
        self.bytes.extend_from_slice(&request.to_le_bytes());
        self.number(peer.serial());
    }

    fn pipe(&mut self, pipe: Handle, news: PipeEvent) {
        match news {
            PipeEvent::Bytes(raw) => {
                self.head(31, pipe);
                self.payload(&Payload { encoding: Encoding(0), raw });
            }
            PipeEvent::Consumed(count) => {
                self.head(32, pipe);
                self.u32(u32::try_from(count).unwrap_or(u32::MAX));
            }
            PipeEvent::End => self.head(33, pipe),
        }
    }

    fn sockety(&mut self, connection: Handle, event: sockety::Event) {
        match event {
            sockety::Event::Opened => self.head(80, connection),
            sockety::Event::Records(records) => {
                self.head(81, connection);
                self.bytes.extend_from_slice(records.raw());
            }
            sockety::Event::Data { number, part, bytes } => {
                self.head(82, connection);
                self.u32(number);
                self.u32(part.number());
                self.payload(&Payload { encoding: Encoding(0), raw: bytes });
            }
            sockety::Event::Closed(failure) => self.failure(83, connection, failure.as_ref()),
            sockety::Event::Finished(failure) => self.failure(84, connection, failure.as_ref()),
        }
    }

    fn sockety_server(&mut self, server: Handle, event: SocketyServerEvent) {
        match event {
            SocketyServerEvent::Accepted(connection, address) => {
                self.head(85, server);
                self.u32(connection);
                self.opt_str(address.map(|address| address.ip().to_string()).as_deref());
                self.u32(address.map_or(0, |address| address.port().into()));
            }
            SocketyServerEvent::Listening(address) => {
                self.head(86, server);
                self.str(&listening_json(&address));
            }
            SocketyServerEvent::Closed => self.failure(87, server, None),
            SocketyServerEvent::Failed(failure) => self.failure(87, server, Some(&failure)),
        }
    }

    fn failure(&mut self, kind: u8, handle: Handle, failure: Option<&Failure>) {
        self.head(kind, handle);
        self.opt_str(failure.map(|failure| failure.code.as_str()).as_deref());
        self.str(failure.map_or("", |failure| &failure.message));
    }

    fn message(&mut self, kind: u8, handle: Handle, message: &Message) {
        self.head(kind, handle);
        self.str(message.subject.as_str());
        let headers = &message.headers;
        // The reply subject has its own field; the others are present only if an application speaks the
        // sockets' protocol by hand.
        if headers.command.is_some() || headers.seq.is_some() || headers.attempt.is_some() {
            self.json(join(headers).as_ref());
        } else {
            self.json(headers.json.as_ref());
        }
        self.opt_str(message.headers.reply.as_ref().map(|reply| reply.as_str()));
        self.payload(&message.payload);
    }

    fn payload(&mut self, payload: &Payload) {
        self.bytes.push(payload.encoding.0);
        if payload.raw.len() > MAX_INLINE_PAYLOAD_BYTES {
            self.big.push(payload.raw.clone());
            self.u32(u32::try_from(self.big.len()).unwrap_or(u32::MAX));
        } else {
            self.u32(0);
            self.bytes.extend_from_slice(&payload.raw);
        }
    }

    fn head(&mut self, kind: u8, handle: Handle) {
        self.bytes.push(kind);
        self.u32(handle);
    }

    fn json(&mut self, json: Option<&Json>) {
        self.opt_str(json.map(Json::as_str));
    }

    fn opt_str(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.str(text),
            None => self.u32(u32::MAX),
        }
    }

    fn str(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// Converts to a JavaScript number, exact up to 2^53.
    fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&(number as f64).to_le_bytes());
    }
}

fn listening_json(place: &ListenAddress) -> String {
    let value = match place {
        ListenAddress::Net(address) => serde_json::json!({
            "address": address.ip().to_string(),
            "family": if address.is_ipv4() { "IPv4" } else { "IPv6" },
            "port": address.port(),
        }),
        ListenAddress::Unix(path) => {
            serde_json::json!({ "address": path.to_string_lossy(), "family": "Unix", "port": 0 })
        }
    };
    value.to_string()
}

fn info_json(info: &Info) -> String {
    let user = info.user.as_ref().map_or(serde_json::Value::Null, Json::to_value);
    let mut value = serde_json::json!({ "max_payload": info.max_payload, "id": info.id, "user": user });
    if let Some(name) = &info.cluster_name {
        value["clusterName"] = name.as_str().into();
    }
    value.to_string()
}

/// Larger payloads get a buffer of their own: packing them costs more in fresh memory than a buffer does.
const MAX_INLINE_PAYLOAD_BYTES: usize = 32 * 1024;
