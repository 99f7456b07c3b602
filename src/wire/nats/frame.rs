//! What a server says: one line, and behind that of a message its headers and payload.

use bytes::Bytes;

use super::DecodeError;

/// One whole frame, and where its bytes are.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// In a buffer of the reader's: everything that is kept of it is copied.
    Borrowed(&'a [u8]),
    /// A large payload is kept where it is.
    Shared(&'a Bytes),
}

impl<'a> Frame<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    pub(super) fn shared(self) -> Option<&'a Bytes> {
        match self {
            Self::Borrowed(_) => None,
            Self::Shared(bytes) => Some(bytes),
        }
    }
}

/// A frame, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFrame<'a> {
    /// What the server says about itself: first of all, and when something changes. JSON.
    Info(&'a str),
    /// `MSG` or `HMSG`.
    Message(Delivery<'a>),
    /// Wants a pong.
    Ping,
    /// Everything before the oldest ping is settled.
    Pong,
    /// Comes only if asked for.
    Ok,
    /// A refusal: its text, without quotes.
    Error(&'a str),
}

/// A message for one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Any bytes: publishers are not checked.
    pub subject: &'a [u8],
    /// Names the subscription.
    pub sid: u64,
    /// Any bytes, as well.
    pub reply: Option<&'a [u8]>,
    /// The header block with its blank line; empty if there is none.
    pub headers: &'a [u8],
    /// The rest.
    pub payload: &'a [u8],
}

/// Returns the length of the first frame in `buffered`; `None` until that is known. `max_message` bounds
/// headers and payload of a message. Nothing is kept for a frame beyond the bounds.
pub fn frame_length(buffered: &[u8], max_message: usize) -> Result<Option<usize>, DecodeError> {
    let limit = if buffered.starts_with(b"INFO") { MAX_INFO_BYTES } else { MAX_LINE_BYTES };
    let Some(line) = buffered.iter().take(limit).position(|&byte| byte == b'\n') else {
        return if buffered.len() < limit { Ok(None) } else { Err(DecodeError("line too long")) };
    };
    let text = buffered[..line].strip_suffix(b"\r").ok_or(DecodeError("line without a carriage return"))?;
    let size = match text.first() {
        Some(b'M' | b'H') => Line::read(text)?.total,
        _ => return Ok(Some(line + 1)),
    };
    if size > max_message {
        return Err(DecodeError("message too large"));
    }
    Ok(Some(line + 1 + size + LINE_END.len()))
}

impl<'a> ServerFrame<'a> {
    /// Reads one whole frame, as [`frame_length`] cuts them.
    pub fn read(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let end = frame.iter().position(|&byte| byte == b'\n').ok_or(TRUNCATED)?;
        let line = frame[..end].strip_suffix(b"\r").ok_or(TRUNCATED)?;
        let rest = &frame[end + 1..];
        let is_line_of = |verb: &[u8]| line == verb && rest.is_empty();
        match line.first() {
            Some(b'M' | b'H') => Line::read(line)?.with_payload(rest).map(Self::Message),
            _ if is_line_of(b"PING") => Ok(Self::Ping),
            _ if is_line_of(b"PONG") => Ok(Self::Pong),
            _ if is_line_of(b"+OK") => Ok(Self::Ok),
            Some(b'I') if rest.is_empty() => line
                .strip_prefix(b"INFO ")
                .and_then(|text| std::str::from_utf8(text).ok())
                .map(|text| Self::Info(text.trim_ascii()))
                .ok_or(UNKNOWN),
            Some(b'-') if rest.is_empty() => line
                .strip_prefix(b"-ERR ")
                .and_then(|text| std::str::from_utf8(text).ok())
                .map(|text| Self::Error(text.trim_ascii().trim_matches('\'')))
                .ok_or(UNKNOWN),
            _ => Err(UNKNOWN),
        }
    }
}

/// The control line of a message.
struct Line<'a> {
    subject: &'a [u8],
    sid: u64,
    reply: Option<&'a [u8]>,
    header_bytes: usize,
    total: usize,
}

impl<'a> Line<'a> {
    /// Reads `MSG subject sid [reply] total`, or `HMSG subject sid [reply] headers total`.
    fn read(line: &'a [u8]) -> Result<Self, DecodeError> {
        let mut parts = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|part| !part.is_empty());
        let has_headers = match parts.next() {
            Some(b"MSG") => false,
            Some(b"HMSG") => true,
            _ => return Err(UNKNOWN),
        };
        let subject = parts.next().ok_or(MALFORMED)?;
        let sid = number(parts.next().ok_or(MALFORMED)?)?;
        let mut rest = [&b""[..]; 3];
        let mut count = 0;
        for part in parts {
            *rest.get_mut(count).ok_or(MALFORMED)? = part;
            count += 1;
        }
        let (reply, sizes) = match (count, has_headers) {
            (1, false) | (2, true) => (None, &rest[..count]),
            (2, false) | (3, true) => (Some(rest[0]), &rest[1..count]),
            _ => return Err(MALFORMED),
        };
        let size = |text: &[u8]| usize::try_from(number(text)?).map_err(|_| MALFORMED);
        let (header_bytes, total) = match sizes {
            [total] => (0, size(total)?),
            [headers, total] => (size(headers)?, size(total)?),
            _ => return Err(MALFORMED),
        };
        if header_bytes > total {
            return Err(DecodeError("headers longer than their message"));
        }
        Ok(Self { subject, sid, reply, header_bytes, total })
    }

    fn with_payload(self, rest: &'a [u8]) -> Result<Delivery<'a>, DecodeError> {
        let content = rest.strip_suffix(LINE_END).filter(|content| content.len() == self.total);
        let content = content.ok_or(DecodeError("message longer than it says"))?;
        let (headers, payload) = content.split_at(self.header_bytes);
        Ok(Delivery { subject: self.subject, sid: self.sid, reply: self.reply, headers, payload })
    }
}

fn number(text: &[u8]) -> Result<u64, DecodeError> {
    if text.is_empty() || text.len() > MAX_DIGITS {
        return Err(MALFORMED);
    }
    text.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'9' => Ok(number * 10 + u64::from(byte - b'0')),
        _ => Err(MALFORMED),
    })
}

/// What every line and every message ends with.
pub(super) const LINE_END: &[u8] = b"\r\n";
/// Longest `INFO`: a large cluster lists its nodes in it.
pub const MAX_INFO_BYTES: usize = 1024 * 1024;
/// Longest other line.
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Digits that no overflow comes of.
const MAX_DIGITS: usize = 18;

const TRUNCATED: DecodeError = DecodeError("line without an end");
const MALFORMED: DecodeError = DecodeError("malformed message line");
const UNKNOWN: DecodeError = DecodeError("not a line of nats");
