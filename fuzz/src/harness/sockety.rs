//! Sockety: its bytes, and a connection whose peer says anything.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use selvedge::base::{Chunk, LinkEvent, LinkInfo, Machine};
use selvedge::sockety::{
    Command, Config, Connection, Content, Details, DraftFile, Event, OutgoingMessage, OutgoingStream, Part,
    Record,
};
use selvedge::wire::sockety::{FileHeader, Handshake, Kind, MessageHeader, Packet};
use uuid::Uuid;

/// Reads bytes; what was read can be written, in no more of them, and is read again as it was.
pub fn bytes(data: &[u8]) {
    if let Ok(Some((handshake, _))) = Handshake::decode(data) {
        let mut out = BytesMut::new();
        handshake.push(&mut out);
        assert_eq!(Handshake::decode(&out), Ok(Some((handshake, out.len()))));
    }
    let mut rest = data;
    while let Ok(Some((packet, length))) = Packet::decode(rest) {
        let mut out = BytesMut::new();
        packet.push(&mut out);
        assert!(out.len() <= length);
        assert_eq!(Packet::decode(&out), Ok(Some((packet, out.len()))));
        rest = &rest[length..];
        let content = &rest[..rest.len().min(packet.size() as usize)];
        match packet {
            Packet::Message { .. } => header(Kind::Message, content),
            Packet::Response { .. } => header(Kind::Response, content),
            _ => {}
        }
        rest = &rest[content.len()..];
    }
}

fn header(kind: Kind, content: &[u8]) {
    let Some((header, length)) = MessageHeader::decode(kind, content) else { return };
    let mut out = BytesMut::new();
    header.push(&mut out);
    assert_eq!(out.len(), header.encoded_len());
    // A sum of no files is read and not kept.
    if header.file_count > 0 || header.files_size == 0 {
        assert_eq!(MessageHeader::decode(kind, &out), Some((header, out.len())));
    }
    let mut rest = &content[length..];
    while let Some((file, length)) = FileHeader::decode(rest) {
        let mut out = BytesMut::new();
        file.push(&mut out);
        assert!(out.len() == file.encoded_len() && out.len() <= length);
        assert_eq!(FileHeader::decode(&out), Some((file, out.len())));
        rest = &rest[length..];
    }
}

/// Runs a connection whose peer says what the first half says, cut in pieces, while its application does what
/// the second half says. However it is cut, it ends in the same way.
pub fn life(data: &[u8]) {
    let (peer, application) = data.split_at(data.len() / 2);
    let mut first = Life::new();
    first.run(peer, application, usize::MAX);
    let mut second = Life::new();
    second.run(peer, &[], 1);
    let mut third = Life::new();
    third.run(peer, &[], usize::MAX);
    assert_eq!(second.seen, third.seen, "however it is cut");
}

struct Life {
    machine: Connection,
    now: Instant,
    is_finished: bool,
    /// What has come of messages, without the places where it was cut.
    seen: Vec<String>,
    numbers: Vec<u32>,
    reads: bool,
}

impl Life {
    fn new() -> Self {
        let now = Instant::now();
        let config =
            Config { max_unread_bytes: 4096, max_header_bytes: 512, max_files: 16, ..Config::default() };
        let mut machine = Connection::accept(now, config);
        machine.handle_link(now, LinkEvent::Up(LinkInfo::default()));
        Self { machine, now, is_finished: false, seen: Vec::new(), numbers: Vec::new(), reads: true }
    }

    fn run(&mut self, peer: &[u8], application: &[u8], piece: usize) {
        self.reads = application.is_empty();
        let mut actions = application.chunks(3);
        for bytes in [b"\xe3", peer].into_iter().flat_map(|bytes| bytes.chunks(piece.min(7))) {
            if self.machine.is_reading() {
                self.machine.handle_input(self.now, Chunk::Bytes(Bytes::copy_from_slice(bytes)));
            }
            self.drain();
            if let Some(action) = actions.next() {
                self.act(action);
            }
        }
        self.machine.handle_input(self.now, Chunk::End);
        self.drain();
        self.now += Duration::from_secs(3600);
        self.machine.handle_timeout(self.now);
        self.drain();
        assert!(self.is_finished, "it ends");
    }

    fn act(&mut self, action: &[u8]) {
        let &[kind, number, size] = action else { return };
        let content = Bytes::from(vec![number; size.into()]);
        let number: u32 = number.into();
        let part = Part::from_number(u32::from(size) % 4);
        let file = |content| DraftFile { name: Bytes::from_static(b"n"), size: 1, content };
        let command = match kind % 12 {
            0 => Command::Write { number, part, bytes: content, mark: 1 },
            1 => Command::End { number, part, mark: 2 },
            2 => Command::Abort(number),
            3 => Command::Read {
                number: self.numbers.last().copied().unwrap_or(number),
                part,
                bytes: size.into(),
            },
            4 => {
                let number = self.numbers.first().copied().unwrap_or(number);
                Command::Discard { number, part: (size % 2 == 0).then_some(part) }
            }
            5 => Command::FastReply { id: Uuid::nil(), code: 4095, mark: 0 },
            6 => Command::Heartbeat { mark: 3 },
            7 if size > 250 => Command::Close,
            8 if size > 250 => Command::Destroy,
            9 => {
                self.now += Duration::from_secs(number.into());
                return self.machine.handle_timeout(self.now);
            }
            _ => Command::Send(OutgoingMessage {
                number,
                request: number,
                id: Uuid::from_u128(number.into()),
                parent: (size % 2 == 0).then(Uuid::nil),
                action: content.clone(),
                stream: if size % 3 == 0 { OutgoingStream::Open } else { OutgoingStream::None },
                data: content.clone(),
                files: if size % 5 == 0 {
                    vec![file(Content::Follows), file(Content::Whole(content))]
                } else {
                    Vec::new()
                },
                mark: 4,
            }),
        };
        self.machine.handle_command(self.now, command);
        self.drain();
    }

    fn drain(&mut self) {
        while self.machine.poll_output().is_some() {}
        while self.machine.poll_link().is_some() {}
        while let Some(event) = self.machine.poll_event() {
            assert!(!self.is_finished, "nothing comes after the end");
            match event {
                Event::Opened => {}
                Event::Records(records) => records.iter().for_each(|record| self.record(record)),
                Event::Data { .. } => {}
                Event::Closed(why) => self.seen.push(format!("{why:?}")),
                Event::Finished(_) => self.is_finished = true,
            }
        }
    }

    fn record(&mut self, record: Record<'_>) {
        match record {
            Record::Message { id, details, .. } | Record::Response { id, details, .. } => {
                self.seen.push(format!("{id}"));
                if let Details::Body { number, .. } = details {
                    self.numbers.push(number);
                    for part in (0..20).map(Part::from_number).filter(|_| self.reads) {
                        self.machine.handle_command(self.now, Command::Read { number, part, bytes: 1 << 50 });
                    }
                }
            }
            Record::FastReply { id, code, .. } => self.seen.push(format!("{id} {code}")),
            Record::GoAway => self.seen.push("go away".to_owned()),
            _ => {}
        }
    }
}
