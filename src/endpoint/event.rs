//! Events for the application, by what they are about.

use std::time::Instant;

use super::Claim;
use crate::base::{Failure, Handle, Weigh};
use crate::client::SessionState;
use crate::socket::{SocketEvent, State};
use crate::wire::{Bundle, Json, Message};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The connection to the fabric changed.
    Session(SessionState),
    /// An attempt to connect failed; the next one follows if there is to be one.
    ConnectFailed(Failure),
    /// The broker refused something with 403.
    Permission(Json),
    /// Something that the application waits for.
    Ticket(Handle, TicketEvent),
    /// Messages for a subscription.
    Subscription(Handle, Delivery),
    /// An event of a socket.
    Socket(Handle, SocketEvent),
    /// An event of a listener.
    Listener(Handle, ListenerEvent),
}

/// What became of something that the application waits for. Only replies are followed by more.
#[derive(Debug, Clone, PartialEq)]
pub enum TicketEvent {
    /// A publish is confirmed.
    Published {
        /// Payload bytes.
        bytes: usize,
        /// The number of receivers.
        count: u64,
    },
    /// A reply.
    Reply(Message),
    /// It is done; of a wait for interest, whether there is any.
    Done(bool),
    /// A list that was asked for.
    Strings(Vec<String>),
    /// It failed.
    Failed(Failure),
}

/// Messages for a subscription.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// One.
    Message(Message),
    /// One that is not to be read after this time.
    Timed(Message, Instant),
    /// Several in a row.
    Bundle(Bundle),
    /// Of a subscription that has a bound: with the room that they take until the application has them.
    Bounded(Box<Delivery>, Claim),
    /// So many more were left out, since the application lagged.
    LeftOut(u64),
}

/// An event of a listener.
#[derive(Debug, Clone, PartialEq)]
pub enum ListenerEvent {
    /// It changed, to anything but closed.
    State(State),
    /// A client has connected.
    Accepted {
        /// The socket's new handle.
        socket: Handle,
        /// The id that the client chose.
        id: String,
        /// The subject of its connect request.
        subject: String,
        /// Whose connection that came over, by the word of the broker.
        user: Option<Json>,
    },
    /// It is closed. `None` if the application wanted it.
    Closed(Option<Failure>),
}

// As the operations of the fabric (`wire/message/op.rs`).
const _: () = assert!(size_of::<Event>() <= 128);

impl Delivery {
    /// Returns the bytes of what is delivered.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Message(message) | Self::Timed(message, _) => message.bytes(),
            Self::Bundle(bundle) => bundle.len() + bundle.subject.as_str().len(),
            Self::Bounded(delivery, _) => size_of::<Self>() + delivery.bytes(),
            Self::LeftOut(_) => 0,
        }
    }
}

impl TicketEvent {
    fn bytes(&self) -> usize {
        match self {
            Self::Reply(message) => message.bytes(),
            Self::Strings(strings) => strings.iter().map(|text| text.len() + size_of::<String>()).sum(),
            Self::Failed(failure) => failure.message.len(),
            Self::Published { .. } | Self::Done(_) => 0,
        }
    }
}

impl ListenerEvent {
    fn bytes(&self) -> usize {
        match self {
            Self::Accepted { id, subject, user, .. } => {
                id.len() + subject.len() + user.as_ref().map_or(0, |user| user.as_bytes().len())
            }
            Self::Closed(Some(failure)) => failure.message.len(),
            Self::State(_) | Self::Closed(None) => 0,
        }
    }
}

impl Weigh for Event {
    fn weight(&self) -> usize {
        let content = match self {
            Self::Socket(_, event) => event.weight(),
            Self::Subscription(_, delivery) => delivery.bytes(),
            Self::Ticket(_, event) => event.bytes(),
            Self::Listener(_, event) => event.bytes(),
            Self::Permission(denial) => denial.as_bytes().len(),
            Self::ConnectFailed(failure) => failure.message.len(),
            Self::Session(_) => 0,
        };
        content + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Code;
    use crate::subject::Subject;
    use crate::wire::{Headers, Payload};

    #[test]
    fn an_event_weighs_its_headers_names_and_texts_as_its_payload() {
        let text = "x".repeat(1000);
        let json = || Json::parse(format!("\"{text}\"").into()).expect("json");
        let message = |headers| Message {
            subject: Subject::parse("a").expect("valid"),
            payload: Payload::msgpack(Vec::new()),
            headers,
        };
        let headed = || message(Headers::default().with_json(Some(json())));
        let named = || message(Headers::default().with_reply(Subject::parse(&text).ok()));
        let failure = || Failure::new(Code::BrokenPipe, &text);
        for event in [
            Event::Subscription(1, Delivery::Message(headed())),
            Event::Subscription(1, Delivery::Message(named())),
            Event::Ticket(1, TicketEvent::Reply(headed())),
            Event::Ticket(1, TicketEvent::Failed(failure())),
            Event::Permission(json()),
            Event::ConnectFailed(failure()),
            Event::Listener(1, ListenerEvent::Closed(Some(failure()))),
            Event::Socket(1, SocketEvent::Unserved(Some(failure()))),
        ] {
            assert!(event.weight() >= size_of::<Event>() + 1000, "{event:?}");
        }
    }
}
