//! Writes events for JavaScript, packed into one byte string (`docs/internals/boundary.md`, "Events").

use std::time::Instant;

use bytes::Bytes;

use super::kinds::{FabricEventKind, Kind};
use super::{HostEvent, broker, fabric_events, pipe, sockety_events};
use crate::base::{Code, CodeValue, Failure, Handle};
use crate::endpoint::Event;
use crate::socket::SocketEvent;
use crate::wire::{Encoding, Item, Json, Messages, Payload, push_item};

/// One buffer, and the payloads that are too big for it.
#[derive(Debug, Default)]
pub struct EventBuffer {
    /// The records.
    pub bytes: Vec<u8>,
    /// Each becomes a buffer of its own.
    pub big: Vec<Big>,
    /// The last record is a *socket data many* of this socket: it begins here, and the next message joins it.
    run: Option<(Handle, usize)>,
    /// Tells how much of a time is left; without it none is.
    clock: Option<fn() -> Instant>,
}

/// A payload beside the records.
#[derive(Debug)]
pub enum Big {
    /// Others in the engine may have it, too: it is copied for JavaScript.
    Shared(Bytes),
    /// Nobody else looks at it, now or later: JavaScript can have it as it is.
    Own(Bytes),
}

impl EventBuffer {
    /// Returns an empty one.
    pub fn with_clock(clock: fn() -> Instant) -> Self {
        Self { clock: Some(clock), ..Self::default() }
    }

    /// Appends one event.
    pub fn put(&mut self, event: HostEvent) {
        let event = match event {
            HostEvent::Fabric(_, Event::Socket(socket, SocketEvent::Data(Messages::Packed(run)))) => {
                return self.data(socket, |out| out.extend_from_slice(run.raw()));
            }
            HostEvent::Fabric(_, Event::Socket(socket, SocketEvent::Data(Messages::One(item))))
                if item.payload.raw.len() <= MAX_INLINE_PAYLOAD_BYTES =>
            {
                let Item { payload, json } = item;
                return self.data(socket, |out| push_item(out, &payload, json.as_ref()));
            }
            other => other,
        };
        self.run = None;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        match event {
            HostEvent::Fabric(client, event) => fabric_events::write(self, client, event),
            HostEvent::Broker(broker, event) => broker::write(self, broker, event),
            HostEvent::Pipe(pipe, event) => pipe::write(self, pipe, event),
            HostEvent::Sockety(connection, event) => sockety_events::write(self, connection, event),
            HostEvent::SocketyServer(server, event) => sockety_events::write_server(self, server, event),
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
                self.head(FabricEventKind::SocketDataMany, socket);
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

    pub(super) fn head<K: Kind>(&mut self, kind: K, handle: Handle) {
        self.bytes.extend_from_slice(&[K::SYSTEM as u8, kind.number()]);
        self.u32(handle);
    }

    pub(super) fn payload(&mut self, payload: &Payload) {
        self.u8(payload.encoding.0);
        if payload.raw.len() > MAX_INLINE_PAYLOAD_BYTES {
            self.big.push(Big::Shared(payload.raw.clone()));
            self.u32(u32::try_from(self.big.len()).unwrap_or(u32::MAX));
        } else {
            self.u32(0);
            self.bytes.extend_from_slice(&payload.raw);
        }
    }

    /// Writes bytes that nobody else has.
    pub(super) fn own_bytes(&mut self, bytes: Bytes) {
        if bytes.len() <= MAX_INLINE_PAYLOAD_BYTES {
            return self.payload(&Payload { encoding: Encoding(0), raw: bytes });
        }
        self.u8(0);
        self.big.push(Big::Own(bytes));
        self.u32(u32::try_from(self.big.len()).unwrap_or(u32::MAX));
    }

    pub(super) fn failure(&mut self, failure: &Failure) {
        self.code(failure.code);
        self.str(&failure.message);
    }

    /// Writes a failure that need not be there.
    pub(super) fn opt_failure(&mut self, failure: Option<&Failure>) {
        match failure {
            Some(failure) => self.failure(failure),
            None => {
                self.bytes.extend_from_slice(&NO_CODE.to_le_bytes());
                self.str("");
            }
        }
    }

    fn code(&mut self, code: Code) {
        match code.value() {
            CodeValue::Number(number) => self.bytes.extend_from_slice(&number.to_le_bytes()),
            CodeValue::Name(name) => {
                self.bytes.extend_from_slice(&NAMED_CODE.to_le_bytes());
                self.str(name);
            }
        }
    }

    pub(super) fn json(&mut self, json: Option<&Json>) {
        self.opt_str(json.map(Json::as_str));
    }

    pub(super) fn opt_str(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.str(text),
            None => self.u32(u32::MAX),
        }
    }

    pub(super) fn str(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.bytes.push(number);
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// Writes a count; one that does not fit is the largest that does.
    pub(super) fn count(&mut self, number: usize) {
        self.u32(u32::try_from(number).unwrap_or(u32::MAX));
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// Writes how many ms are left until then; 0 if it is over.
    pub(super) fn left(&mut self, until: Instant) {
        let now = self.clock.map_or(until, |clock| clock());
        let left = until.saturating_duration_since(now).as_secs_f64() * 1000.0;
        self.bytes.extend_from_slice(&left.to_le_bytes());
    }

    /// Writes JavaScript's number: exact up to 2^53.
    pub(super) fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&(number as f64).to_le_bytes());
    }
}

/// Larger payloads get a buffer of their own: packing them costs more in fresh memory than a buffer does.
const MAX_INLINE_PAYLOAD_BYTES: usize = 32 * 1024;
/// Instead of a number: the code has a name, which follows.
const NAMED_CODE: u16 = 0;
/// Instead of a number: there is no code.
const NO_CODE: u16 = u16::MAX;
