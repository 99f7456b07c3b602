//! Sending: messages on channels, and what waits for one.

use std::collections::{HashMap, VecDeque};

use bytes::{BufMut, Bytes};
use foldhash::fast::RandomState;
use uuid::Uuid;

use super::channels::Channels;
use super::output::Output;
use super::{Content, OutgoingMessage, OutgoingStream, Part};
use crate::base::Weigh;
use crate::wire::sockety::{FileHeader, MAX_UINT24, MessageHeader, Packet};

/// The sending half of a connection whose peer has said its header.
#[derive(Debug)]
pub(super) struct Outgoing {
    channels: Channels,
    /// Messages to which more follows.
    open: HashMap<u32, Open, RandomState>,
    /// No channel was free for them, oldest first.
    waiting: VecDeque<Waiting>,
    /// Their bytes.
    waiting_bytes: usize,
    /// What was written to those.
    early: HashMap<u32, Vec<Written>, RandomState>,
}

/// A message without a channel, and the marks behind it.
#[derive(Debug)]
struct Waiting {
    message: OutgoingMessage,
    marks: Vec<u32>,
}

/// A message to which more follows.
#[derive(Debug)]
struct Open {
    channel: u16,
    stream: bool,
    files: usize,
    /// Reported when the last file has left.
    mark: u32,
}

/// What is written to a message.
#[derive(Debug)]
pub(super) enum Written {
    Bytes(Part, Bytes, u32),
    End(Part, u32),
}

impl Outgoing {
    pub(super) fn new(channels: u16) -> Self {
        Self {
            channels: Channels::new(channels),
            open: HashMap::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            early: HashMap::default(),
        }
    }

    pub(super) fn send(&mut self, output: &mut Output, message: OutgoingMessage) {
        match self.channels.next_free() {
            Some(channel) => self.start(output, channel, message),
            None => {
                if message.number != 0 {
                    self.early.insert(message.number, Vec::new());
                }
                self.waiting_bytes += message.weight();
                self.waiting.push_back(Waiting { message, marks: Vec::new() });
            }
        }
    }

    /// Returns the bytes of messages without a channel, if they are more than may wait.
    pub(super) fn excess(&self) -> Option<usize> {
        (self.waiting_bytes > MAX_WAITING_BYTES).then_some(self.waiting_bytes)
    }

    pub(super) fn fast_reply(output: &mut Output, id: Uuid, code: u16) {
        output.write(|out| Packet::FastReply { code, id }.push(out));
    }

    /// Reports `mark` when everything that was sent so far has left.
    pub(super) fn mark(&mut self, output: &mut Output, mark: u32) {
        match self.waiting.back_mut() {
            Some(waiting) => waiting.marks.push(mark),
            None => output.mark(mark),
        }
    }

    /// Writes more of a message. What belongs to none, or to one that was given up, is dropped.
    pub(super) fn write(&mut self, output: &mut Output, number: u32, written: Written) {
        if let Some(early) = self.early.get_mut(&number) {
            return early.push(written);
        }
        let Some(open) = self.open.get_mut(&number) else { return };
        switch(&mut self.channels, output, open.channel);
        match written {
            Written::Bytes(part, bytes, mark) => {
                push_part(output, part, bytes);
                output.mark(mark);
            }
            Written::End(part, mark) => {
                push_end(output, part);
                output.mark(mark);
                match part {
                    Part::Stream => open.stream = false,
                    Part::File(_) => {
                        open.files = open.files.saturating_sub(1);
                        if open.files == 0 {
                            output.mark(std::mem::take(&mut open.mark));
                        }
                    }
                    Part::Data => {}
                }
                if !open.stream && open.files == 0 {
                    let channel = open.channel;
                    self.open.remove(&number);
                    self.channels.release(channel);
                    self.start_waiting(output);
                }
            }
        }
    }

