//! What the application wants. Numbers are its own choice: of a message to which more follows, of a request,
//! of a mark. 0 is none.
//!
//! A mark is reported when the bytes of its command, and all before them, have been handed to the connection
//! below.

use bytes::Bytes;
use uuid::Uuid;

use super::Part;
use crate::base::{Urgent, Weigh};

/// One command.
#[derive(Debug, Clone)]
pub enum Command {
    /// Send a message or a response.
    Send(OutgoingMessage),
    /// Answer with nothing but a number.
    FastReply {
        /// What is answered.
        id: Uuid,
        /// At most 4095.
        code: u16,
        /// Reported when it has left.
        mark: u32,
    },
    /// More of a stream, or of a file of which the content follows.
    Write {
        /// The message.
        number: u32,
        /// Which of it.
        part: Part,
        /// What.
        bytes: Bytes,
        /// Reported when it has left.
        mark: u32,
    },
    /// The end of a stream or file.
    End {
        /// The message.
        number: u32,
        /// Which of it.
        part: Part,
        /// Reported when it has left.
        mark: u32,
    },
    /// Give up a message to which something would still follow.
    Abort(u32),
    /// Read so many more bytes of a received message.
    Read {
        /// The message.
        number: u32,
        /// Which of it.
        part: Part,
        /// How many.
        bytes: u64,
    },
    /// Nothing more of a received message is wanted.
    Discard {
        /// The message.
        number: u32,
        /// Which of it; `None`: all of it.
        part: Option<Part>,
    },
    /// Nobody waits for the answer to this message any more.
    Forget(Uuid),
    /// Send a heartbeat.
    Heartbeat {
        /// Reported when it has left.
        mark: u32,
    },
    /// Report this mark when everything that was sent so far has left.
    Mark(u32),
    /// Tell the peer that the connection will be closed soon.
    GoAway,
    /// A `Close` is on its way behind what still waits: the time that it may take begins now.
    Leave,
    /// Close the connection: when all has left that was sent before.
    Close,
    /// Close it at once.
    Destroy,
}

/// A message or response to send.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// Names it in what follows; 0: nothing follows.
    pub number: u32,
    /// Who waits for its answer; 0: nobody, and the peer is told so; [`UNAWAITED`].
    pub request: u32,
    /// Its own: version 4.
    pub id: Uuid,
    /// What it answers, if it is a response.
    pub parent: Option<Uuid>,
    /// Of a message: at most 65 535 bytes.
    pub action: Bytes,
    /// Whether it has a stream.
    pub stream: OutgoingStream,
    /// Empty: none.
    pub data: Bytes,
    /// In their order.
    pub files: Vec<DraftFile>,
    /// Reported when it has left, with all files, and without its stream.
    pub mark: u32,
}

/// As a request: an answer is welcome, but nobody waits for it yet, and nothing is kept for it.
pub const UNAWAITED: u32 = u32::MAX;

/// The stream of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutgoingStream {
    /// There is none.
    None,
    /// It has ended before it began.
    Ended,
    /// It follows.
    Open,
}

/// A file of a message.
#[derive(Debug, Clone)]
pub struct DraftFile {
    /// At most 65 535 bytes.
    pub name: Bytes,
    /// In bytes; below 2^48.
    pub size: u64,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Debug, Clone)]
pub enum Content {
    /// This.
    Whole(Bytes),
    /// It follows.
    Follows,
}

impl Urgent for Command {
    /// Returns whether it is for what comes from the peer, or for its end: two ends that write to each other
    /// would wait for ever if neither could read, and so would whoever closes.
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Discard { .. } | Self::Leave | Self::Destroy)
    }
}

impl Weigh for OutgoingMessage {
    fn weight(&self) -> usize {
        let file = |file: &DraftFile| match &file.content {
            Content::Whole(bytes) => bytes.len() + file.name.len() + size_of::<DraftFile>(),
            Content::Follows => file.name.len() + size_of::<DraftFile>(),
        };
        let files: usize = self.files.iter().map(file).sum();
        self.action.len() + self.data.len() + files + size_of::<Command>()
    }
}

impl Weigh for Command {
    fn weight(&self) -> usize {
        let content = match self {
            Self::Send(message) => return message.weight(),
            Self::Write { bytes, .. } => bytes.len(),
            _ => 0,
        };
        content + size_of::<Self>()
    }
}
