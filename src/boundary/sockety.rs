//! Commands of Sockety connections as bytes: many operations in one record (`docs/internals/boundary.md`,
//! "Sockety").

use bytes::{Buf, Bytes};
use uuid::Uuid;

use super::kinds::SocketyOperation;
use crate::base::{Code, Failure};
use crate::sockety::{Command, Content, DraftFile, OutgoingMessage, OutgoingStream, Part};

/// Reads the operations of one record. `attached` returns buffers that were handed over before it, by number.
pub fn read_operations(
    record: Bytes,
    attached: &dyn Fn(u32) -> Option<Bytes>,
) -> Result<Vec<Command>, Failure> {
    let mut reader = OperationReader { rest: record, attached };
    let mut commands = Vec::new();
    while !reader.rest.is_empty() {
        let command = reader.operation().ok_or_else(malformed)?;
        if matches!(command, Command::Close) {
            commands.push(Command::Leave);
        }
        commands.push(command);
    }
    Ok(commands)
}

struct OperationReader<'a> {
    rest: Bytes,
    attached: &'a dyn Fn(u32) -> Option<Bytes>,
}

impl OperationReader<'_> {
    fn operation(&mut self) -> Option<Command> {
        Some(match SocketyOperation::from_number(self.u8()?)? {
            SocketyOperation::SocketySend => Command::Send(self.message()?),
            SocketyOperation::SocketyFastReply => {
                let code = self.u16()?;
                Command::FastReply { id: self.id()?, code, mark: 0 }
            }
            SocketyOperation::SocketyWrite => {
                let (number, part, mark) = (self.u32()?, self.part()?, self.u32()?);
                Command::Write { number, part, mark, bytes: self.content()? }
            }
            SocketyOperation::SocketyEnd => {
                Command::End { number: self.u32()?, part: self.part()?, mark: self.u32()? }
            }
            SocketyOperation::SocketyAbort => Command::Abort(self.u32()?),
            SocketyOperation::SocketyRead => {
                Command::Read { number: self.u32()?, part: self.part()?, bytes: self.size()? }
            }
            SocketyOperation::SocketyDiscard => {
                let number = self.u32()?;
                let part = self.u32().map(|part| (part != ALL_PARTS).then(|| Part::from_number(part)))?;
                Command::Discard { number, part }
            }
            SocketyOperation::SocketyForget => Command::Forget(self.id()?),
            SocketyOperation::SocketyHeartbeat => Command::Heartbeat { mark: 0 },
            SocketyOperation::SocketyMark => Command::Mark(self.u32()?),
            SocketyOperation::SocketyGoAway => Command::GoAway,
            SocketyOperation::SocketyClose => Command::Close,
            SocketyOperation::SocketyDestroy => Command::Destroy,
        })
    }

    fn message(&mut self) -> Option<OutgoingMessage> {
        let flags = self.u8()?;
        let id = self.id()?;
        let request = if flags & EXPECTS_RESPONSE != 0 { self.u32()? } else { 0 };
        let (number, mark) =
            if flags & (STREAM_OPEN | FILES) != 0 { (self.u32()?, self.u32()?) } else { (0, 0) };
        let (parent, action) = if flags & RESPONSE != 0 {
            (Some(self.id()?), Bytes::new())
        } else {
            let length = self.u16()?;
            (None, self.take(length.into())?)
        };
        let stream = match flags & (STREAM_OPEN | STREAM_ENDED) {
            0 => OutgoingStream::None,
            STREAM_OPEN => OutgoingStream::Open,
            _ => OutgoingStream::Ended,
        };
        let data = self.content()?;
        let files = if flags & FILES != 0 { self.files()? } else { Vec::new() };
        Some(OutgoingMessage { number, request, id, parent, action, stream, data, files, mark })
    }

    fn files(&mut self) -> Option<Vec<DraftFile>> {
        let count = self.u32()?;
        let file = |_| {
            let size = self.size()?;
            let length = self.u32()?;
            let name = self.take(length as usize)?;
            let content = match self.u8()? {
                0 => Content::Follows,
                _ => Content::Whole(self.content()?),
            };
            Some(DraftFile { name, size, content })
        };
        (0..count).map(file).collect()
    }

    /// Reads bytes, or which of the attached buffers has them.
    fn content(&mut self) -> Option<Bytes> {
        match self.u32()? {
            ATTACHED => {
                let number = self.u32()?;
                (self.attached)(number)
            }
            length => self.take(length as usize),
        }
    }

    fn part(&mut self) -> Option<Part> {
        self.u32().map(Part::from_number)
    }

    fn id(&mut self) -> Option<Uuid> {
        self.chunk().map(Uuid::from_bytes)
    }

    /// Reads a size, which is an integer that a float holds exactly.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn size(&mut self) -> Option<u64> {
        self.chunk().map(|bytes| f64::from_le_bytes(bytes) as u64)
    }

    fn u8(&mut self) -> Option<u8> {
        self.chunk().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.chunk().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let chunk = *self.rest.first_chunk()?;
        self.rest.advance(N);
        Some(chunk)
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.rest.len()).then(|| self.rest.split_to(length))
    }
}

fn malformed() -> Failure {
    Failure::new(Code::Internal, "malformed batch: no operation of a Sockety connection")
}

const EXPECTS_RESPONSE: u8 = 1;
const STREAM_OPEN: u8 = 2;
const STREAM_ENDED: u8 = 4;
const FILES: u8 = 8;
const RESPONSE: u8 = 16;

/// As a part: all of the message.
const ALL_PARTS: u32 = u32::MAX;
/// As a length: the bytes are in an attached buffer.
const ATTACHED: u32 = u32::MAX;
