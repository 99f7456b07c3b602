//! Takes records apart, as JavaScript does.

use uuid::Uuid;

use super::{
    ABORTED, BODY, DATA, Details, END, EXPECTS_RESPONSE, FAST_REPLY, FILES, FLUSHED, GO_AWAY, INLINE,
    MESSAGE, Part, RESPONSE, Record, RecordFile, STREAM,
};

impl<'a> Record<'a> {
    /// Takes the next record from the front of `rest`; `None` at its end.
    pub(super) fn split(rest: &mut &'a [u8]) -> Option<Self> {
        Some(match u8(rest)? {
            MESSAGE => {
                let flags = u8(rest)?;
                let length = u16(rest)?;
                let id = uuid(rest)?;
                let action = take(rest, length.into())?;
                let details = Details::split(flags, rest)?;
                Self::Message { id, expects_response: flags & EXPECTS_RESPONSE != 0, action, details }
            }
            RESPONSE => {
                let flags = u8(rest)?;
                let request = u32(rest)?;
                let (parent, id) = (uuid(rest)?, uuid(rest)?);
                let details = Details::split(flags, rest)?;
                Self::Response {
                    request,
                    parent,
                    id,
                    expects_response: flags & EXPECTS_RESPONSE != 0,
                    details,
                }
            }
            FAST_REPLY => {
                let code = u16(rest)?;
                Self::FastReply { request: u32(rest)?, id: uuid(rest)?, code }
            }
            FLUSHED => Self::Flushed { first: u32(rest)?, count: u32(rest)? },
            DATA => {
                let (number, part) = (u32(rest)?, Part::from_number(u32(rest)?));
                let length = u32(rest)?;
                Self::Data { number, part, bytes: take(rest, length as usize)? }
            }
            END => Self::End { number: u32(rest)?, part: Part::from_number(u32(rest)?) },
            FILES => Self::Files { number: u32(rest)?, files: files(rest)? },
            ABORTED => {
                let number = u32(rest)?;
                let by_peer = u8(rest)? != 0;
                let count = u32(rest)?;
                let whole = (0..count).map(|_| u32(rest).map(Part::from_number)).collect::<Option<_>>()?;
                Self::Aborted { number, by_peer, whole }
            }
            GO_AWAY => Self::GoAway,
            kind => unreachable!("no record has kind {kind}"),
        })
    }
}

impl<'a> Details<'a> {
    fn split(flags: u8, rest: &mut &'a [u8]) -> Option<Self> {
        if flags & BODY != 0 {
            let number = u32(rest)?;
            let (data_size, file_count, files_size) = (number_of(rest)?, u32(rest)?, number_of(rest)?);
            let stream = flags & STREAM != 0;
            return Some(Self::Body {
                number,
                stream,
                data_size,
                file_count,
                files_size,
                files: files(rest)?,
            });
        }
        let length = if flags & INLINE != 0 { u32(rest)? } else { 0 };
        Some(Self::Inline(take(rest, length as usize)?))
    }
}

fn files<'a>(rest: &mut &'a [u8]) -> Option<Vec<RecordFile<'a>>> {
    let count = u32(rest)?;
    let file = |_| {
        let size = number_of(rest)?;
        let length = u16(rest)?;
        Some(RecordFile { size, name: take(rest, length.into())? })
    };
    (0..count).map(file).collect()
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn u8(rest: &mut &[u8]) -> Option<u8> {
    chunk(rest).map(u8::from_le_bytes)
}

fn u16(rest: &mut &[u8]) -> Option<u16> {
    chunk(rest).map(u16::from_le_bytes)
}

fn u32(rest: &mut &[u8]) -> Option<u32> {
    chunk(rest).map(u32::from_le_bytes)
}

fn uuid(rest: &mut &[u8]) -> Option<Uuid> {
    chunk(rest).map(Uuid::from_bytes)
}

/// Reads a size: below 2^48, which a float holds exactly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn number_of(rest: &mut &[u8]) -> Option<u64> {
    chunk(rest).map(|bytes| f64::from_le_bytes(bytes) as u64)
}
