//! Either end of a socket behind one set of names.

use std::collections::VecDeque;
use std::time::Instant;

use crate::base::Handle;
use crate::socket::{
    ClientSocket, CloseReason, CommandError, Output, ServerSocket, SocketEnd, SocketUsage, Tag, WriteError,
};
use crate::wire::{Bundle, Message, Messages};

/// One socket of an endpoint.
#[derive(Debug)]
pub(super) enum AnySocket {
    Client(Box<ClientSocket>),
    /// With its listener.
    Server(Box<ServerSocket>, Handle),
}

impl AnySocket {
    pub(super) fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<u64, WriteError> {
        match self {
            Self::Client(socket) => socket.write(now, batch, volatile),
            Self::Server(socket, _) => socket.write(now, batch, volatile),
        }
    }

    pub(super) fn try_accept_bundle(&mut self, now: Instant, bundle: &Bundle) -> bool {
        match self {
            Self::Client(socket) => socket.try_accept_bundle(now, bundle),
            Self::Server(socket, _) => socket.try_accept_bundle(now, bundle),
        }
    }

    pub(super) fn consumed(&mut self, now: Instant, count: u64) {
        match self {
            Self::Client(socket) => socket.consumed(now, count),
            Self::Server(socket, _) => socket.consumed(now, count),
        }
    }

    pub(super) fn request(&mut self, ticket: Handle, deadline: Instant) {
        match self {
            Self::Client(socket) => socket.request(ticket, deadline),
            Self::Server(socket, _) => socket.request(ticket, deadline),
        }
    }

    pub(super) fn handle_message(&mut self, now: Instant, message: Message) {
        match self {
            Self::Client(socket) => socket.handle_message(now, message),
            Self::Server(socket, _) => socket.handle_message(now, message),
        }
    }

    pub(super) fn handle_reply(&mut self, now: Instant, tag: Tag, answer: Result<Message, CommandError>) {
        match self {
            Self::Client(socket) => socket.handle_reply(now, tag, answer),
            Self::Server(socket, _) => socket.handle_reply(now, tag, answer),
        }
    }

    pub(super) fn handle_fabric_up(&mut self, now: Instant) {
        match self {
            Self::Client(socket) => socket.handle_fabric_up(now),
            Self::Server(socket, _) => socket.handle_fabric_up(now),
        }
    }

    pub(super) fn handle_fabric_down(&mut self, now: Instant) {
        match self {
            Self::Client(socket) => socket.handle_fabric_down(now),
            Self::Server(socket, _) => socket.handle_fabric_down(now),
        }
    }

    pub(super) fn close(&mut self) {
        match self {
            Self::Client(socket) => socket.close(CloseReason::Local),
            Self::Server(socket, _) => socket.close(CloseReason::Local),
        }
    }

    pub(super) fn supersede(&mut self) {
        if let Self::Server(socket, _) = self {
            socket.supersede();
        }
    }

    pub(super) fn end(&mut self, now: Instant, ticket: Handle, deadline: Instant) {
        match self {
            Self::Client(socket) => socket.end(now, ticket, deadline),
            Self::Server(socket, _) => socket.end(now, ticket, deadline),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Client(socket) => socket.poll_timeout(),
            Self::Server(socket, _) => socket.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Client(socket) => socket.handle_timeout(now),
            Self::Server(socket, _) => socket.handle_timeout(now),
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::Client(socket) => socket.poll_output(),
            Self::Server(socket, _) => socket.poll_output(),
        }
    }

    /// Returns what it has to say.
    pub(super) fn outputs(&mut self) -> &mut VecDeque<Output> {
        match self {
            Self::Client(socket) => socket.outputs(),
            Self::Server(socket, _) => socket.outputs(),
        }
    }

    pub(super) fn usage(&self) -> SocketUsage {
        match self {
            Self::Client(socket) => socket.usage(),
            Self::Server(socket, _) => socket.usage(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Client(socket) => socket.is_closed(),
            Self::Server(socket, _) => socket.is_closed(),
        }
    }
}
