//! Sending half of a socket: numbers messages and keeps each one until the peer has handled it.
//!
//! Pure: no clock, no transport. What was lost is found out by the receiver: the sender only repeats its last message until it is
//! acknowledged, and answers requests for missing ones (spec: the original's protocol, `docs/socket.md`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::config::Pause;
use super::{PeerMisbehaved, WriteError};
use crate::wire::{Json, Payload};

/// One numbered message.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// 1, 2, 3 …
    pub seq: u64,
    /// What it carries.
    pub payload: Payload,
    /// The application's headers.
    pub json: Option<Json>,
}

/// The sending half.
#[derive(Debug)]
pub struct Sender {
    /// Oldest first, without gaps. The first `sent` of them have left at least once.
    unacked: VecDeque<Data>,
    sent: usize,
    sent_bytes: usize,
    next: u64,
    window: usize,
    attached: bool,
    /// The last sent message goes (again) with the next `poll_transmit`.
    repeat_last: bool,
    repeat_at: Option<Instant>,
    pause: Pause,
}

impl Sender {
    /// A sender whose `write` fails above `window` unacknowledged messages.
    pub fn new(window: usize) -> Self {
        Self {
            unacked: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            next: 1,
            window,
            attached: false,
            repeat_last: false,
            repeat_at: None,
            pause: Pause::new(LONGEST_PAUSE),
        }
    }

    /// Queues a message. It leaves when `poll_transmit` is next called with a peer attached.
    pub fn write(&mut self, payload: Payload, json: Option<Json>) -> Result<u64, WriteError> {
        if self.unacked.len() >= self.window {
            return Err(WriteError::Full { window: self.window });
        }
        let seq = self.next;
        self.next += 1;
        self.unacked.push_back(Data { seq, payload, json });
        Ok(seq)
    }

    /// How many messages the peer is not known to have handled.
    pub fn unacked(&self) -> usize {
        self.unacked.len()
    }

    /// How many messages the peer has handled.
    pub fn acked(&self) -> u64 {
        self.next - 1 - self.unacked.len() as u64
    }

    /// The peer is there (again): what left before may be lost, so the last of it goes again.
    pub fn attach(&mut self, now: Instant) {
        self.attached = true;
        self.pause.reset();
        self.repeat_last = self.sent > 0;
        self.arm(now);
    }

    /// The peer is out of reach: nothing leaves.
    pub fn detach(&mut self) {
        self.attached = false;
        self.repeat_at = None;
    }

    /// The peer has handled everything up to and including `upto`. Says whether that is news.
    pub fn handle_emitted(&mut self, now: Instant, upto: u64) -> Result<bool, PeerMisbehaved> {
        let first = self.acked() + 1;
        if upto >= first + self.sent as u64 {
            return Err(PeerMisbehaved::AckedUnsent { upto });
        }
        if upto < first {
            return Ok(false);
        }
        for data in self.unacked.drain(..usize::try_from(upto + 1 - first).unwrap_or(usize::MAX)) {
            self.sent -= 1;
            self.sent_bytes -= data.payload.raw.len();
        }
        self.pause.reset();
        self.repeat_last &= self.sent > 0;
        if self.attached {
            self.arm(now);
        }
        Ok(true)
    }

    /// The messages that the peer lacks: as many as fit, oldest first. What it has acknowledged meanwhile is left out; `None` when
    /// nothing is left to send.
    pub fn resend(&self, missing: &[u64]) -> Option<Vec<Data>> {
        let first = self.acked() + 1;
        let (mut found, mut bytes) = (Vec::new(), 0);
        // The original asks in the order of the numbers' texts: 10 before 2.
        let mut wanted = missing.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let kept = |seq: &u64| {
            self.unacked
                .get(usize::try_from(seq.checked_sub(first)?).ok().filter(|index| *index < self.sent)?)
        };
        for data in wanted.iter().filter_map(kept) {
            bytes += data.payload.raw.len() + RESEND_OVERHEAD;
            if !found.is_empty() && bytes > MAX_RESEND_BYTES {
                break;
            }
            found.push(data.clone());
        }
        (!found.is_empty()).then_some(found)
    }

    /// The next message to put on the fabric.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Data> {
        if !self.attached {
            return None;
        }
        if std::mem::take(&mut self.repeat_last) {
            return self.sent.checked_sub(1).map(|last| self.unacked[last].clone());
        }
        let data = self.unacked.get(self.sent)?;
        if self.sent > 0 && self.sent_bytes + data.payload.raw.len() > MAX_IN_FLIGHT_BYTES {
            return None;
        }
        self.sent += 1;
        self.sent_bytes += data.payload.raw.len();
        let data = data.clone();
        if self.repeat_at.is_none() {
            self.arm(now);
        }
        Some(data)
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.repeat_at
    }

    /// Nothing was acknowledged for a while: the last message goes again.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.repeat_last = self.sent > 0;
            tracing::debug!(
                acked = self.acked(),
                sent = self.sent,
                "no progress, the last message goes again"
            );
            self.arm(now);
        }
    }

    /// A big message gets time to arrive first, or repeats of it would pile up on a slow link.
    fn arm(&mut self, now: Instant) {
        let last = self.sent.checked_sub(1).and_then(|last| self.unacked.get(last));
        self.repeat_at = last.map(|last| {
            let bytes = u32::try_from(last.payload.raw.len()).unwrap_or(u32::MAX);
            now + self.pause.take() + TIME_A_BYTE * bytes
        });
    }
}

/// What a repeat waits for each byte of the message: a link of 1 MB/s.
const TIME_A_BYTE: Duration = Duration::from_micros(1);