    /// Gives up a message to which something would follow.
    pub(super) fn abort(&mut self, output: &mut Output, number: u32) {
        if self.early.remove(&number).is_some() {
            let at = self.waiting.iter().position(|waiting| waiting.message.number == number);
            let waiting = at.and_then(|at| self.waiting.remove(at));
            self.waiting_bytes -= waiting.as_ref().map_or(0, |waiting| waiting.message.weight());
            waiting.into_iter().flat_map(|waiting| waiting.marks).for_each(|mark| output.mark(mark));
        }
        let Some(open) = self.open.remove(&number) else { return };
        switch(&mut self.channels, output, open.channel);
        output.write(|out| Packet::Abort.push(out));
        self.channels.abort(open.channel);
        self.start_waiting(output);
    }

    fn start_waiting(&mut self, output: &mut Output) {
        while !self.waiting.is_empty() {
            let Some(channel) = self.channels.next_free() else { return };
            let Some(Waiting { message, marks }) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= message.weight();
            let number = message.number;
            self.start(output, channel, message);
            marks.into_iter().for_each(|mark| output.mark(mark));
            for written in self.early.remove(&number).into_iter().flatten() {
                self.write(output, number, written);
            }
        }
    }

    fn start(&mut self, output: &mut Output, channel: u16, message: OutgoingMessage) {
        switch(&mut self.channels, output, channel);
        let OutgoingMessage { number, request, id, parent, action, stream, data, files, mark } = message;
        let header = MessageHeader {
            parent,
            id,
            action: &action,
            data_size: data.len() as u64,
            file_count: u32::try_from(files.len()).unwrap_or(MAX_UINT24),
            files_size: files.iter().map(|file| file.size).sum(),
        };
        let file_headers = || files.iter().map(|file| FileHeader { name: &file.name, size: file.size });
        let size = header.encoded_len() + file_headers().map(|file| file.encoded_len()).sum::<usize>();
        let (has_stream, expects_response) = (stream != OutgoingStream::None, request != 0);
        output.write(|out| {
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            let packet = match parent {
                None => Packet::Message { stream: has_stream, expects_response, size },
                Some(_) => Packet::Response { stream: has_stream, expects_response, size },
            };
            packet.push(out);
            header.push(out);
            file_headers().for_each(|file| file.push(out));
            if stream == OutgoingStream::Ended {
                Packet::StreamEnd.push(out);
            }
        });
        push_part(output, Part::Data, data);
        let mut open = Open { channel, stream: stream == OutgoingStream::Open, files: 0, mark };
        for (index, file) in (0..).zip(files) {
            match file.content {
                Content::Follows => open.files += 1,
                Content::Whole(bytes) => {
                    push_part(output, Part::File(index), bytes);
                    push_end(output, Part::File(index));
                }
            }
        }
        if open.files == 0 {
            output.mark(std::mem::take(&mut open.mark));
        }
        if open.stream || open.files > 0 {
            self.channels.reserve(channel);
            self.open.insert(number, open);
        }
    }
}

fn switch(channels: &mut Channels, output: &mut Output, channel: u16) {
    if channels.switch(channel) {
        output.write(|out| Packet::Channel(channel).push(out));
    }
}

/// Pushes packets with bytes of a part, if there are any.
fn push_part(output: &mut Output, part: Part, mut bytes: Bytes) {
    while !bytes.is_empty() {
        let most = if matches!(part, Part::File(_)) { MAX_FILE_PACKET_BYTES } else { u32::MAX };
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(most);
        let packet = match part {
            Part::Data => Packet::Data { size },
            Part::Stream => Packet::Stream { size },
            Part::File(index) => Packet::File { index, size },
        };
        output.write(|out| packet.push(out));
        output.put(bytes.split_to(size as usize));
    }
}

fn push_end(output: &mut Output, part: Part) {
    output.write(|out| match part {
        Part::Stream => Packet::StreamEnd.push(out),
        Part::File(index) => Packet::FileEnd { index }.push(out),
        // It is known by its size.
        Part::Data => out.put_slice(&[]),
    });
}

/// Bytes of messages that may wait for a channel.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// The reference misreads larger ones.
const MAX_FILE_PACKET_BYTES: u32 = MAX_UINT24;
