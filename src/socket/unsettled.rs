//! What is written to a client's socket before its first accept: until then it is not known what the other
//! end speaks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::stale::{LeftTimes, WaitingTimes};
use super::withdraw::withdraw_from;
use super::{Data, GapShare, SocketConfig, StaleData, Window, WriteError};
use crate::base::earliest;
use crate::wire::stream::{Class, key};
use crate::wire::{Item, Messages};

/// Messages in the order of the calls, none of which has left.
#[derive(Debug)]
pub(super) struct Unsettled {
    window: Window,
    batches: VecDeque<Messages>,
    /// Messages of data, and their bytes.
    data: usize,
    data_bytes: usize,
    /// The bytes of requests.
    request_bytes: usize,
    /// Which messages of data nobody wants to hear of when they are lost: counted from 1.
    volatile: VecDeque<u64>,
    times: WaitingTimes,
    stall_timeout: Option<Duration>,
    stalls_at: Option<Instant>,
    /// For what will come.
    pub(super) gap_share: GapShare,
}

impl Unsettled {
    pub(super) fn new(config: &SocketConfig) -> Self {
        Self {
            window: config.window(),
            batches: VecDeque::new(),
            data: 0,
            data_bytes: 0,
            request_bytes: 0,
            volatile: VecDeque::new(),
            times: WaitingTimes::default(),
            stall_timeout: config.slow_consumer_timeout,
            stalls_at: None,
            gap_share: GapShare::default(),
        }
    }

    /// Queues what there is room for; of packed messages that do not fit, the first ones.
    pub(super) fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<(), WriteError> {
        if let Messages::Packed(packed) = &batch
            && self.check(&batch).is_err()
        {
            return packed.items().map(Messages::One).try_for_each(|one| self.push(now, one, volatile));
        }
        self.push(now, batch, volatile)
    }

    fn push(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<(), WriteError> {
        self.check(&batch)?;
        let sizes = batch.sizes().ok_or(WriteError::Closed)?;
        let count = sizes.count(Class::Data) as usize;
        self.data += count;
        self.data_bytes += sizes.bytes(Class::Data);
        self.request_bytes += sizes.bytes(Class::Request);
        if volatile {
            self.volatile.extend((self.data + 1 - count..=self.data).map(|number| number as u64));
        }
        self.batches.push_back(batch);
        if let Some(timeout) = self.stall_timeout.filter(|_| self.stalls_at.is_none()) {
            let is_half_used = self.window.is_half_used(self.data, self.data_bytes);
            self.stalls_at = is_half_used.then(|| now + timeout);
        }
        Ok(())
    }

    /// Queues data that may leave until then.
    pub(super) fn write_timed(
        &mut self,
        now: Instant,
        item: Item,
        volatile: bool,
        until: Instant,
    ) -> Result<(), WriteError> {
        self.push(now, Messages::One(item), volatile)?;
        self.times.push(self.data as u64, until);
        Ok(())
    }

    /// Takes out what may not leave any more.
    pub(super) fn take_stale(&mut self, now: Instant) -> Vec<StaleData> {
        if !self.times.is_due(now) {
            return Vec::new();
        }
        let stale = self.times.take_stale(now, &mut self.batches, 1, &mut self.volatile);
        self.data -= stale.len();
        self.data_bytes -= stale.iter().map(|stale| stale.bytes).sum::<usize>();
        if !self.window.is_half_used(self.data, self.data_bytes) {
            self.stalls_at = None;
        }
        stale
    }

    /// Whether the window has room for the data in it.
    fn check(&self, batch: &Messages) -> Result<(), WriteError> {
        let sizes = batch.sizes().ok_or(WriteError::Closed)?;
        match sizes.count(Class::Data) as usize {
            0 => Ok(()),
            count => self.window.check(self.data + count - 1, self.data_bytes, sizes.bytes(Class::Data)),
        }
    }

    /// Takes requests out: those with a key that is `wanted`. Returns their keys.
    pub(super) fn withdraw(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        let (withdrawn, bytes) = withdraw_from(&mut self.batches, wanted);
        self.request_bytes -= bytes;
        withdrawn
    }

    /// Returns the requests that are larger than `limit`, by key, with their bytes, and the bytes of the
    /// first message of data that is.
    pub(super) fn larger_than(&self, limit: usize) -> (Vec<(u64, usize)>, Option<usize>) {
        let (mut requests, mut data) = (Vec::new(), None);
        for messages in &self.batches {
            let Messages::One(item) = messages else { continue };
            match item.payload.encoding.class() {
                _ if item.bytes() <= limit => {}
                Some(Class::Request) => {
                    requests.extend(key(&item.payload.raw).map(|key| (key, item.bytes())));
                }
                _ => data = data.or(Some(item.bytes())),
            }
        }
        (requests, data)
    }

    pub(super) fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    pub(super) fn unacked(&self) -> usize {
        self.data
    }

    pub(super) fn unacked_bytes(&self) -> usize {
        self.data_bytes
    }

    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.stalls_at.is_some_and(|at| at <= now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.stalls_at, self.times.poll_timeout()])
    }

    /// Takes out the data, without the volatile messages. The socket is at its end.
    pub(super) fn take_undelivered(&mut self) -> Vec<Data> {
        let batches = std::mem::take(&mut self.batches);
        let volatile = std::mem::take(&mut self.volatile);
        (self.data, self.data_bytes) = (0, 0);
        let items = batches.iter().flat_map(Messages::items);
        let data = items.filter(|item| item.payload.encoding.is_data());
        let numbered = (1..).zip(data).map(|(number, item)| Data::new(number, item));
        let mut undelivered: Vec<Data> =
            numbered.filter(|data| volatile.binary_search(&data.seq).is_err()).collect();
        LeftTimes::default().note_in(&mut undelivered, &self.times);
        undelivered
    }

    /// All that was written, which messages of data are volatile, and which have a time.
    pub(super) fn into_parts(self) -> (VecDeque<Messages>, VecDeque<u64>, WaitingTimes) {
        (self.batches, self.volatile, self.times)
    }
}
