//! One message in progress: what of it is still to come.

use crate::sockety::PeerMisbehaved;
use crate::sockety::partial_header::{Fixed, PartialHeader};

#[derive(Debug)]
pub(super) struct MessageProgress {
    /// While it has not come whole.
    pub(super) header: Option<PartialHeader>,
    /// Between the time when it is known and the announcement.
    pub(super) fixed: Option<Fixed>,
    pub(super) expects_response: bool,
    /// Its body; 0: it has none, or has not been announced.
    pub(super) number: u32,
    data_left: u64,
    pub(super) stream_open: bool,
    file_count: u32,
    /// Those whose headers have come.
    pub(super) files: Vec<File>,
    files_open: u32,
    is_known: bool,
}

#[derive(Debug)]
pub(super) struct File {
    left: u64,
    has_ended: bool,
}

impl File {
    pub(super) fn new(size: u64) -> Self {
        Self { left: size, has_ended: false }
    }
}

impl MessageProgress {
    /// Creates a message of which nothing is known.
    pub(super) fn begun(header: PartialHeader, stream: bool, expects_response: bool) -> Self {
        Self { header: Some(header), expects_response, is_known: false, ..Self::announced(0, stream, 0, 0) }
    }

    /// Creates a message with this body.
    pub(super) fn announced(number: u32, stream: bool, data_size: u64, file_count: u32) -> Self {
        Self {
            header: None,
            fixed: None,
            expects_response: false,
            number,
            data_left: data_size,
            stream_open: stream,
            file_count,
            files: Vec::new(),
            files_open: file_count,
            is_known: true,
        }
    }

    /// Takes fields 1 to 8.
    pub(super) fn fix(&mut self, fixed: Fixed) {
        self.data_left = fixed.data_size;
        (self.file_count, self.files_open) = (fixed.file_count, fixed.file_count);
        self.is_known = true;
        self.fixed = Some(fixed);
    }

    /// Returns whether fields 1 to 8 have come.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn is_whole(&self) -> bool {
        self.header.is_none() && self.data_left == 0 && !self.stream_open && self.files_open == 0
    }

    /// Checks whether a packet with so much data may come.
    pub(super) fn check_data(&self, size: u32) -> Result<(), PeerMisbehaved> {
        match self.data_left {
            0 => Err(PeerMisbehaved::NoData),
            left if u64::from(size) > left => Err(PeerMisbehaved::DataTooLong),
            _ => Ok(()),
        }
    }

    /// Takes so much data; returns whether that was the last of it.
    pub(super) fn take_data(&mut self, bytes: u64) -> bool {
        self.data_left -= bytes.min(self.data_left);
        self.data_left == 0
    }

    /// Checks whether a packet of the stream may come.
    pub(super) fn check_stream(&self) -> Result<(), PeerMisbehaved> {
        if self.stream_open { Ok(()) } else { Err(PeerMisbehaved::NoStream) }
    }

    /// Takes a packet with so many bytes of a file.
    pub(super) fn take_file(&mut self, index: u32, bytes: u32, check: bool) -> Result<(), PeerMisbehaved> {
        let file = self.file(index)?;
        if check && u64::from(bytes) > file.left {
            return Err(PeerMisbehaved::FileTooLong);
        }
        file.left = file.left.saturating_sub(bytes.into());
        Ok(())
    }

    pub(super) fn end_file(&mut self, index: u32, check: bool) -> Result<(), PeerMisbehaved> {
        let file = self.file(index)?;
        if check && file.left > 0 {
            return Err(PeerMisbehaved::FileTooShort);
        }
        file.has_ended = true;
        self.files_open -= 1;
        Ok(())
    }

    /// Returns a file that has not ended.
    fn file(&mut self, index: u32) -> Result<&mut File, PeerMisbehaved> {
        if index >= self.file_count {
            return Err(PeerMisbehaved::FileOutOfRange);
        }
        let file = self.files.get_mut(index as usize).ok_or(PeerMisbehaved::FileNotAnnounced(index))?;
        if file.has_ended { Err(PeerMisbehaved::FileEnded) } else { Ok(file) }
    }
}
