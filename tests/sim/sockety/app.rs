//! An application at one end of a connection: it keeps all that it is told.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use bytes::Bytes;
use selvedge::base::{Chunk, Failure, LinkEvent, LinkInfo, LinkRequest, Machine};
use selvedge::sockety::{
    Budget, Command, Config, Connection, Details, Event, OutgoingMessage, OutgoingStream, Part, Record,
};
use uuid::Uuid;

use super::start;

pub struct App {
    pub machine: Connection,
    pub now: Instant,
    /// Whether it reads whatever comes at once.
    pub is_eager: bool,
    pub is_open: bool,
    /// Why, if it is.
    pub closed: Option<Option<Failure>>,
    pub is_finished: bool,
    /// What it wanted done with the connection below.
    pub requests: Vec<LinkRequest>,
    pub messages: Vec<Received>,
    by_number: BTreeMap<u32, usize>,
    /// Request, id and code.
    pub replies: Vec<(u32, Uuid, u16)>,
    pub flushed: Vec<u32>,
    pub go_aways: usize,
}

/// A message or response, as far as it has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Received {
    /// Who waited, and for the answer to what.
    pub answers: Option<(u32, Uuid)>,
    pub id: Uuid,
    pub action: String,
    pub expects_response: bool,
    pub number: u32,
    pub data_size: u64,
    pub data: Vec<u8>,
    pub stream: Option<Contents>,
    pub file_count: u32,
    pub files_size: u64,
    pub files: Vec<(String, u64, Contents)>,
    /// Nothing more comes; whether its sender gave it up.
    pub aborted: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    pub bytes: Vec<u8>,
    pub has_ended: bool,
}

impl App {
    /// One end, connected.
    pub fn new(config: Config) -> Self {
        Self::on(Connection::accept(start(), config))
    }

    /// One of several ends that share a budget; its peer has said the default header.
    pub fn opened_within(budget: &Budget) -> Self {
        let mut app = Self::on(Connection::accept_within(start(), Config::default(), budget.clone()));
        app.feed(b"\xe3");
        app
    }

    fn on(mut machine: Connection) -> Self {
        let now = start();
        machine.handle_link(now, LinkEvent::Up(LinkInfo::default()));
        Self {
            machine,
            now,
            is_eager: true,
            is_open: false,
            closed: None,
            is_finished: false,
            requests: Vec::new(),
            messages: Vec::new(),
            by_number: BTreeMap::new(),
            replies: Vec::new(),
            flushed: Vec::new(),
            go_aways: 0,
        }
    }

    /// One end whose peer has said the default header.
    pub fn opened() -> Self {
        let mut app = Self::new(Config::default());
        app.feed(b"\xe3");
        assert_eq!(app.sent(), b"\xe3");
        assert!(app.is_open);
        app
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.machine.handle_input(self.now, Chunk::Bytes(Bytes::copy_from_slice(bytes)));
        self.drain();
    }

    pub fn command(&mut self, command: Command) {
        self.machine.handle_command(self.now, command);
        self.drain();
    }

    /// What has to be sent.
    pub fn sent(&mut self) -> Vec<u8> {
        let sent: Vec<u8> = std::iter::from_fn(|| self.machine.poll_output()).flatten().collect();
        self.drain();
        sent
    }