/// Longest pause between two repeats of the last message (Conat's figure). It goes on while the socket is ready: a sender with
/// unacknowledged data always has a timer (conat.md 10.10).
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Bytes sent and not acknowledged, a socket. Bounds what a slow reader can pile up in brokers; a single larger message goes alone.
const MAX_IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;
/// Payload bytes in one answer to a resend request (conat.md 10.5).
const MAX_RESEND_BYTES: usize = 8 * 1000 * 1000;
/// What an element of that answer costs beside its payload.
const RESEND_OVERHEAD: usize = 64;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn write(sender: &mut Sender, text: &'static str) -> Result<u64, WriteError> {
        sender.write(Payload::msgpack(text), None)
    }

    fn transmitted(sender: &mut Sender, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| sender.poll_transmit(now)).map(|data| data.seq).collect()
    }

    #[test]
    fn writes_queue_until_a_peer_is_attached_and_fail_at_the_window() {
        let (mut sender, now) = (Sender::new(2), Instant::now());
        assert_eq!((write(&mut sender, "a"), write(&mut sender, "b")), (Ok(1), Ok(2)));
        assert_eq!(write(&mut sender, "c"), Err(WriteError::Full { window: 2 }));
        assert!(transmitted(&mut sender, now).is_empty());
        sender.attach(now);
        assert_eq!(transmitted(&mut sender, now), [1, 2]);
        assert_eq!(sender.handle_emitted(now, 1), Ok(true));
        assert_eq!((sender.unacked(), write(&mut sender, "c")), (1, Ok(3)));
    }

    #[test]
    fn the_last_message_goes_again_after_a_pause_and_after_a_reattach() {
        let (mut sender, now) = (Sender::new(9), Instant::now());
        sender.attach(now);
        for text in ["a", "b"] {
            write(&mut sender, text).expect("room");
        }
        assert_eq!(transmitted(&mut sender, now), [1, 2]);
        let at = sender.poll_timeout().expect("armed");
        sender.handle_timeout(at);
        assert_eq!(transmitted(&mut sender, at), [2]);
        sender.detach();
        assert_eq!(sender.poll_timeout(), None);
        write(&mut sender, "c").expect("room");
        sender.attach(at);
        assert_eq!(transmitted(&mut sender, at), [2, 3]);
        assert_eq!(sender.handle_emitted(at, 3), Ok(true));
        assert_eq!((sender.poll_timeout(), transmitted(&mut sender, at)), (None, vec![]));
    }

    #[test]
    fn acknowledging_what_was_never_sent_is_misbehaviour_and_an_old_ack_is_not() {
        let (mut sender, now) = (Sender::new(9), Instant::now());
        write(&mut sender, "a").expect("room");
        assert_eq!(sender.handle_emitted(now, 1), Err(PeerMisbehaved::AckedUnsent { upto: 1 }));
        sender.attach(now);
        transmitted(&mut sender, now);
        assert_eq!(sender.handle_emitted(now, 1), Ok(true));
        assert_eq!(sender.handle_emitted(now, 0), Ok(false));
        assert_eq!(sender.handle_emitted(now, u64::MAX), Err(PeerMisbehaved::AckedUnsent { upto: u64::MAX }));
    }

    #[test]
    fn resends_what_is_kept_and_refuses_what_is_not() {
        let (mut sender, now) = (Sender::new(9), Instant::now());
        sender.attach(now);
        for text in ["a", "b", "c"] {
            write(&mut sender, text).expect("room");
        }
        transmitted(&mut sender, now);
        sender.handle_emitted(now, 1).expect("sent");
        let seqs = |list: &[u64]| {
            sender.resend(list).map(|found| found.iter().map(|data| data.seq).collect::<Vec<_>>())
        };
        assert_eq!(seqs(&[2, 3]), Some(vec![2, 3]));
        assert_eq!((seqs(&[1]), seqs(&[4]), seqs(&[])), (None, None, None));
    }

    #[test]
    fn an_answer_to_a_missing_list_holds_8_mb_or_one_message_oldest_first() {
        let (mut sender, now) = (Sender::new(9), Instant::now());
        sender.attach(now);
        let big = |megabytes: usize| Payload::msgpack(vec![0; megabytes * 1000 * 1000 - 100]);
        for megabytes in [3, 3, 3] {
            sender.write(big(megabytes), None).expect("room");
        }
        assert_eq!(transmitted(&mut sender, now), [1, 2, 3]);
        let seqs = |sender: &Sender, list: &[u64]| {
            sender.resend(list).map(|found| found.iter().map(|data| data.seq).collect::<Vec<_>>())
        };
        assert_eq!(seqs(&sender, &[3, 1, 1, 2]), Some(vec![1, 2]), "the rest is asked for again");
        sender.handle_emitted(now, 3).expect("sent");
        sender.write(big(12), None).expect("room");
        assert_eq!(transmitted(&mut sender, now), [4]);
        assert_eq!(seqs(&sender, &[4]), Some(vec![4]));
    }

    #[test]
    fn bytes_in_flight_are_bounded_but_one_message_always_goes() {
        let (mut sender, now) = (Sender::new(9), Instant::now());
        let big = || Payload::msgpack(vec![0; MAX_IN_FLIGHT_BYTES + 1]);
        sender.attach(now);
        for _ in 0..2 {
            sender.write(big(), None).expect("room");
        }
        assert_eq!(transmitted(&mut sender, now), [1]);
        sender.handle_emitted(now, 1).expect("sent");
        assert_eq!(transmitted(&mut sender, now), [2]);
    }
}
