//! Small events packed into bytes, as they cross to JavaScript (`docs/internals/boundary.md`): a million
//! messages a second must not be a million values of their own, nor keep what was read from the network
//! alive.

mod unpack;

use uuid::Uuid;

use super::Part;
use crate::wire::sockety::FileHeader;

/// Small events in a row, packed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    bytes: Vec<u8>,
    count: usize,
}

impl Records {
    /// Returns how many bytes they take.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns how many things they tell: records and files.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns all of them, packed.
    pub fn raw(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns them one by one.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || Record::split(&mut rest))
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Record<'a> {
    /// A message has come.
    Message {
        /// Its own.
        id: Uuid,
        /// The sender waits for an answer.
        expects_response: bool,
        /// What it is about.
        action: &'a [u8],
        /// What else it has.
        details: Details<'a>,
    },
    /// A response has come.
    Response {
        /// Who waited for it; 0: nobody, or they got another answer before.
        request: u32,
        /// What it answers.
        parent: Uuid,
        /// Its own.
        id: Uuid,
        /// The sender waits for an answer.
        expects_response: bool,
        /// What it has.
        details: Details<'a>,
    },
    /// A fast reply has come.
    FastReply {
        /// Who waited for it; 0: nobody, or they got another answer before.
        request: u32,
        /// What it answers.
        id: Uuid,
        /// What it says.
        code: u16,
    },
    /// Marks have been passed: these, one after another.
    Flushed {
        /// The first of them.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Bytes of a received message.
    Data {
        /// The message.
        number: u32,
        /// Which of it.
        part: Part,
        /// What.
        bytes: &'a [u8],
    },
    /// A stream or file has been given out to its end.
    End {
        /// The message.
        number: u32,
        /// Which of it.
        part: Part,
    },
    /// Further files of a message, of which the headers have come later than the rest.
    Files {
        /// The message.
        number: u32,
        /// They.
        files: Vec<RecordFile<'a>>,
    },
    /// A message will not come whole: its peer has given it up, or is gone.
    Aborted {
        /// The message.
        number: u32,
        /// The peer has given it up.
        by_peer: bool,
        /// What of it has come whole, and can still be read.
        whole: Vec<Part>,
    },
    /// The peer will close the connection soon.
    GoAway,
}

/// What a message has beside its header.
#[derive(Debug, Clone, PartialEq)]
pub enum Details<'a> {
    /// Nothing but this data; mostly none.
    Inline(&'a [u8]),
    /// It is read by the message's number.
    Body {
        /// Names the message in what follows.
        number: u32,
        /// It has a stream.
        stream: bool,
        /// Bytes of data.
        data_size: u64,
        /// How many files it has.
        file_count: u32,
        /// What all files are said to have.
        files_size: u64,
        /// Those that are known.
        files: Vec<RecordFile<'a>>,
    },
}

/// A file as it was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFile<'a> {
    /// In bytes.
    pub size: u64,
    /// As the peer wrote it.
    pub name: &'a [u8],
}

/// Packs small events.
#[derive(Debug, Default)]
pub struct RecordsBuilder {
    bytes: Vec<u8>,
    count: usize,
    /// Where the last record begins if it tells of passed marks, and the mark that would be the next one.
    flushed: Option<(usize, u32)>,
}

/// Where a message was packed, so that its data may still join it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    flags: usize,
    details: usize,
    end: usize,
}

/// What is known of a message when it is announced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announcement<'a> {
    pub(super) parent: Option<(Uuid, u32)>,
    pub(super) id: Uuid,
    pub(super) expects_response: bool,
    pub(super) action: &'a [u8],
    /// `None`: it has nothing.
    pub(super) body: Option<BodyHead<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BodyHead<'a> {
    pub(super) number: u32,
    pub(super) stream: bool,
    pub(super) data_size: u64,
    pub(super) file_count: u32,
    pub(super) files_size: u64,
    /// How many file headers are in `raw_files`.
    pub(super) known_files: u32,
    /// They, as they came.
    pub(super) raw_files: &'a [u8],
}

impl RecordsBuilder {
    /// Returns how many bytes have been packed.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes what has been packed.
    pub(super) fn take(&mut self) -> Option<Records> {
        self.flushed = None;
        let count = std::mem::take(&mut self.count);
        (!self.bytes.is_empty()).then(|| Records { bytes: std::mem::take(&mut self.bytes), count })
    }

