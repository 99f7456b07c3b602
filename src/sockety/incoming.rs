//! Receiving: which message is in progress on which channel, and what of it is still to come.

mod message_progress;

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;

use self::message_progress::MessageProgress;
use super::body::Bodies;
use super::events::Events;
use super::partial_header::{Fixed, PartialHeader};
use super::records::{Announced, Announcement, BodyHead};
use super::requests::Requests;
use super::{Config, ConnectionError, Part, PeerMisbehaved};
use crate::wire::sockety::{DecodeError, FileHeader, Kind, MessageHeader, Packet};

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The channel that packets are for.
    current: u16,
    channels: HashMap<u16, MessageProgress, RandomState>,
    /// A message of which only the data is to come, on the current channel, announced just now.
    candidate: Option<Candidate>,
    /// What the content that comes now belongs to.
    content: Target,
    /// Bytes of headers that have not come whole.
    header_bytes: usize,
    /// Files of messages that have not come whole.
    files: u32,
    /// The peer has said that it goes.
    is_leaving: bool,
    pub(super) bodies: Bodies,
}

#[derive(Debug)]
struct Candidate {
    number: u32,
    data_size: u64,
    announced: Announced,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    /// A header that has just begun.
    Header {
        kind: Kind,
        stream: bool,
        expects_response: bool,
    },
    /// More of a header.
    Continue,
    Part(Part),
}

