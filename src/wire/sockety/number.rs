//! Numbers: little-endian, in as many bytes as a code of two bits says.

use bytes::BufMut;
use uuid::Uuid;

/// The widths in bytes that a number may have, by their code. Width 0 stands for the number 0.
pub(super) struct Widths(pub(super) [u8; 4]);

impl Widths {
    /// Returns the width with this code; higher bits of it do not count.
    pub(super) fn width(&self, code: u8) -> usize {
        usize::from(self.0[usize::from(code & 3)])
    }

    /// Returns the code of the narrowest width that holds `value`.
    pub(super) fn code(&self, value: u64) -> u8 {
        let fits = |width: u8| width >= 8 || value >> (8 * width) == 0;
        let found = self.0.iter().position(|width| fits(*width));
        debug_assert!(found.is_some(), "{value} is out of range");
        found.map_or(3, |code| code.to_le_bytes()[0])
    }

    /// Returns the bytes that `value` takes.
    pub(super) fn width_of(&self, value: u64) -> usize {
        self.width(self.code(value))
    }

    /// Writes `value` in its narrowest width.
    pub(super) fn push(&self, out: &mut impl BufMut, value: u64) {
        out.put_slice(&value.to_le_bytes()[..self.width_of(value)]);
    }
}

/// What follows a packet's first byte.
pub(super) const PACKET_SIZE: Widths = Widths([1, 2, 3, 4]);
/// The index in a file's packet.
pub(super) const FILE_INDEX: Widths = Widths([0, 1, 2, 3]);
/// A message's data.
pub(super) const DATA_SIZE: Widths = Widths([0, 1, 2, 6]);
/// Files of a message.
pub(super) const FILE_COUNT: Widths = Widths([0, 1, 2, 3]);
/// All files of a message together.
pub(super) const FILES_SIZE: Widths = Widths([2, 3, 4, 6]);
/// One file.
pub(super) const FILE_SIZE: Widths = Widths([1, 2, 3, 6]);
/// A text: its code has one bit.
pub(super) const TEXT_SIZE: Widths = Widths([1, 2, 2, 2]);

/// Reads from the front; `None` where the bytes end too early.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// Returns how many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// Reads a number of at most 8 bytes.
    pub(super) fn number(&mut self, width: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.bytes(width)?);
        Some(u64::from_le_bytes(bytes))
    }

    /// Reads a number of at most 4 bytes.
    pub(super) fn small(&mut self, width: usize) -> Option<u32> {
        let mut bytes = [0; 4];
        bytes[..width].copy_from_slice(self.bytes(width)?);
        Some(u32::from_le_bytes(bytes))
    }

    pub(super) fn id(&mut self) -> Option<Uuid> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(Uuid::from_bytes(*bytes))
    }

    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

/// The largest number of 16 bits: bytes of an action and of a file's name.
pub const MAX_UINT16: usize = 0xffff;
/// The largest number of 24 bits: files of a message.
pub const MAX_UINT24: u32 = 0xff_ffff;
/// The largest number of 48 bits: bytes of data, of a file, and of all files together.
pub const MAX_UINT48: u64 = 0xffff_ffff_ffff;