    pub(super) fn message(&mut self, message: &Announcement<'_>) -> Announced {
        self.begin();
        let flags = u8::from(message.expects_response)
            | u8::from(message.body.is_some_and(|body| body.stream)) << 1
            | u8::from(message.body.is_some()) << 3;
        let at = self.bytes.len() + 1;
        if let Some((parent, request)) = message.parent {
            self.bytes.extend_from_slice(&[RESPONSE, flags]);
            self.u32(request);
            self.bytes.extend_from_slice(parent.as_bytes());
            self.bytes.extend_from_slice(message.id.as_bytes());
        } else {
            self.bytes.extend_from_slice(&[MESSAGE, flags]);
            self.u16(message.action.len());
            self.bytes.extend_from_slice(message.id.as_bytes());
            self.bytes.extend_from_slice(message.action);
        }
        let details = self.bytes.len();
        if let Some(body) = message.body {
            self.u32(body.number);
            self.number(body.data_size);
            self.u32(body.file_count);
            self.number(body.files_size);
            self.files(body.known_files, body.raw_files);
        }
        Announced { flags: at, details, end: self.bytes.len() }
    }

    /// Puts the whole data of a message into its record, if that is still the last one.
    pub(super) fn join_data(&mut self, announced: Announced, data: &[u8]) -> bool {
        if announced.end != self.bytes.len() {
            return false;
        }
        self.bytes.truncate(announced.details);
        self.bytes[announced.flags] = self.bytes[announced.flags] & !BODY | INLINE;
        self.u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(data);
        true
    }

    pub(super) fn fast_reply(&mut self, request: u32, id: Uuid, code: u16) {
        self.begin();
        self.bytes.push(FAST_REPLY);
        self.bytes.extend_from_slice(&code.to_le_bytes());
        self.u32(request);
        self.bytes.extend_from_slice(id.as_bytes());
    }

    pub(super) fn flushed(&mut self, mark: u32) {
        if let Some((at, next)) = self.flushed
            && next == mark
        {
            let count: &mut [u8] = &mut self.bytes[at + 5..at + 9];
            let more = u32::from_le_bytes([count[0], count[1], count[2], count[3]]) + 1;
            count.copy_from_slice(&more.to_le_bytes());
        } else {
            self.count += 1;
            self.flushed = Some((self.bytes.len(), mark));
            self.bytes.push(FLUSHED);
            self.u32(mark);
            self.u32(1);
        }
        self.flushed = self.flushed.map(|(at, _)| (at, mark.wrapping_add(1)));
    }

    pub(super) fn data(&mut self, number: u32, part: Part, bytes: &[u8]) {
        self.part(DATA, number, part);
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn end(&mut self, number: u32, part: Part) {
        self.part(END, number, part);
    }

    pub(super) fn more_files(&mut self, number: u32, count: u32, raw: &[u8]) {
        self.begin();
        self.bytes.push(FILES);
        self.u32(number);
        self.files(count, raw);
    }

    pub(super) fn aborted(&mut self, number: u32, by_peer: bool, whole: &[Part]) {
        self.begin();
        self.bytes.push(ABORTED);
        self.u32(number);
        self.bytes.push(by_peer.into());
        self.u32(u32::try_from(whole.len()).unwrap_or(u32::MAX));
        whole.iter().for_each(|part| self.u32(part.number()));
    }

    pub(super) fn go_away(&mut self) {
        self.begin();
        self.bytes.push(GO_AWAY);
    }

    fn begin(&mut self) {
        self.flushed = None;
        self.count += 1;
    }

    fn part(&mut self, kind: u8, number: u32, part: Part) {
        self.begin();
        self.bytes.push(kind);
        self.u32(number);
        self.u32(part.number());
    }

    fn files(&mut self, count: u32, mut raw: &[u8]) {
        self.count += count as usize;
        self.u32(count);
        for _ in 0..count {
            let Some((file, length)) = FileHeader::decode(raw) else {
                return debug_assert!(false, "decoded before");
            };
            raw = &raw[length..];
            self.number(file.size);
            self.u16(file.name.len());
            self.bytes.extend_from_slice(file.name);
        }
    }

    fn u16(&mut self, number: usize) {
        self.bytes.extend_from_slice(&u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// Writes JavaScript's number: exact up to 2^53.
    fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&(number as f64).to_le_bytes());
    }
}

const MESSAGE: u8 = 1;
const RESPONSE: u8 = 2;
const FAST_REPLY: u8 = 3;
const FLUSHED: u8 = 4;
const DATA: u8 = 5;
const END: u8 = 6;
const FILES: u8 = 7;
const ABORTED: u8 = 8;
const GO_AWAY: u8 = 9;

const EXPECTS_RESPONSE: u8 = 1;
const STREAM: u8 = 2;
const INLINE: u8 = 4;
const BODY: u8 = 8;