    /// Lets time pass.
    pub fn wait_until(&mut self, until: Instant) {
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.drain();
            let next = self.machine.poll_timeout();
            assert!(next.is_none_or(|next| next > at), "a deadline that was handled does not come again");
        }
        self.now = until;
    }

    pub fn read(&mut self, number: u32, part: Part, bytes: u64) {
        self.command(Command::Read { number, part, bytes });
    }

    /// The connection below is gone.
    pub fn link(&mut self, event: LinkEvent) {
        self.machine.handle_link(self.now, event);
        self.drain();
    }

    /// The peer sends nothing more.
    pub fn end(&mut self) {
        self.machine.handle_input(self.now, Chunk::End);
        self.drain();
    }

    /// Takes what has happened.
    pub fn drain(&mut self) {
        self.requests.extend(std::iter::from_fn(|| self.machine.poll_link()));
        while let Some(event) = self.machine.poll_event() {
            assert!(!self.is_finished, "nothing comes after the end");
            match event {
                Event::Opened => self.is_open = true,
                Event::Records(records) => records.iter().for_each(|record| self.record(record)),
                Event::Data { number, part, bytes } => self.contents(number, part, &bytes),
                Event::Closed(why) => {
                    assert!(self.closed.replace(why).is_none(), "closed once");
                }
                Event::Finished(failure) => {
                    assert_eq!(failure, None);
                    self.is_finished = true;
                }
            }
        }
    }

    fn record(&mut self, record: Record<'_>) {
        match record {
            Record::Message { id, expects_response, action, details } => {
                let action = String::from_utf8_lossy(action).into_owned();
                self.announced(Received { id, action, expects_response, ..Received::default() }, details);
            }
            Record::Response { request, parent, id, expects_response, details } => {
                let answers = Some((request, parent));
                self.announced(Received { answers, id, expects_response, ..Received::default() }, details);
            }
            Record::FastReply { request, id, code } => self.replies.push((request, id, code)),
            Record::Flushed { first, count } => self.flushed.extend(first..first + count),
            Record::Data { number, part, bytes } => self.contents(number, part, bytes),
            Record::End { number, part } => {
                let message = self.message(number);
                match part {
                    Part::Stream => message.stream.as_mut().expect("a stream").has_ended = true,
                    Part::File(index) => message.files[index as usize].2.has_ended = true,
                    Part::Data => unreachable!("known by its size"),
                }
            }
            Record::Files { number, files } => {
                let count = self.message(number).files.len();
                self.message(number).add_files(files.iter().map(|file| (file.name, file.size)));
                let added = u32::try_from(self.message(number).files.len()).expect("few");
                let first = u32::try_from(count).expect("few");
                self.read_files(number, first..added);
            }
            Record::Aborted { number, by_peer, .. } => self.message(number).aborted = Some(by_peer),
            Record::GoAway => self.go_aways += 1,
        }
    }

    fn announced(&mut self, mut message: Received, details: Details<'_>) {
        match details {
            Details::Inline(data) => {
                message.data_size = data.len() as u64;
                message.data = data.to_vec();
                self.messages.push(message);
            }
            Details::Body { number, stream, data_size, file_count, files_size, files } => {
                message.number = number;
                message.data_size = data_size;
                message.stream = stream.then(Contents::default);
                (message.file_count, message.files_size) = (file_count, files_size);
                message.add_files(files.iter().map(|file| (file.name, file.size)));
                let known = u32::try_from(files.len()).expect("few");
                self.by_number.insert(number, self.messages.len());
                self.messages.push(message);
                if self.is_eager {
                    let now = self.now;
                    let mut read = |part| {
                        self.machine.handle_command(now, Command::Read { number, part, bytes: u64::MAX })
                    };
                    if data_size > 0 {
                        read(Part::Data);
                    }
                    if stream {
                        read(Part::Stream);
                    }
                }
                self.read_files(number, 0..known);
            }
        }
    }

    fn read_files(&mut self, number: u32, indices: std::ops::Range<u32>) {
        for index in indices.filter(|_| self.is_eager) {
            let read = Command::Read { number, part: Part::File(index), bytes: u64::MAX };
            self.machine.handle_command(self.now, read);
        }
    }

    fn contents(&mut self, number: u32, part: Part, bytes: &[u8]) {
        let message = self.message(number);
        match part {
            Part::Data => message.data.extend(bytes),
            Part::Stream => message.stream.as_mut().expect("a stream").bytes.extend(bytes),
            Part::File(index) => message.files[index as usize].2.bytes.extend(bytes),
        }
    }

    fn message(&mut self, number: u32) -> &mut Received {
        let index = self.by_number.get(&number).copied().unwrap_or_else(|| panic!("no message {number}"));
        &mut self.messages[index]
    }

    /// All messages and fast replies, in words.
    pub fn describe(&self) -> String {
        let mut text = self.messages.iter().map(Received::describe).collect::<Vec<_>>();
        for (request, id, code) in &self.replies {
            text.push(format!("reply {code} to {:02x}/{request}", id.as_bytes()[0]));
        }
        text.extend((0..self.go_aways).map(|_| "go away".to_owned()));
        text.extend(self.closed.iter().map(|why| match why {
            Some(why) => format!("closed: {why}"),
            None => "closed".to_owned(),
        }));
        text.join("; ")
    }
}

impl Received {
    fn add_files<'a>(&mut self, files: impl Iterator<Item = (&'a [u8], u64)>) {
        let named = |(name, size)| (String::from_utf8_lossy(name).into_owned(), size, Contents::default());
        self.files.extend(files.map(named));
    }

    /// Whether all of it is there.
    pub fn is_whole(&self) -> bool {
        self.data.len() as u64 == self.data_size
            && self.stream.as_ref().is_none_or(|stream| stream.has_ended)
            && self.files.len() == self.file_count as usize
            && self.files.iter().all(|(_, _, contents)| contents.has_ended)
    }

    fn describe(&self) -> String {
        let first = |id: &Uuid| id.as_bytes()[0];
        let mut text = match &self.answers {
            Some((request, parent)) => {
                format!("response {:02x} to {:02x}/{request}", first(&self.id), first(parent))
            }
            None => format!("message {:02x} {:?}", first(&self.id), self.action),
        };
        let mut add = |more: std::fmt::Arguments<'_>| text.write_fmt(more).expect("a String takes all");
        if self.expects_response {
            add(format_args!(" ?"));
        }
        if !self.data.is_empty() {
            add(format_args!(" data {}", shown(&self.data)));
        }
        if let Some(stream) = &self.stream {
            add(format_args!(" stream {}", stream.describe()));
        }
        for (name, size, contents) in &self.files {
            add(format_args!(" file {name} {size} {}", contents.describe()));
        }
        if let Some(by_peer) = self.aborted {
            add(format_args!(" aborted {}", if by_peer { "by its sender" } else { "with the connection" }));
        }
        text
    }
}

impl Contents {
    fn describe(&self) -> String {
        format!("{}{}", shown(&self.bytes), if self.has_ended { "." } else { "…" })
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned()
}

/// A message with nothing but its action.
pub fn message(id: Uuid, action: &str) -> OutgoingMessage {
    OutgoingMessage {
        number: 0,
        request: 0,
        id,
        parent: None,
        action: Bytes::copy_from_slice(action.as_bytes()),
        stream: OutgoingStream::None,
        data: Bytes::new(),
        files: Vec::new(),
        mark: 0,
    }
}
