//! Writes the events of a client, and of what belongs to it.

use super::EventBuffer;
use super::kinds::FabricEventKind as Kind;
use crate::base::{Code, Failure, Handle};
use crate::client::{ClientError, SessionState};
use crate::endpoint::{Delivery, Event, ListenerEvent, TicketEvent};
use crate::socket::{Data, SocketEvent, StaleData, State};
use crate::wire::conat::join;
use crate::wire::{Bundle, Info, Item, Json, Message, Messages, push_item};

/// Writes the head and the body of a record.
pub(super) fn write(out: &mut EventBuffer, client: Handle, event: Event) {
    match event {
        Event::Session(state) => session(out, client, &state),
        Event::ConnectFailed(failure) => {
            out.head(Kind::ConnectFailed, client);
            out.failure(&failure);
        }
        Event::Permission(denied) => {
            out.head(Kind::Permission, client);
            out.str(denied.as_str());
        }
        Event::Ticket(ticket, event) => ticket_event(out, ticket, event),
        Event::Subscription(subscription, Delivery::Message(delivered)) => {
            message(out, Kind::Delivered, subscription, &delivered)
        }
        Event::Subscription(subscription, Delivery::Timed(delivered, until)) => {
            out.head(Kind::DeliveredTimed, subscription);
            out.left(until);
            message_body(out, &delivered);
        }
        Event::Subscription(subscription, Delivery::Bundle(delivered)) => {
            bundle(out, subscription, &delivered)
        }
        Event::Subscription(subscription, Delivery::Bounded(delivery, claim)) => {
            write(out, client, Event::Subscription(subscription, *delivery));
            // Only now it is the application's.
            drop(claim);
        }
        Event::Subscription(subscription, Delivery::LeftOut(messages)) => {
            out.head(Kind::LeftOut, subscription);
            out.number(messages);
        }
        Event::Socket(socket, event) => socket_event(out, socket, event),
        Event::Listener(listener, event) => listener_event(out, listener, event),
    }
}

fn session(out: &mut EventBuffer, client: Handle, state: &SessionState) {
    let (number, text) = match state {
        SessionState::Disconnected(reason) => (0, reason.clone()),
        SessionState::Connected(link) => (1, format!("{} {}", link.wire, link.id)),
        SessionState::SignedIn(info) => (2, info_json(info)),
        SessionState::Ready => (3, String::new()),
        SessionState::Closed => (4, String::new()),
        SessionState::SignInFailed(error) => {
            (5, serde_json::json!({ "code": error.code, "message": error.message }).to_string())
        }
        SessionState::Lost(reason) => (6, reason.clone()),
        SessionState::Ending(reason) => {
            out.head(Kind::ClientEnding, client);
            out.u8(u8::from(matches!(reason, ClientError::InboxRefused { .. })));
            return out.failure(&Failure::from(reason.clone()));
        }
    };
    out.head(Kind::ClientState, client);
    out.u8(number);
    out.str(&text);
}

fn ticket_event(out: &mut EventBuffer, ticket: Handle, event: TicketEvent) {
    match event {
        TicketEvent::Published { bytes, count } => {
            out.head(Kind::Published, ticket);
            out.number(bytes as u64);
            out.u32(u32::try_from(count).unwrap_or(u32::MAX));
        }
        TicketEvent::Reply(reply) => message(out, Kind::Reply, ticket, &reply),
        TicketEvent::Done(value) => {
            out.head(Kind::Done, ticket);
            out.u32(value.into());
        }
        TicketEvent::Strings(strings) => {
            out.head(Kind::Strings, ticket);
            out.count(strings.len());
            strings.iter().for_each(|text| out.str(text));
        }
        TicketEvent::Failed(failure) => {
            out.head(Kind::Failed, ticket);
            out.failure(&failure);
        }
    }
}

fn bundle(out: &mut EventBuffer, subscription: Handle, bundle: &Bundle) {
    out.head(Kind::DeliveredMany, subscription);
    out.str(bundle.subject.as_str());
    if bundle.first.is_none() && bundle.attempt.is_none() {
        return out.bytes.extend_from_slice(bundle.packed.raw());
    }
    // Somebody listens to what is for a socket.
    for Message { payload, headers, .. } in bundle.messages() {
        push_item(&mut out.bytes, &payload, join(&headers).as_ref());
    }
}

