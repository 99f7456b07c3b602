//! The bodies of WATCH and WATCHED: entries to the end of the frame.

use bytes::{BufMut, BytesMut};

use super::MAX_CONTROL_BYTES;
use super::frame::{DecodeError, Reader, begin, finish, kind, push_name, push_varint};
use crate::wire::message::{Presence, PresenceChange, WatchRequest};

/// Appends a WATCH: varint (id × 2 + 1) and the subject to begin, varint (id × 2) to end. More than a server
/// takes in one frame is several.
pub(super) fn push_requests(out: &mut BytesMut, requests: &[WatchRequest]) {
    let mut start = begin(out, kind::WATCH);
    for WatchRequest { id, subject } in requests {
        if out.len() - start > MAX_CONTROL_BYTES / 2 {
            finish(out, start, 0);
            start = begin(out, kind::WATCH);
        }
        push_varint(out, id << 1 | u64::from(subject.is_some()));
        if let Some(subject) = subject {
            push_name(out, subject);
        }
    }
    finish(out, start, 0);
}

/// Reads the body of a WATCH.
pub(super) fn read_requests(mut reader: Reader<'_>) -> Result<Vec<WatchRequest>, DecodeError> {
    let mut requests = Vec::new();
    if reader.len() > MAX_CONTROL_BYTES {
        return Err(DecodeError("watch frame too long"));
    }
    while !reader.is_done() {
        let number = reader.varint()?;
        let subject = if number & 1 == 1 { Some(reader.name()?.into()) } else { None };
        requests.push(WatchRequest { id: number >> 1, subject });
    }
    Ok(requests)
}

/// Appends a WATCHED: varint id, u8 presence, and with the end of an owner varint crowd.
pub(super) fn push_changes(out: &mut BytesMut, changes: &[PresenceChange]) {
    let start = begin(out, kind::WATCHED);
    for PresenceChange { id, presence, crowd } in changes {
        push_varint(out, *id);
        out.put_u8(*presence as u8);
        if presence.is_end() {
            push_varint(out, *crowd);
        }
    }
    finish(out, start, 0);
}

/// Reads the body of a WATCHED.
pub(super) fn read_changes(mut reader: Reader<'_>) -> Result<Vec<PresenceChange>, DecodeError> {
    let mut changes = Vec::new();
    while !reader.is_done() {
        let (id, presence) = (reader.varint()?, Presence::from_number(reader.u8()?));
        let crowd = if presence.is_end() { reader.varint()? } else { 1 };
        changes.push(PresenceChange { id, presence, crowd });
    }
    Ok(changes)
}
