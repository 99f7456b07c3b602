//! A header that comes in several pieces: kept until the pieces make sense.

use uuid::Uuid;

use crate::wire::sockety::{FileHeader, Kind, MessageHeader};

/// What has come of it.
#[derive(Debug)]
pub(super) struct PartialHeader {
    kind: Kind,
    bytes: Vec<u8>,
    /// Fields 1 to 8 have been taken; what is left are file headers.
    is_fixed: bool,
    /// Up to here the file headers have been looked at.
    seen: usize,
    /// How many those are.
    seen_files: u32,
    missing_files: u32,
}

/// Fields 1 to 8.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fixed {
    pub(super) parent: Option<Uuid>,
    pub(super) id: Uuid,
    pub(super) action: Vec<u8>,
    pub(super) data_size: u64,
    pub(super) file_count: u32,
    pub(super) files_size: u64,
}

impl PartialHeader {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, bytes: Vec::new(), is_fixed: false, seen: 0, seen_files: 0, missing_files: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the bytes that it holds.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a piece; returns fields 1 to 8 with the piece that makes them whole.
    pub(super) fn push(&mut self, piece: &[u8]) -> Option<Fixed> {
        self.bytes.extend_from_slice(piece);
        if self.is_fixed {
            return None;
        }
        let (header, length) = MessageHeader::decode(self.kind, &self.bytes)?;
        let MessageHeader { parent, id, action, data_size, file_count, files_size } = header;
        let fixed = Fixed { parent, id, action: action.to_vec(), data_size, file_count, files_size };
        self.bytes.drain(..length);
        self.is_fixed = true;
        self.missing_files = file_count;
        Some(fixed)
    }

    /// Looks at the next file header that is whole, and returns its file's size.
    pub(super) fn next_file(&mut self) -> Option<u64> {
        if self.missing_files == 0 {
            return None;
        }
        let (file, length) = FileHeader::decode(&self.bytes[self.seen..])?;
        self.seen += length;
        self.seen_files += 1;
        self.missing_files -= 1;
        Some(file.size)
    }

    /// Returns the file headers that were looked at and not forgotten: how many, and their bytes.
    pub(super) fn seen_files(&self) -> (u32, &[u8]) {
        (self.seen_files, &self.bytes[..self.seen])
    }

    /// Forgets those.
    pub(super) fn forget_seen_files(&mut self) {
        self.bytes.drain(..self.seen);
        (self.seen, self.seen_files) = (0, 0);
    }

    /// Returns whether nothing is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.is_fixed && self.missing_files == 0
    }

    /// Returns whether there is more than a header.
    pub(super) fn has_rest(&self) -> bool {
        self.is_whole() && self.bytes.len() > self.seen
    }
}
