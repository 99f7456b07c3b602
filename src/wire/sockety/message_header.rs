//! The header of a message or response: fields 1 to 8 at once, and then the header of each file.

use bytes::BufMut;
use uuid::Uuid;

use super::number::{Cursor, DATA_SIZE, FILE_COUNT, FILE_SIZE, FILES_SIZE, TEXT_SIZE};

/// What a header belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It has an action.
    Message,
    /// It answers a message or a response.
    Response,
}

/// All of a header but its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader<'a> {
    /// Of a response: what it answers.
    pub parent: Option<Uuid>,
    /// Its own.
    pub id: Uuid,
    /// UTF-8, as far as the sender is to be trusted; a response has none.
    pub action: &'a [u8],
    /// Bytes of its data.
    pub data_size: u64,
    /// How many file headers follow.
    pub file_count: u32,
    /// What they should add up to.
    pub files_size: u64,
}

/// One file, as it is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader<'a> {
    /// UTF-8, as far as the sender is to be trusted. Not to be taken for a path.
    pub name: &'a [u8],
    /// In bytes.
    pub size: u64,
}

impl<'a> MessageHeader<'a> {
    /// Reads one from the front of `bytes`, and how long it is; `None`: more is needed.
    pub fn decode(kind: Kind, bytes: &'a [u8]) -> Option<(Self, usize)> {
        let mut cursor = Cursor::new(bytes);
        let flags = cursor.byte()?;
        let parent = match kind {
            Kind::Message => None,
            Kind::Response => Some(cursor.id()?),
        };
        let id = cursor.id()?;
        let action = match kind {
            Kind::Message => text(&mut cursor, flags >> 1)?,
            Kind::Response => &[],
        };
        let data_size = cursor.number(DATA_SIZE.width(flags >> 6))?;
        let count_width = FILE_COUNT.width(flags >> 4);
        let file_count = cursor.small(count_width)?;
        let files_size = match count_width {
            0 => 0,
            _ => cursor.number(FILES_SIZE.width(flags >> 2))?,
        };
        Some((Self { parent, id, action, data_size, file_count, files_size }, cursor.position()))
    }

    /// Returns how many bytes [`Self::push`] writes.
    pub fn encoded_len(&self) -> usize {
        let action = match self.parent {
            Some(_) => 16,
            None => TEXT_SIZE.width_of(self.action.len() as u64) + self.action.len(),
        };
        let files = match self.file_count {
            0 => 0,
            count => FILE_COUNT.width_of(count.into()) + FILES_SIZE.width_of(self.files_size),
        };
        17 + action + DATA_SIZE.width_of(self.data_size) + files
    }

    /// Writes it, in as few bytes as it takes.
    pub fn push(&self, out: &mut impl BufMut) {
        let mut flags = DATA_SIZE.code(self.data_size) << 6;
        if self.file_count > 0 {
            flags |= FILE_COUNT.code(self.file_count.into()) << 4 | FILES_SIZE.code(self.files_size) << 2;
        }
        if self.parent.is_none() {
            flags |= TEXT_SIZE.code(self.action.len() as u64) << 1;
        }
        out.put_u8(flags);
        if let Some(parent) = self.parent {
            out.put_slice(parent.as_bytes());
        }
        out.put_slice(self.id.as_bytes());
        if self.parent.is_none() {
            push_text(out, self.action);
        }
        DATA_SIZE.push(out, self.data_size);
        if self.file_count > 0 {
            FILE_COUNT.push(out, self.file_count.into());
            FILES_SIZE.push(out, self.files_size);
        }
    }
}

impl<'a> FileHeader<'a> {
    /// Reads one from the front of `bytes`, and how long it is; `None`: more is needed.
    pub fn decode(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let mut cursor = Cursor::new(bytes);
        let flags = cursor.byte()?;
        let size = cursor.number(FILE_SIZE.width(flags >> 2))?;
        let name = text(&mut cursor, flags >> 1)?;
        Some((Self { name, size }, cursor.position()))
    }

    /// Returns how many bytes [`Self::push`] writes.
    pub fn encoded_len(&self) -> usize {
        1 + FILE_SIZE.width_of(self.size) + TEXT_SIZE.width_of(self.name.len() as u64) + self.name.len()
    }

    /// Writes it, in as few bytes as it takes.
    pub fn push(&self, out: &mut impl BufMut) {
        out.put_u8(FILE_SIZE.code(self.size) << 2 | TEXT_SIZE.code(self.name.len() as u64) << 1);
        FILE_SIZE.push(out, self.size);
        push_text(out, self.name);
    }
}

fn text<'a>(cursor: &mut Cursor<'a>, code: u8) -> Option<&'a [u8]> {
    let length = cursor.small(TEXT_SIZE.width(code & 1))?;
    cursor.bytes(length as usize)
}

fn push_text(out: &mut impl BufMut, text: &[u8]) {
    TEXT_SIZE.push(out, text.len() as u64);
    out.put_slice(text);
}
