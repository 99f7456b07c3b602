//! Events for JavaScript, grouped by the system that they come from.

use std::net::SocketAddr;

use crate::base::{Failure, Handle, Machine, Weigh};
use crate::broker::{AuthRequest, UpstreamState};
use crate::endpoint::{self, Endpoint};
use crate::link::{ListenAddress, PageRequest, PipeEvent};
use crate::sockety;

/// One event. A system of more than one object names the object in its own events.
#[derive(Debug, Clone, PartialEq)]
pub enum HostEvent {
    /// Of a client, and all that belongs to it.
    Fabric(Handle, endpoint::Event),
    /// Of an embedded broker.
    Broker(Handle, BrokerEvent),
    /// Of a pipe.
    Pipe(Handle, PipeEvent),
    /// Of a Sockety connection.
    Sockety(Handle, sockety::Event),
    /// Of a Sockety server.
    SocketyServer(Handle, SocketyServerEvent),
}

/// Events of an embedded broker.
#[derive(Debug, Clone, PartialEq)]
pub enum BrokerEvent {
    /// It can be joined: at this address, or only within the process.
    Ready(Option<ListenAddress>),
    /// All peers have gone, as it drains.
    Drained,
    /// It is closed. The last, unless it failed.
    Closed,
    /// It could not start. The last.
    Failed(Failure),
    /// How far its connection to the fabric above has come.
    Upstream(UpstreamState),
    /// It asks who a peer is, or what it may do.
    Auth(AuthRequest),
    /// Somebody asks for one of the application's pages; the number is for the answer.
    Page(u64, PageRequest),
}

/// Events of a Sockety server.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketyServerEvent {
    /// It listens.
    Listening(ListenAddress),
    /// It has accepted a connection, known by this handle from now on; its peer's address, as far as it has
    /// one.
    Accepted(Handle, Option<SocketAddr>),
    /// It listens no more. The last, unless it failed.
    Closed,
    /// It cannot listen. The last.
    Failed(Failure),
}

/// A machine whose events go to JavaScript.
pub trait Reporting: Machine {
    /// Returns `event` of the machine known as `handle`, as JavaScript gets it.
    fn report(handle: Handle, event: Self::Event) -> HostEvent;
}

impl Reporting for Endpoint {
    fn report(handle: Handle, event: endpoint::Event) -> HostEvent {
        HostEvent::Fabric(handle, event)
    }
}

impl Reporting for sockety::Connection {
    fn report(handle: Handle, event: sockety::Event) -> HostEvent {
        HostEvent::Sockety(handle, event)
    }
}

impl BrokerEvent {
    fn bytes(&self) -> usize {
        let texts = |headers: &[(String, String)]| -> usize {
            headers.iter().map(|header| size_of_val(header) + header.0.len() + header.1.len()).sum()
        };
        match self {
            Self::Auth(AuthRequest::Authenticate { connection, .. }) => texts(&connection.headers),
            Self::Auth(AuthRequest::Authorize { subject, .. }) => subject.len(),
            Self::Page(_, page) => page.target.len() + page.body.len() + texts(&page.headers),
            _ => 0,
        }
    }
}

impl Weigh for HostEvent {
    fn weight(&self) -> usize {
        match self {
            Self::Fabric(_, event) => event.weight(),
            Self::Sockety(_, event) => event.weight(),
            Self::Pipe(_, PipeEvent::Bytes(bytes)) => size_of::<Self>() + bytes.len(),
            Self::Broker(_, event) => size_of::<Self>() + event.bytes(),
            Self::Pipe(..) | Self::SocketyServer(..) => size_of::<Self>(),
        }
    }
}
