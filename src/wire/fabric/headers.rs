//! Headers in binary: flags, then what they announce, in the order of the flags.

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::{DecodeError, Head, Reader, push_name, push_text};
use crate::subject::Subject;
use crate::wire::message::{Headers, Json, SocketCommand};

/// Returns whether there is anything to write.
pub(super) fn are_needed(headers: &Headers) -> bool {
    !headers.is_empty()
}

/// Appends `headers`, or leaves them in `head`, which they stand behind.
pub(super) fn push_headers(out: &mut BytesMut, head: &mut Head, headers: &Headers) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    if headers.has_numbers_only() {
        head.push(flag(headers.seq().is_some(), SEQ) | flag(headers.attempt().is_some(), ATTEMPT));
        return push_numbers(head, headers);
    }
    head.push(
        flag(headers.reply.is_some(), REPLY)
            | flag(headers.command.is_some(), COMMAND)
            | flag(headers.seq().is_some(), SEQ)
            | flag(headers.attempt().is_some(), ATTEMPT)
            | flag(headers.json.is_some(), JSON)
            | flag(headers.malformed, MALFORMED),
    );
    if headers.reply.is_some() || headers.command.is_some() {
        head.flush(out);
    }
    if let Some(reply) = &headers.reply {
        push_name(out, reply.as_str());
    }
    if let Some(command) = &headers.command {
        let index = COMMANDS.iter().position(|known| known == command).and_then(|at| u8::try_from(at).ok());
        match index {
            Some(index) => out.put_u8(index + 1),
            None => {
                out.put_u8(0);
                push_text(out, command.as_str());
            }
        }
    }
    push_numbers(head, headers);
    if let Some(json) = &headers.json {
        head.flush(out);
        let bytes = json.as_bytes();
        // A frame of 4 GiB is refused when it is finished.
        out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        out.put_slice(bytes);
    }
}

#[inline(always)]
fn push_numbers(head: &mut Head, headers: &Headers) {
    if let Some(seq) = headers.seq() {
        head.push_varint(seq);
    }
    if let Some(attempt) = headers.attempt() {
        head.push_varint(attempt);
    }
}

/// Reads headers. A reserved one with a value that it must not have is left out, and `malformed` set.
pub(super) fn read_headers(reader: &mut Reader<'_>) -> Result<Headers, DecodeError> {
    let flags = reader.u8()?;
    if flags & !KNOWN != 0 {
        return Err(DecodeError("unknown flags of headers"));
    }
    let has = |flag: u8| flags & flag != 0;
    let mut headers = Headers::default();
    if flags & !(SEQ | ATTEMPT) == 0 {
        if !read_numbers(reader, flags, &mut headers)? {
            headers.malformed = true;
        }
        return Ok(headers);
    }
    let (mut command, mut malformed) = (None, has(MALFORMED));
    if has(REPLY) {
        headers.reply = Subject::parse(reader.name()?).ok();
        malformed |= headers.reply.is_none();
    }
    if has(COMMAND) {
        command = Some(match reader.u8()? {
            0 => SocketCommand::from_name(reader.text()?),
            index => {
                COMMANDS.get(usize::from(index) - 1).cloned().ok_or(DecodeError("unknown command byte"))?
            }
        });
    }
    malformed |= !read_numbers(reader, flags, &mut headers)?;
    if has(JSON) {
        let text = Bytes::copy_from_slice(reader.long()?);
        headers.json = Some(Json::parse(text).map_err(|_| DecodeError("headers are not json"))?);
    }
    Ok(headers.with_command(command).with_malformed(malformed))
}

/// Reads the numbers that `flags` announce. Returns whether they are well-formed.
#[inline(always)]
fn read_numbers(reader: &mut Reader<'_>, flags: u8, headers: &mut Headers) -> Result<bool, DecodeError> {
    let mut well_formed = true;
    if flags & SEQ != 0 {
        headers.set_seq(Some(reader.varint()?).filter(is_count));
        well_formed &= headers.seq().is_some();
    }
    if flags & ATTEMPT != 0 {
        headers.set_attempt(Some(reader.varint()?).filter(is_count));
        well_formed &= headers.attempt().is_some();
    }
    Ok(well_formed)
}

/// Returns whether the number is 1, 2, 3 … up to where JavaScript's numbers have gaps.
fn is_count(number: &u64) -> bool {
    (1..1 << 53).contains(number)
}

const REPLY: u8 = 1;
const COMMAND: u8 = 2;
const SEQ: u8 = 4;
const ATTEMPT: u8 = 8;
const JSON: u8 = 16;
const MALFORMED: u8 = 32;
const KNOWN: u8 = 63;

/// Those with a byte of their own, from 1 on; 0 stands before the name of any other.
const COMMANDS: [SocketCommand; 5] = [
    SocketCommand::Connect,
    SocketCommand::Connected,
    SocketCommand::Close,
    SocketCommand::Ping,
    SocketCommand::Socket,
];