/// What receiving needs beside its own state.
pub(super) struct Context<'a> {
    pub(super) config: &'a Config,
    pub(super) max_header_bytes: usize,
    pub(super) requests: &'a mut Requests,
    pub(super) events: &'a mut Events,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self {
            current: 0,
            channels: HashMap::default(),
            candidate: None,
            content: Target::Continue,
            header_bytes: 0,
            files: 0,
            is_leaving: false,
            bodies: Bodies::default(),
        }
    }

    /// Returns the bytes that it keeps for the application, and of headers that have not come whole.
    pub(super) fn held(&self) -> usize {
        self.bodies.unread() + self.header_bytes
    }

    /// Forgets what was in progress: nothing more comes.
    pub(super) fn end_all(&mut self) {
        self.channels = HashMap::default();
        (self.header_bytes, self.files) = (0, 0);
    }

    /// Takes a packet. If it has content, that comes next.
    pub(super) fn handle_packet(
        &mut self,
        cx: &mut Context<'_>,
        packet: Packet,
    ) -> Result<(), ConnectionError> {
        if self.candidate.is_some() && !matches!(packet, Packet::Data { .. }) {
            self.settle_candidate();
        }
        match packet {
            Packet::Channel(channel) if channel >= cx.config.max_received_channels => {
                return Err(PeerMisbehaved::ChannelOutOfRange.into());
            }
            Packet::Channel(channel) => self.current = channel,
            Packet::Message { stream, expects_response, size } => {
                self.start(cx, Kind::Message, stream, expects_response, size)?;
            }
            Packet::Response { stream, expects_response, size } => {
                self.start(cx, Kind::Response, stream, expects_response, size)?;
            }
            Packet::Continue { .. } => {
                self.channels
                    .get(&self.current)
                    .filter(|receiving| receiving.header.is_some())
                    .ok_or(PeerMisbehaved::NoHeader)?;
                self.content = Target::Continue;
            }
            Packet::Data { size } => self.start_data(cx, size)?,
            Packet::Stream { .. } => {
                self.with_body(cx, PeerMisbehaved::NoStream)?.check_stream()?;
                self.content = Target::Part(Part::Stream);
            }
            Packet::StreamEnd => self.end(cx, Part::Stream)?,
            Packet::File { index, size } => {
                let check = !cx.config.allow_files_size_mismatch;
                let receiving = self.with_body(cx, PeerMisbehaved::NoMessage)?;
                receiving.take_file(index, size, check)?;
                self.content = Target::Part(Part::File(index));
            }
            Packet::FileEnd { index } => self.end(cx, Part::File(index))?,
            Packet::FastReply { code, id } => {
                let request = cx.requests.take(id);
                cx.events.records().fast_reply(request, id, code);
            }
            Packet::Abort => self.abort(cx),
            Packet::GoAway if std::mem::replace(&mut self.is_leaving, true) => {}
            Packet::GoAway => cx.events.records().go_away(),
            Packet::Heartbeat => {}
        }
        Ok(())
    }

    /// Takes the first `length` bytes of `chunk`: content of the last packet.
    pub(super) fn handle_content(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &Bytes,
        length: usize,
        is_last: bool,
    ) -> Result<(), ConnectionError> {
        match self.content {
            Target::Header { kind, stream, expects_response } => {
                let piece = &chunk[..length];
                if is_last && self.announce_whole(cx, kind, stream, expects_response, piece)? {
                    return Ok(());
                }
                self.content = Target::Continue;
                let header = PartialHeader::new(kind);
                self.channels.insert(self.current, MessageProgress::begun(header, stream, expects_response));
                self.push_header(cx, piece, is_last)
            }
            Target::Continue => self.push_header(cx, &chunk[..length], is_last),
            Target::Part(part) => {
                if part == Part::Data && self.join_candidate(cx, &chunk[..length]) {
                    return Ok(());
                }
                // A packet was checked before its content: the message is there.
                let Some(receiving) = self.channels.get_mut(&self.current) else { return Ok(()) };
                self.bodies.receive(receiving.number, part, chunk, length, cx.events);
                if part == Part::Data && receiving.take_data(length as u64) {
                    self.bodies.end(receiving.number, Part::Data, cx.events);
                    self.finish_if_whole();
                }
                Ok(())
            }
        }
    }

    fn start(
        &mut self,
        cx: &mut Context<'_>,
        kind: Kind,
        stream: bool,
        expects_response: bool,
        size: u32,
    ) -> Result<(), ConnectionError> {
        if self.channels.contains_key(&self.current) {
            return Err(PeerMisbehaved::ChannelBusy.into());
        }
        self.content = Target::Header { kind, stream, expects_response };
        if size == 0 {
            self.handle_content(cx, &Bytes::new(), 0, true)?;
        }
        Ok(())
    }

    /// Announces a message of which the whole header is one piece; most are.
    fn announce_whole(
        &mut self,
        cx: &mut Context<'_>,
        kind: Kind,
        stream: bool,
        expects_response: bool,
        piece: &[u8],
    ) -> Result<bool, ConnectionError> {
        let Some((header, length)) = MessageHeader::decode(kind, piece) else { return Ok(false) };
        let raw_files = &piece[length..];
        let mut files = Vec::new();
        let mut rest = raw_files;
        for _ in 0..header.file_count {
            let Some((file, length)) = FileHeader::decode(rest) else { return Ok(false) };
            rest = &rest[length..];
            files.push(message_progress::File::new(file.size));
        }
        if !rest.is_empty() {
            return Err(DecodeError::MalformedSize(kind).into());
        }
        let has_body = stream || header.data_size > 0 || header.file_count > 0;
        let number = if has_body { self.bodies.next_number() } else { 0 };
        let body = has_body.then_some(BodyHead {
            number,
            stream,
            data_size: header.data_size,
            file_count: header.file_count,
            files_size: header.files_size,
            known_files: header.file_count,
            raw_files,
        });
        let MessageHeader { parent, id, action, data_size, file_count, .. } = header;
        let parent = parent.map(|parent| (parent, cx.requests.take(parent)));
        let announced =
            cx.events.records().message(&Announcement { parent, id, expects_response, action, body });
        if data_size > 0 && data_size <= MAX_INLINE_BYTES && !stream && file_count == 0 {
            self.candidate = Some(Candidate { number, data_size, announced });
        } else if has_body {
            self.bodies.open(number);
            let mut receiving = MessageProgress::announced(number, stream, data_size, file_count);
            self.count_files(cx, file_count)?;
            receiving.files = files;
            self.channels.insert(self.current, receiving);
        }
        Ok(true)
    }

    fn push_header(
        &mut self,
        cx: &mut Context<'_>,
        piece: &[u8],
        is_last: bool,
    ) -> Result<(), ConnectionError> {
        let Some(receiving) = self.channels.get_mut(&self.current) else { return Ok(()) };
        let Some(header) = &mut receiving.header else { return Ok(()) };
        self.header_bytes -= header.len();
        let fixed = header.push(piece);
        let mut files = 0;
        while let Some(size) = header.next_file() {
            receiving.files.push(message_progress::File::new(size));
            files += 1;
        }
        self.header_bytes += header.len();
        let (is_whole, has_rest, kind) = (header.is_whole(), header.has_rest(), header.kind());
        if has_rest || (is_whole && !is_last) {
            return Err(DecodeError::MalformedSize(kind).into());
        }
        if let Some(fixed) = fixed {
            receiving.fix(fixed);
        }
        self.count_files(cx, files)?;
        if self.header_bytes > cx.max_header_bytes {
            return Err(ConnectionError::HeadersTooLarge { limit: cx.max_header_bytes });
        }
        if is_whole {
            self.announce(cx);
            self.finish_if_whole();
        }
        Ok(())
    }

    /// Announces the current message with what is known of it, or tells what is known in addition.
    fn announce(&mut self, cx: &mut Context<'_>) {
        let Some(receiving) = self.channels.get_mut(&self.current) else { return };
        let Some(header) = &mut receiving.header else { return };
        let (known_files, raw_files) = header.seen_files();
        if let Some(Fixed { parent, id, action, data_size, file_count, files_size }) = &receiving.fixed {
            let has_body = receiving.stream_open || *data_size > 0 || *file_count > 0;
            receiving.number = if has_body { self.bodies.next_number() } else { 0 };
            let body = has_body.then_some(BodyHead {
                number: receiving.number,
                stream: receiving.stream_open,
                data_size: *data_size,
                file_count: *file_count,
                files_size: *files_size,
                known_files,
                raw_files,
            });
            let parent = parent.map(|parent| (parent, cx.requests.take(parent)));
            let expects_response = receiving.expects_response;
            let message = Announcement { parent, id: *id, expects_response, action, body };
            cx.events.records().message(&message);
            receiving.fixed = None;
            if has_body {
                self.bodies.open(receiving.number);
            }
        } else if known_files > 0 {
            cx.events.records().more_files(receiving.number, known_files, raw_files);
        }
        self.header_bytes -= header.len();
        header.forget_seen_files();
        self.header_bytes += header.len();
        if header.is_whole() {
            receiving.header = None;
        }
    }

    /// Returns the current message, for a packet of its body: announced, however much of its file headers is
    /// still to come.
    fn with_body(
        &mut self,
        cx: &mut Context<'_>,
        missing: PeerMisbehaved,
    ) -> Result<&mut MessageProgress, ConnectionError> {
        let receiving = self.channels.get(&self.current).ok_or(missing)?;
        if receiving.header.is_some() {
            if !receiving.is_known() {
                return Err(missing.into());
            }
            self.announce(cx);
        }
        self.channels.get_mut(&self.current).ok_or_else(|| missing.into())
    }

    fn start_data(&mut self, cx: &mut Context<'_>, size: u32) -> Result<(), ConnectionError> {
        if self.candidate.as_ref().is_some_and(|candidate| candidate.data_size != u64::from(size)) {
            self.settle_candidate();
        }
        if self.candidate.is_none() {
            self.with_body(cx, PeerMisbehaved::NoData)?.check_data(size)?;
        }
        self.content = Target::Part(Part::Data);
        Ok(())
    }

    /// Makes whole data that came right behind its message part of the announcement.
    fn join_candidate(&mut self, cx: &mut Context<'_>, data: &[u8]) -> bool {
        let Some(candidate) = &self.candidate else { return false };
        let is_whole = data.len() as u64 == candidate.data_size;
        if is_whole && cx.events.records().join_data(candidate.announced, data) {
            self.candidate = None;
            return true;
        }
        self.settle_candidate();
        false
    }

    /// Begins a body for a message whose data has not come right behind it.
    pub(super) fn settle_candidate(&mut self) {
        let Some(Candidate { number, data_size, .. }) = self.candidate.take() else { return };
        self.bodies.open(number);
        self.channels.insert(self.current, MessageProgress::announced(number, false, data_size, 0));
    }

    fn end(&mut self, cx: &mut Context<'_>, part: Part) -> Result<(), ConnectionError> {
        let check = !cx.config.allow_files_size_mismatch;
        let number = match part {
            Part::File(index) => {
                let receiving = self.with_body(cx, PeerMisbehaved::NoMessage)?;
                receiving.end_file(index, check)?;
                receiving.number
            }
            _ => {
                let receiving = self.with_body(cx, PeerMisbehaved::NoStream)?;
                receiving.check_stream()?;
                receiving.stream_open = false;
                receiving.number
            }
        };
        self.bodies.end(number, part, cx.events);
        self.finish_if_whole();
        Ok(())
    }

    fn finish_if_whole(&mut self) {
        if self.channels.get(&self.current).is_some_and(MessageProgress::is_whole) {
            self.remove().inspect(|receiving| self.bodies.finish(receiving.number));
        }
    }

    fn abort(&mut self, cx: &mut Context<'_>) {
        if let Some(receiving) = self.remove() {
            self.bodies.abort(receiving.number, true, cx.events);
        }
    }

    fn remove(&mut self) -> Option<MessageProgress> {
        let receiving = self.channels.remove(&self.current)?;
        self.header_bytes -= receiving.header.as_ref().map_or(0, PartialHeader::len);
        self.files -= u32::try_from(receiving.files.len()).unwrap_or(u32::MAX);
        Some(receiving)
    }

    fn count_files(&mut self, cx: &Context<'_>, more: u32) -> Result<(), ConnectionError> {
        self.files = self.files.saturating_add(more);
        if self.files > cx.config.max_files {
            return Err(ConnectionError::TooManyFiles { limit: cx.config.max_files });
        }
        Ok(())
    }
}

/// Data of at most this size comes with the announcement of its message, if it has come whole by then.
const MAX_INLINE_BYTES: u64 = 8 * 1024;