fn socket_event(out: &mut EventBuffer, socket: Handle, event: SocketEvent) {
    match event {
        SocketEvent::PeerLost(loss) => {
            state(out, Kind::SocketState, socket, State::Disconnected, Some(&loss.failure()), 0);
            out.u8(0);
        }
        SocketEvent::Unreachable => {
            let text = "the broker has lost its upstream, where the other side is";
            let failure = Failure::new(Code::PeerSilent, text);
            state(out, Kind::SocketState, socket, State::Disconnected, Some(&failure), 0);
            out.u8(0);
        }
        SocketEvent::State(now) => {
            state(out, Kind::SocketState, socket, now, None, 0);
            out.u8(0);
        }
        SocketEvent::Closed { failure, undelivered, is_leaving, missing } => {
            state(out, Kind::SocketState, socket, State::Closed, failure.as_ref(), undelivered);
            out.u8(u8::from(is_leaving));
            out.count(usize::try_from(missing).unwrap_or(usize::MAX));
        }
        SocketEvent::Undelivered(Data { seq, payload, json, until }) => {
            out.head(Kind::SocketUndelivered, socket);
            out.number(seq);
            out.u8(u8::from(until.is_some()));
            match until {
                Some(until) => out.left(until),
                None => out.number(0),
            }
            out.json(json.as_ref());
            out.payload(&payload);
        }
        SocketEvent::Data(Messages::One(Item { payload, json })) => {
            out.head(Kind::SocketData, socket);
            out.json(json.as_ref());
            out.payload(&payload);
        }
        SocketEvent::Data(Messages::Packed(packed)) => {
            out.head(Kind::SocketDataMany, socket);
            out.bytes.extend_from_slice(packed.raw());
        }
        SocketEvent::Timed { item: Item { payload, json }, until, number } => {
            out.head(Kind::SocketTimed, socket);
            out.u8(u8::from(until.is_some()));
            match until {
                Some(until) => out.left(until),
                None => out.number(0),
            }
            out.number(number);
            out.json(json.as_ref());
            out.payload(&payload);
        }
        SocketEvent::Stale(StaleData { number, bytes, had_left }) => {
            out.head(Kind::SocketStale, socket);
            out.u8(u8::from(had_left));
            out.number(number);
            out.number(bytes as u64);
        }
        SocketEvent::Dropped(number) => {
            out.head(Kind::SocketStale, socket);
            out.u8(2);
            out.number(number);
            out.number(0);
        }
        SocketEvent::Request(request) => message(out, Kind::SocketRequestReceived, socket, &request),
        SocketEvent::Acked { messages, bytes } => {
            out.head(Kind::SocketAcked, socket);
            out.number(messages);
            out.number(bytes);
        }
        SocketEvent::Counters(counters) => {
            out.head(Kind::SocketCounters, socket);
            out.number(counters.resent);
            out.number(counters.duplicates);
            out.number(counters.foreign);
        }
        SocketEvent::RequestFailed { key, failure, is_unhandled } => {
            out.head(Kind::SocketRequestFailed, socket);
            out.number(key);
            out.failure(&failure);
            out.u8(u8::from(is_unhandled));
        }
        SocketEvent::RequestDone { key } => {
            out.head(Kind::SocketRequestDone, socket);
            out.number(key);
        }
        SocketEvent::Bound(server) => {
            out.head(Kind::SocketBound, socket);
            out.str(&server);
        }
        SocketEvent::Unserved(why) => {
            out.head(Kind::SocketUnserved, socket);
            out.opt_failure(why.as_ref());
        }
        SocketEvent::ChooseServer => out.head(Kind::ChooseServer, socket),
        SocketEvent::Unwelcome(failure) => {
            out.head(Kind::SocketUnwelcome, socket);
            out.failure(&failure);
        }
        SocketEvent::Collected => out.head(Kind::SocketCollected, socket),
    }
}

fn listener_event(out: &mut EventBuffer, listener: Handle, event: ListenerEvent) {
    match event {
        ListenerEvent::State(now) => state(out, Kind::ListenerState, listener, now, None, 0),
        ListenerEvent::Closed(failure) => {
            state(out, Kind::ListenerState, listener, State::Closed, failure.as_ref(), 0)
        }
        ListenerEvent::Accepted { socket, id, subject, user } => {
            out.head(Kind::Accepted, listener);
            out.u32(socket);
            out.str(&id);
            out.str(&subject);
            out.json(user.as_ref());
        }
    }
}

fn state(
    out: &mut EventBuffer,
    kind: Kind,
    handle: Handle,
    state: State,
    failure: Option<&Failure>,
    undelivered: usize,
) {
    out.head(kind, handle);
    out.u8(match state {
        State::Disconnected => 0,
        State::Connecting => 1,
        State::Ready => 2,
        State::Closed => 3,
    });
    out.opt_failure(failure);
    out.count(undelivered);
}

fn message(out: &mut EventBuffer, kind: Kind, handle: Handle, message: &Message) {
    out.head(kind, handle);
    message_body(out, message);
}

fn message_body(out: &mut EventBuffer, message: &Message) {
    out.str(message.subject.as_str());
    let headers = &message.headers;
    // The reply subject has its own field; the others are there only when somebody speaks the sockets'
    // protocol by hand.
    if headers.command.is_some() || headers.seq().is_some() || headers.attempt().is_some() {
        out.json(join(headers).as_ref());
    } else {
        out.json(headers.json.as_ref());
    }
    out.opt_str(headers.reply.as_ref().map(|reply| reply.as_str()));
    out.payload(&message.payload);
}

fn info_json(info: &Info) -> String {
    // The user as the text that it is: not all that JavaScript has in one is a value here.
    let user = info.user.as_ref().map_or("null", Json::as_str);
    let name = info.cluster_name.as_deref();
    let name = name.map_or(String::new(), |name| format!(",\"clusterName\":{}", quoted(name)));
    let Info { max_payload, id, .. } = info;
    let max_message = info.max_message.map_or(String::new(), |bytes| format!(",\"max_message\":{bytes}"));
    let monitor = info.monitor.map_or(String::new(), |interval| format!(",\"monitor\":{interval}"));
    format!(
        "{{\"max_payload\":{max_payload},\"id\":{},\"user\":{user}{name}{max_message}{monitor}}}",
        quoted(id)
    )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
