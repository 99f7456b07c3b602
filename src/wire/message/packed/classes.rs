//! Messages in a row that are not all data: what they take of each window, taken apart, and joined with the
//! control behind them.

use bytes::{BufMut, BytesMut};

use super::{Item, Messages, PackedMessages, push_item, split_item};
use crate::wire::message::Payload;
use crate::wire::message::stream::Class;

/// Messages of each class, and their bytes: payloads and headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    counts: [u32; 3],
    bytes: [usize; 3],
}

impl Sizes {
    /// Adds a message.
    pub fn add(&mut self, class: Class, bytes: usize) {
        self.counts[class as usize] += 1;
        self.bytes[class as usize] += bytes;
    }

    /// Whether it is one message.
    pub fn is_single(&self) -> bool {
        self.counts.iter().sum::<u32>() == 1
    }

    /// How many messages of a class.
    pub fn count(&self, class: Class) -> u32 {
        self.counts[class as usize]
    }

    /// The bytes of a class.
    pub fn bytes(&self, class: Class) -> usize {
        self.bytes[class as usize]
    }
}

impl Class {
    /// Every class there is.
    pub const ALL: [Self; 3] = [Self::Data, Self::Request, Self::Answer];
}

impl PackedMessages {
    /// How many of them are not data.
    pub fn others(&self) -> u32 {
        self.others
    }

    /// Removes the first `count` messages and returns them.
    pub fn split_front(&mut self, count: u32) -> Self {
        let (mut rest, mut front) = (&self.raw[..], Self::empty());
        while front.count < count.min(self.count)
            && let Some(item) = split_item(&mut rest)
        {
            front.count += 1;
            front.others += u32::from(!item.encoding.is_data());
            front.bytes += item.bytes();
        }
        front.raw = self.raw.slice(..self.raw.len() - rest.len());
        self.raw = self.raw.slice_ref(rest);
        self.count -= front.count;
        self.others -= front.others;
        self.bytes -= front.bytes;
        front
    }

    /// Removes the last message, if it is control, and returns it. Control stands nowhere else.
    pub fn split_control(&mut self) -> Option<Item> {
        if self.others == 0 {
            return None;
        }
        let (mut rest, mut last) = (&self.raw[..], None);
        for _ in 0..self.count {
            let start = self.raw.len() - rest.len();
            last = split_item(&mut rest).map(|item| (start, item));
        }
        let (start, item) = last.filter(|(_, item)| item.encoding.is_control())?;
        let item = item.shared(&self.raw);
        self.raw = self.raw.slice(..start);
        self.count -= 1;
        self.others -= 1;
        self.bytes -= item.bytes();
        Some(item)
    }

    /// Returns the same messages with one more behind them, in bytes of their own.
    pub fn with_last(&self, payload: &Payload) -> Self {
        let mut raw =
            BytesMut::with_capacity(self.raw.len() + payload.raw.len() + super::ITEM_OVERHEAD_BYTES);
        raw.put_slice(&self.raw);
        push_item(&mut raw, payload, None);
        Self {
            count: self.count + 1,
            others: self.others + u32::from(!payload.encoding.is_data()),
            bytes: self.bytes + payload.raw.len(),
            raw: raw.freeze(),
        }
    }

    /// Returns what they take of each window; `None` if one of them has no class.
    pub fn sizes(&self) -> Option<Sizes> {
        let mut sizes = Sizes::default();
        if self.others == 0 {
            sizes.counts[Class::Data as usize] = self.count;
            sizes.bytes[Class::Data as usize] = self.bytes;
            return Some(sizes);
        }
        let mut rest = &self.raw[..];
        for item in (0..self.count).map_while(|_| split_item(&mut rest)) {
            sizes.add(item.encoding.class()?, item.bytes());
        }
        Some(sizes)
    }
}

impl Messages {
    /// Returns whether all of them are data.
    pub fn is_data(&self) -> bool {
        match self {
            Self::One(item) => item.payload.encoding.is_data(),
            Self::Packed(packed) => packed.others == 0,
        }
    }

    /// Returns what they take of each window; `None` if one of them has no class.
    pub fn sizes(&self) -> Option<Sizes> {
        match self {
            Self::One(item) => {
                let mut sizes = Sizes::default();
                sizes.add(item.payload.encoding.class()?, item.bytes());
                Some(sizes)
            }
            Self::Packed(packed) => packed.sizes(),
        }
    }
}
