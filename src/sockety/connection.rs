//! The connection: the handshake, then both halves. How it ends is in `connection/close.rs`, its clocks in
//! `connection/silence.rs`.

mod close;
mod silence;

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::budget::{Budget, SCARCE_HEADER_BYTES, SCARCE_UNREAD_BYTES, Share};
use super::events::Events;
use super::incoming::{Context, Incoming};
use super::outgoing::{Outgoing, Written};
use super::output::Output;
use super::reader::{Reader, Step};
use super::requests::Requests;
use super::{Command, Config, ConnectionError, Event, UNAWAITED};
use crate::base::{Chunk, Code, Failure, LinkEvent, LinkRequest, Machine};
use crate::wire::sockety::{Handshake, Packet};

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    /// What is to be done with the connection below.
    request: Option<LinkRequest>,
    /// It is to be closed; until then everything has to have left.
    close_by: Option<Instant>,
    /// It was closed in order, and all that was sent has left.
    is_leaving: bool,
    reader: Reader,
    incoming: Incoming,
    /// What it holds of its server's budget.
    share: Share,
    /// It is not read since all connections together hold too much; when to look again.
    look_again_at: Option<Instant>,
    requests: Requests,
    output: Output,
    events: Events,
    /// When something came last, or could not be read.
    received_at: Instant,
    /// When something was sent last.
    sent_at: Instant,
    /// Since when no more can be read; once the connection below is gone, when the application read last.
    full_since: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// There is no connection below yet.
    Connecting,
    /// The peer's header has not come whole.
    Handshaking {
        since: Instant,
        carry: BytesMut,
    },
    Open(Box<Outgoing>),
    /// What was sent is on its way; the connection below is to be closed behind it.
    Closing,
    /// The connection below is gone. What has come whole can still be read.
    Draining,
    Finished,
}

impl Connection {
    /// Creates the end that connects.
    pub fn connect(now: Instant, config: Config) -> Self {
        Self { request: Some(LinkRequest::Dial), ..Self::accept(now, config) }
    }

    /// Creates an end that accepts a connection, and shares a budget with others.
    pub fn accept_within(now: Instant, config: Config, budget: Budget) -> Self {
        Self { share: Share::new(budget), ..Self::accept(now, config) }
    }

    /// Creates the end that accepts a connection.
    pub fn accept(now: Instant, config: Config) -> Self {
        Self {
            config,
            state: State::Connecting,
            request: None,
            close_by: None,
            is_leaving: false,
            reader: Reader::default(),
            incoming: Incoming::new(),
            share: Share::default(),
            look_again_at: None,
            requests: Requests::default(),
            output: Output::default(),
            events: Events::default(),
            received_at: now,
            sent_at: now,
            full_since: None,
        }
    }
}

impl Machine for Connection {
    type Command = Command;
    type Event = Event;
    type Input = Chunk;
    type Output = Bytes;

    /// Carries out what the application wants. What comes too late is dropped.
    fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Read { number, part, bytes } => {
                self.incoming.bodies.read(number, part, bytes, &mut self.events);
                self.note_reader(now);
            }
            Command::Discard { number, part } => {
                self.incoming.bodies.discard(number, part);
                self.note_reader(now);
            }
            Command::Forget(id) => {
                self.requests.take(id);
            }
            Command::Leave => self.leave(now),
            Command::Close => self.close(now),
            Command::Destroy => self.destroy(now),
            command => self.send(now, command),
        }
    }

    fn handle_link(&mut self, now: Instant, event: LinkEvent) {
        match event {
            LinkEvent::Up(_) => self.begin(now),
            LinkEvent::Unreachable(failure) | LinkEvent::Down(failure) => {
                self.finish(now, Some(ConnectionError::Link(failure)));
            }
            LinkEvent::Closed => self.finish(now, None),
        }
    }

    fn handle_input(&mut self, now: Instant, input: Chunk) {
        if matches!(self.state, State::Draining | State::Finished) {
            return;
        }
        let Chunk::Bytes(mut chunk) = input else { return self.handle_end(now) };
        self.received_at = now;
        if let Err(error) = self.read(&mut chunk) {
            self.finish(now, Some(error));
            return;
        }
        self.incoming.settle_candidate();
        self.note_room(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.handle_deadline(now);
        }
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        self.output.poll()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.report_marks();
        self.events.poll()
    }

    fn poll_link(&mut self) -> Option<LinkRequest> {
        let is_said = matches!(self.state, State::Closing) && self.output.is_empty();
        if is_said && self.request.is_none() && !std::mem::replace(&mut self.is_leaving, true) {
            return self.close_by.map(LinkRequest::CloseBy);
        }
        self.request.take()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline()
    }

    /// Returns whether the application has room: otherwise it has to read before more can come.
    fn is_reading(&self) -> bool {
        self.incoming.bodies.unread() < self.max_unread_bytes()
    }

    fn calls(event: &Event) -> usize {
        match event {
            Event::Records(records) => records.count(),
            _ => 0,
        }
    }

    fn is_last(event: &Event) -> bool {
        matches!(event, Event::Finished(_))
    }

    fn panicked() -> Event {
        Event::Finished(Some(Failure::new(Code::Internal, "the connection failed in the engine")))
    }
}

