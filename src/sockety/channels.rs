//! Which channel the next message goes on.

use crate::wire::sockety::MAX_CHANNELS;

/// The channels that we send on.
#[derive(Debug)]
pub(super) struct Channels {
    /// What was sent last is for this one.
    current: u16,
    count: u16,
    /// Bit by bit, those with a message in progress.
    busy: [u64; WORDS],
    /// Those on which a message was given up. A peer may take that for nothing (the reference does), and the
    /// next message there for a fault.
    aborted: [u64; WORDS],
    free: u16,
    fresh: u16,
}

impl Channels {
    /// Creates so many of them.
    pub(super) fn new(count: u16) -> Self {
        Self { current: 0, count, busy: [0; WORDS], aborted: [0; WORDS], free: count, fresh: count }
    }

    /// Makes `channel` the current one; returns whether the peer has to be told.
    pub(super) fn switch(&mut self, channel: u16) -> bool {
        std::mem::replace(&mut self.current, channel) != channel
    }

    /// Returns the next free channel from the current one upwards; one that was never used after an abort, as
    /// long as there is one.
    pub(super) fn next_free(&self) -> Option<u16> {
        if self.free == 0 {
            return None;
        }
        let excluded = |word: usize| match self.fresh {
            0 => self.busy[word],
            _ => self.busy[word] | self.aborted[word],
        };
        let is_free = |channel: u16| excluded(usize::from(channel / 64)) & bit(channel) == 0;
        (self.current..self.count).chain(0..self.current).find(|channel| is_free(*channel))
    }

    /// Begins a message on a free channel.
    pub(super) fn reserve(&mut self, channel: u16) {
        self.busy[usize::from(channel / 64)] |= bit(channel);
        self.free -= 1;
        self.fresh -= u16::from(!self.is_aborted(channel));
    }

    /// Finishes the message in progress.
    pub(super) fn release(&mut self, channel: u16) {
        self.busy[usize::from(channel / 64)] &= !bit(channel);
        self.free += 1;
        self.fresh += u16::from(!self.is_aborted(channel));
    }

    /// Gives up the message in progress.
    pub(super) fn abort(&mut self, channel: u16) {
        self.aborted[usize::from(channel / 64)] |= bit(channel);
        self.release(channel);
    }

    fn is_aborted(&self, channel: u16) -> bool {
        self.aborted[usize::from(channel / 64)] & bit(channel) != 0
    }
}

fn bit(channel: u16) -> u64 {
    1 << (channel % 64)
}

const WORDS: usize = MAX_CHANNELS as usize / 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_channel_comes_first_and_then_those_above_it_and_below() {
        let mut channels = Channels::new(3);
        assert_eq!(channels.next_free(), Some(0));
        channels.reserve(0);
        assert_eq!(channels.next_free(), Some(1));
        assert!(channels.switch(2) && !channels.switch(2));
        assert_eq!(channels.next_free(), Some(2));
        channels.reserve(2);
        channels.release(0);
        assert_eq!(channels.next_free(), Some(0));
        channels.reserve(0);
        channels.reserve(1);
        assert_eq!(channels.next_free(), None);
        channels.release(1);
        assert_eq!(channels.next_free(), Some(1));
    }

    #[test]
    fn a_channel_with_an_aborted_message_is_used_again_only_when_nothing_else_is_free() {
        let mut channels = Channels::new(3);
        channels.reserve(0);
        channels.abort(0);
        assert_eq!(channels.next_free(), Some(1));
        channels.reserve(1);
        channels.reserve(2);
        assert_eq!(channels.next_free(), Some(0));
        channels.release(2);
        assert_eq!(channels.next_free(), Some(2));
    }
}
