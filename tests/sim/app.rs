//! The application above a socket: what it wrote, what it was given, and what it may believe.

use std::collections::BTreeSet;

use selvedge::base::{Failure, Handle};
use selvedge::socket::State;
use selvedge::wire::Payload;

/// Names one end of a socket over the whole run.
pub type Sock = (usize, Handle);

/// One end of a socket, as its application sees it.
#[derive(Debug)]
pub struct Side {
    pub id: String,
    /// The id of the listener that has accepted it.
    pub server: Option<String>,
    pub is_client: bool,
    /// Goes into all that it writes.
    pub writer: u32,
    pub window: u64,
    pub window_bytes: u64,
    pub written_bytes: u64,
    pub acked_bytes: u64,
    /// The numbers of what came back as undelivered, in the order of their coming.
    pub undelivered: Vec<u64>,
    pub state: State,
    /// Nobody wants to hear that these were lost.
    pub volatile: BTreeSet<u64>,
    pub written: u64,
    pub acked: u64,
    /// What it was given, and from which writer.
    pub received: u64,
    pub from: Option<u32>,
    pub received_bytes: u64,
    pub consumed: u64,
    pub consumed_bytes: u64,
    pub closed: Option<(Option<Failure>, usize)>,
    /// What it had handled when its application closed it.
    pub consumed_at_close: Option<u64>,
    /// Made with an epoch: a newer one may take its place.
    pub knows_epochs: bool,
    /// Nothing may be written any more.
    pub ending: bool,
    /// Detached by hand.
    pub detached: bool,
    /// Its endpoint is gone, and it with it.
    pub dead: bool,
    /// Can speak the stream.
    pub streams: bool,
    /// The key of its latest request in the line of its data.
    pub asked: u64,
    /// What it wrote and asked, in order.
    pub calls: Vec<Call>,
    /// How far it has heard what the other side wrote and asked.
    pub heard: usize,
}

/// What stands in the line of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Data(u64),
    Ask(u64),
}

impl Side {
    pub fn new(id: String, is_client: bool, writer: u32, window: usize) -> Self {
        let state = if is_client { State::Connecting } else { State::Ready };
        Self {
            id,
            server: None,
            is_client,
            writer,
            window: window as u64,
            window_bytes: u64::MAX,
            written_bytes: 0,
            acked_bytes: 0,
            undelivered: Vec::new(),
            state,
            volatile: BTreeSet::new(),
            written: 0,
            acked: 0,
            received: 0,
            from: None,
            received_bytes: 0,
            consumed: 0,
            consumed_bytes: 0,
            closed: None,
            consumed_at_close: None,
            knows_epochs: false,
            ending: false,
            detached: false,
            dead: false,
            streams: true,
            asked: 0,
            calls: Vec::new(),
            heard: 0,
        }
    }

    pub fn is_open(&self) -> bool {
        self.closed.is_none() && !self.dead
    }

    /// Returns how many messages it may write now: what the lib counts before it throws `ENOBUFS`.
    pub fn room(&self) -> u64 {
        if self.ending || !self.is_open() { 0 } else { self.window - (self.written - self.acked) }
    }

    /// Returns whether a message of so many bytes fits beside those that are not acknowledged; one alone
    /// always does.
    pub fn fits(&self, bytes: u64) -> bool {
        let unacked = self.written_bytes - self.acked_bytes;
        self.room() > 0 && (self.written == self.acked || unacked + bytes <= self.window_bytes)
    }

    /// The code it closed with; empty when the application wanted it.
    pub fn close_code(&self) -> Option<String> {
        let (failure, _) = self.closed.as_ref()?;
        Some(failure.as_ref().map_or_else(String::new, |failure| failure.code.to_string()))
    }

    /// Takes back a message that is not known to have been handled: as it was written, in order, after all
    /// that are acknowledged.
    pub fn take_back(&mut self, seq: u64, payload: &Payload) -> Result<(), String> {
        if parse(payload) != Some((self.writer, seq)) {
            return Err(format!("undelivered {seq} is not what was written"));
        }
        let before = self.undelivered.last().copied().unwrap_or(self.acked);
        self.undelivered.push(seq);
        if !self.volatile.contains(&seq) && self.owed(before, seq) == 1 {
            Ok(())
        } else {
            Err(format!("undelivered {seq} after {before}"))
        }
    }

    /// Returns how many of the messages after `from` and up to `to` are to be handed back when the socket
    /// breaks.
    pub fn owed(&self, from: u64, to: u64) -> u64 {
        (from + 1..=to).filter(|seq| !self.volatile.contains(seq)).count() as u64
    }

    /// Takes a message; says what is wrong with it.
    pub fn receive(&mut self, payload: &Payload) -> Result<(), String> {
        let (writer, seq) = parse(payload).ok_or("a payload that nobody wrote")?;
        if *self.from.get_or_insert(writer) != writer {
            return Err(format!("a message of writer {writer} among those of {:?}", self.from));
        }
        if seq != self.received + 1 {
            return Err(format!("message {seq} of writer {writer} after {}", self.received));
        }
        self.received = seq;
        self.received_bytes += payload.raw.len() as u64;
        Ok(())
    }
}

/// Message `seq` of `writer`, with `size` bytes of filling.
pub fn payload(writer: u32, seq: u64, size: usize) -> Payload {
    let mut raw = Vec::with_capacity(16 + size);
    raw.extend(writer.to_be_bytes());
    raw.extend(seq.to_be_bytes());
    raw.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    raw.resize(16 + size, u8::try_from(seq % 251).unwrap_or(0));
    Payload::msgpack(raw)
}

pub fn parse(payload: &Payload) -> Option<(u32, u64)> {
    let raw = &payload.raw;
    let writer = u32::from_be_bytes(raw.get(..4)?.try_into().ok()?);
    let seq = u64::from_be_bytes(raw.get(4..12)?.try_into().ok()?);
    let size = u32::from_be_bytes(raw.get(12..16)?.try_into().ok()?) as usize;
    let filling = u8::try_from(seq % 251).unwrap_or(0);
    (raw.len() == 16 + size && raw[16..].iter().all(|byte| *byte == filling)).then_some((writer, seq))
}
