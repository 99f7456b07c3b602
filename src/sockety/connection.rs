//! The connection: the handshake, then both halves, heartbeats, and every way to end.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::events::Events;
use super::incoming::{Context, Incoming};
use super::outgoing::{Outgoing, Written};
use super::output::Output;
use super::reader::{Reader, Step};
use super::requests::Requests;
use super::{Command, Config, ConnectionError, Event};
use crate::wire::sockety::{Handshake, Packet};

/// One end of a connection. Drain the `poll_*` functions after every call, and call `handle_timeout` at
/// `poll_timeout`.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    reader: Reader,
    incoming: Incoming,
    requests: Requests,
    output: Output,
    events: Events,
    /// When something came last, or could not be read.
    received_at: Instant,
    /// When something was sent last.
    sent_at: Instant,
    /// Since when no more can be read.
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
    /// Creates one end, before there is a connection below it.
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            config,
            state: State::Connecting,
            reader: Reader::default(),
            incoming: Incoming::new(),
            requests: Requests::default(),
            output: Output::default(),
            events: Events::default(),
            received_at: now,
            sent_at: now,
            full_since: None,
        }
    }

    /// Takes note that there is a connection below.
    pub fn handle_link_up(&mut self, now: Instant) {
        if matches!(self.state, State::Connecting) {
            let handshake = Handshake { channels: self.config.max_received_channels };
            self.output.write(|out| handshake.push(out));
            (self.received_at, self.sent_at) = (now, now);
            self.state = State::Handshaking { since: now, carry: BytesMut::new() };
        }
    }

    /// Takes note that the connection below is gone: in an orderly way, or for a reason.
    pub fn handle_link_down(&mut self, now: Instant, why: Option<ConnectionError>) {
        match self.state {
            State::Draining | State::Finished => {}
            // That was wanted.
            State::Closing => self.finish(now, None),
            _ => self.finish(now, why),
        }
    }

    /// Takes what the peer sent.
    pub fn handle_input(&mut self, now: Instant, mut chunk: Bytes) {
        if matches!(self.state, State::Draining | State::Finished) {
            return;
        }
        self.received_at = now;
        if let Err(error) = self.read(&mut chunk) {
            self.finish(now, Some(error));
            return;
        }
        self.incoming.settle_candidate();
        self.note_room(now);
    }

    /// Carries out what the application wants. What comes too late is dropped.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Read { number, part, bytes } => {
                self.incoming.bodies.read(number, part, bytes, &mut self.events);
                self.note_reader(now);
            }
            Command::Discard(number) => {
                self.incoming.bodies.discard(number);
                self.note_reader(now);
            }
            Command::Forget(id) => {
                self.requests.take(id);
            }
            Command::Close => self.close(now),
            Command::Destroy => self.destroy(now),
            command => self.send(now, command),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        if let (State::Draining, Some(since)) = (&self.state, self.full_since) {
            if since + self.drain_timeout() <= now {
                self.incoming.bodies.clear();
                self.finish(now, None);
            }
            return;
        }
        if let State::Handshaking { since, .. } = self.state {
            let timeout = self.config.handshake_timeout;
            if since + timeout <= now {
                self.finish(now, Some(ConnectionError::NoHandshake { timeout }));
            }
            return;
        }
        let Some(timeout) = self.config.timeout else { return };
        match self.full_since {
            Some(since) if since + timeout <= now && self.is_untouched() => {
                let bytes = self.incoming.bodies.untouched();
                return self.finish(now, Some(ConnectionError::Unread { bytes }));
            }
            None if self.received_at + timeout <= now => {
                return self.finish(now, Some(ConnectionError::Silent { timeout }));
            }
            _ => {}
        }
        if self.sent_at + heartbeat_after(timeout) <= now {
            self.sent_at = now;
            // If older things have not left, one more heartbeat does not either.
            if matches!(self.state, State::Open(_)) && self.output.is_empty() {
                self.output.write(|out| Packet::Heartbeat.push(out));
            }
        }
    }

    /// Returns when `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Handshaking { since, .. } => Some(since + self.config.handshake_timeout),
            State::Open(_) => {
                let timeout = self.config.timeout?;
                let heartbeat = self.sent_at + heartbeat_after(timeout);
                let silence = match self.full_since {
                    // Nothing can come. If it is the application that reads nothing at all, that ends some
                    // day; if it reads slowly, it may.
                    Some(since) if self.is_untouched() => since + timeout,
                    Some(_) => heartbeat,
                    None => self.received_at + timeout,
                };
                Some(heartbeat.min(silence))
            }
            State::Draining => Some(self.full_since? + self.drain_timeout()),
            State::Connecting | State::Closing | State::Finished => None,
        }
    }

    /// Returns the next bytes to send.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.output.poll()
    }

    /// Returns the next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.report_marks();
        self.events.poll()
    }

    /// Returns whether the application has to read before more can come: nothing is to be read from the
    /// connection below.
    pub fn is_full(&self) -> bool {
        self.incoming.bodies.unread() >= self.config.max_unread_bytes
    }

    /// Returns whether the connection below is to be closed: once all output has been written, if it was
    /// closed in order.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing | State::Draining | State::Finished)
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
        let Self { config, requests, events, incoming, reader, state, .. } = self;
        if !matches!(state, State::Open(_) | State::Closing) {
            return Ok(());
        }
        let mut cx = Context { config, requests, events };
        while let Some(step) = reader.next(chunk)? {
            match step {
                Step::Packet(packet) => incoming.handle_packet(&mut cx, packet)?,
                Step::Content(length, is_last) => {
                    incoming.handle_content(&mut cx, chunk, length, is_last)?;
                    bytes::Buf::advance(chunk, length);
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
                if message.request != 0 {
                    self.requests.insert(message.id, message.request);
                }
                outgoing.send(output, message);
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
            Command::GoAway => output.write(|out| Packet::GoAway.push(out)),
            // They have been carried out before.
            Command::Read { .. }
            | Command::Discard(_)
            | Command::Forget(_)
            | Command::Close
            | Command::Destroy => {}
        }
    }

    /// Closes in order: what was sent leaves, and then the connection below goes.
    fn close(&mut self, now: Instant) {
        match self.state {
            State::Open(_) => {
                self.output.write(|out| Packet::GoAway.push(out));
                self.state = State::Closing;
            }
            State::Connecting | State::Handshaking { .. } => self.destroy(now),
            State::Draining => {
                self.incoming.bodies.clear();
                self.finish(now, None);
            }
            State::Closing | State::Finished => {}
        }
    }

    fn destroy(&mut self, now: Instant) {
        self.incoming.bodies.abort_all(&mut self.events);
        self.incoming.bodies.clear();
        self.finish(now, None);
    }

    fn report_marks(&mut self) {
        while let Some(mark) = self.output.poll_mark() {
            self.events.records().flushed(mark);
        }
    }

    /// Ends the connection: nothing comes or goes any more.
    fn finish(&mut self, now: Instant, why: Option<ConnectionError>) {
        if !matches!(self.state, State::Draining | State::Finished) {
            self.report_marks();
            self.output.clear();
            self.requests.clear();
            self.incoming.bodies.abort_all(&mut self.events);
            self.events.push(Event::Closed(why));
            self.full_since = Some(now);
        }
        if self.incoming.bodies.is_empty() {
            if !matches!(self.state, State::Finished) {
                self.events.push(Event::Finished);
            }
            self.state = State::Finished;
        } else {
            self.state = State::Draining;
        }
    }

    /// Takes note that the application has read: whoever does has time.
    fn note_reader(&mut self, now: Instant) {
        if let Some(since) = &mut self.full_since {
            *since = now;
        }
        self.note_room(now);
        if matches!(self.state, State::Draining) && self.incoming.bodies.is_empty() {
            self.finish(now, None);
        }
    }

    /// Takes note that there is more to read, or less.
    fn note_room(&mut self, now: Instant) {
        if matches!(self.state, State::Draining | State::Finished) {
            return;
        }
        if self.is_full() {
            self.full_since.get_or_insert(now);
        } else if self.full_since.take().is_some() {
            // Until now nothing could come.
            self.received_at = now;
        }
    }

    /// Returns whether most of what waits has never been asked for.
    fn is_untouched(&self) -> bool {
        self.incoming.bodies.untouched() > self.config.max_unread_bytes / 2
    }

    /// Returns how long the application may take to go on reading what is left of a connection that has
    /// ended.
    fn drain_timeout(&self) -> Duration {
        self.config.timeout.unwrap_or(DRAIN_TIMEOUT)
    }
}

fn heartbeat_after(timeout: Duration) -> Duration {
    timeout * 3 / 4
}

/// Without a timeout of its own.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
