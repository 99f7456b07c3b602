//! Writes the events of Sockety connections and servers.

use super::broker::address_json;
use super::kinds::SocketyEventKind as Kind;
use super::{EventBuffer, SocketyServerEvent};
use crate::base::{Failure, Handle};
use crate::sockety::Event;

/// Writes the head and the body of a record for a connection.
pub(super) fn write(out: &mut EventBuffer, connection: Handle, event: Event) {
    match event {
        Event::Opened => out.head(Kind::SocketyOpened, connection),
        Event::Records(records) => {
            out.head(Kind::SocketyRecords, connection);
            out.bytes.extend_from_slice(records.raw());
        }
        Event::Data { number, part, bytes } => {
            out.head(Kind::SocketyData, connection);
            out.u32(number);
            out.u32(part.number());
            out.own_bytes(bytes);
        }
        Event::Closed(failure) => end(out, Kind::SocketyClosed, connection, failure.as_ref()),
        Event::Finished(failure) => end(out, Kind::SocketyFinished, connection, failure.as_ref()),
    }
}

/// Writes the head and the body of a record for a server.
pub(super) fn write_server(out: &mut EventBuffer, server: Handle, event: SocketyServerEvent) {
    match event {
        SocketyServerEvent::Accepted(connection, address) => {
            out.head(Kind::SocketyAccepted, server);
            out.u32(connection);
            out.opt_str(address.map(|address| address.ip().to_string()).as_deref());
            out.u32(address.map_or(0, |address| address.port().into()));
        }
        SocketyServerEvent::Listening(address) => {
            out.head(Kind::SocketyListening, server);
            out.str(&address_json(&address));
        }
        SocketyServerEvent::Closed => end(out, Kind::SocketyServerClosed, server, None),
        SocketyServerEvent::Failed(failure) => end(out, Kind::SocketyServerClosed, server, Some(&failure)),
    }
}

fn end(out: &mut EventBuffer, kind: Kind, handle: Handle, failure: Option<&Failure>) {
    out.head(kind, handle);
    out.opt_failure(failure);
}