impl Connection {
    /// Returns whether nothing more can be sent.
    pub fn is_closing(&self) -> bool {
        !matches!(self.state, State::Connecting | State::Handshaking { .. } | State::Open(_))
    }

    /// Returns the bytes that may wait for the application now.
    fn max_unread_bytes(&self) -> usize {
        let own = self.config.max_unread_bytes;
        if self.share.is_scarce() { own.min(SCARCE_UNREAD_BYTES) } else { own }
    }

    /// Says our header.
    fn begin(&mut self, now: Instant) {
        if matches!(self.state, State::Connecting) {
            let handshake = Handshake { channels: self.config.max_received_channels };
            self.output.write(|out| handshake.push(out));
            (self.received_at, self.sent_at) = (now, now);
            self.state = State::Handshaking { since: now, carry: BytesMut::new() };
        }
    }

    fn read(&mut self, chunk: &mut Bytes) -> Result<(), ConnectionError> {
        if let State::Handshaking { carry, .. } = &mut self.state {
            carry.extend_from_slice(chunk);
            let Some((handshake, length)) = Handshake::decode(carry)? else { return Ok(()) };
            *chunk = carry.split_off(length).freeze();
            let channels = handshake.channels.min(self.config.max_writable_channels);
            self.state = State::Open(Box::new(Outgoing::new(channels)));
            self.events.push(Event::Opened);
        }
        let scarce = self.share.is_scarce().then_some(SCARCE_HEADER_BYTES);
        let max_header_bytes = self.config.max_header_bytes.min(scarce.unwrap_or(usize::MAX));
        let Self { config, requests, events, incoming, reader, state, .. } = self;
        if !matches!(state, State::Open(_) | State::Closing) {
            return Ok(());
        }
        let mut cx = Context { config, max_header_bytes, requests, events };
        while let Some(step) = reader.next(chunk)? {
            match step {
                Step::Packet(packet) => incoming.handle_packet(&mut cx, packet)?,
                Step::Content(length, is_last) => {
                    incoming.handle_content(&mut cx, chunk, length, is_last)?;
                    chunk.advance(length);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, now: Instant, command: Command) {
        let State::Open(outgoing) = &mut self.state else { return };
        self.sent_at = now;
        let output = &mut self.output;
        match command {
            Command::Send(message) => {
                if !matches!(message.request, 0 | UNAWAITED) {
                    self.requests.insert(message.id, message.request);
                }
                outgoing.send(output, message);
                if let Some(bytes) = outgoing.excess() {
                    self.finish(now, Some(ConnectionError::NoChannel { bytes }));
                }
            }
            Command::FastReply { id, code, mark } => {
                Outgoing::fast_reply(output, id, code);
                output.mark(mark);
            }
            Command::Write { number, part, bytes, mark } => {
                outgoing.write(output, number, Written::Bytes(part, bytes, mark));
            }
            Command::End { number, part, mark } => outgoing.write(output, number, Written::End(part, mark)),
            Command::Abort(number) => outgoing.abort(output, number),
            Command::Heartbeat { mark } => {
                output.write(|out| Packet::Heartbeat.push(out));
                output.mark(mark);
            }
            Command::Mark(mark) => outgoing.mark(output, mark),
            Command::GoAway => output.write(|out| Packet::GoAway.push(out)),
            // They have been carried out before.
            Command::Read { .. }
            | Command::Discard { .. }
            | Command::Forget(_)
            | Command::Leave
            | Command::Close
            | Command::Destroy => {}
        }
    }

    fn report_marks(&mut self) {
        while let Some(mark) = self.output.poll_mark() {
            self.events.records().flushed(mark);
        }
    }
}
