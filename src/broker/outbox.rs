//! The output that waits for one peer: bounded in bytes and operations.

use std::collections::VecDeque;

use crate::wire::{Headers, OpError, PresenceChange, Publication, Reply, ServerOp};

/// Operations for one peer, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ops: VecDeque<ServerOp>,
    bytes: usize,
    /// The same, with a share only of what several peers wait for.
    charged: usize,
    /// What of it this peer asked for, or is told.
    answers: usize,
}

/// The bounds of an outbox; both hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutboxLimits {
    /// By [`cost`], summed.
    pub(super) bytes: usize,
    /// Operations.
    pub(super) ops: usize,
}

/// The operation did not fit; it was dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Outbox {
    /// Adds an operation that goes to so many peers, unless that would be more than `limits`.
    pub(super) fn push(
        &mut self,
        limits: OutboxLimits,
        op: ServerOp,
        sharers: usize,
    ) -> Result<(), Overflow> {
        let cost = cost(&op);
        let bytes = self.bytes + cost;
        if bytes > limits.bytes || self.ops.len() >= limits.ops {
            return Err(Overflow);
        }
        if let ServerOp::Watched(changes) = op {
            return self.push_changes(changes);
        }
        self.bytes = bytes;
        self.charged += if sharers > 1 { cost / sharers } else { cost };
        if is_answer(&op) {
            self.answers += cost;
        }
        self.ops.push_back(op);
        Ok(())
    }

    /// Adds changes to those that wait at the end, if there are any: many ends that go at once are one frame.
    fn push_changes(&mut self, changes: Vec<PresenceChange>) -> Result<(), Overflow> {
        match self.ops.back_mut() {
            Some(ServerOp::Watched(open)) if open.len() + changes.len() <= MAX_CHANGES => {
                self.bytes += size_of_val(&*changes);
                self.charged += size_of_val(&*changes);
                open.extend(changes);
            }
            _ => {
                let op = ServerOp::Watched(changes);
                self.bytes += cost(&op);
                self.charged += cost(&op);
                self.ops.push_back(op);
            }
        }
        Ok(())
    }

    /// Moves operations to `into`, oldest first: at least one if there is one, then up to [`TAKE_OPS`] and
    /// [`TAKE_BYTES`].
    pub(super) fn take(&mut self, into: &mut Vec<ServerOp>) {
        if self.bytes < TAKE_BYTES && self.ops.len() <= TAKE_OPS {
            into.extend(self.ops.drain(..));
            (self.bytes, self.charged, self.answers) = (0, 0, 0);
            return self.shrink();
        }
        let mut bytes = 0;
        for _ in 0..TAKE_OPS {
            if bytes >= TAKE_BYTES {
                break;
            }
            let Some(op) = self.ops.pop_front() else { break };
            let cost = cost(&op);
            bytes += cost;
            if is_answer(&op) {
                self.answers -= cost;
            }
            into.push(op);
        }
        self.charged -= self.charged * bytes / self.bytes.max(1);
        self.bytes -= bytes;
        self.shrink();
    }

    /// Releases the memory that a burst has left behind.
    fn shrink(&mut self) {
        if self.ops.is_empty() && self.ops.capacity() > KEPT_CAPACITY {
            self.ops = VecDeque::new();
        }
    }

    /// Drops everything, and its memory.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns how many operations wait.
    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Returns what they cost.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What they cost, when what several peers wait for is divided among them.
    pub(super) fn charged(&self) -> usize {
        self.charged
    }

    /// Whether so many answers are not read that nothing more is to be asked.
    pub(super) fn owes_reading(&self) -> bool {
        self.answers > MAX_UNREAD_ANSWER_BYTES
    }
}

/// Returns what an operation costs in bytes: its texts and payload, and its place in the queue. A payload
/// that several peers share counts for each, since the slowest of them keeps it alive.
fn cost(op: &ServerOp) -> usize {
    size_of::<ServerOp>()
        + match op {
            ServerOp::Info(info) => {
                info.id.len()
                    + info.cluster_name.as_ref().map_or(0, String::len)
                    + info.user.as_ref().map_or_else(refusal_size, |user| user.as_bytes().len())
            }
            ServerOp::Closing { code, message } => code.len() + message.len(),
            ServerOp::Permission { message, subject, kind } => message.len() + subject.len() + kind.len(),
            ServerOp::Deliver { pattern, publication } => {
                pattern.as_str().len() + publication_size(publication)
            }
            ServerOp::Watched(changes) => size_of_val(&**changes),
            ServerOp::Ack { reply, .. } => reply_size(reply),
        }
}

/// Returns the bytes of a publication: subject, id, payload and headers. In a bundle every message counts its
/// own names, as it would alone.
pub(super) fn publication_size(publication: &Publication) -> usize {
    let names = publication.subject.as_str().len() + publication.id.len();
    names * publication.count() as usize + publication.payload.raw.len() + headers_size(&publication.headers)
}

fn headers_size(headers: &Headers) -> usize {
    headers.json.as_ref().map_or(0, |json| json.as_bytes().len())
        + headers.reply.as_ref().map_or(0, |reply| reply.as_str().len())
        + headers.command.as_ref().map_or(0, |command| command.as_str().len())
}

fn reply_size(reply: &Reply) -> usize {
    match reply {
        Reply::Subscribed(statuses) => statuses
            .iter()
            .map(|status| size_of_val(status) + status.as_ref().map_or_else(refusal_size, |_| 0))
            .sum(),
        Reply::Strings(texts) => texts.iter().map(|text| size_of_val(text) + text.len()).sum(),
        Reply::Error(error) => refusal_size(error),
        Reply::Published { .. } | Reply::Unsubscribed { .. } | Reply::Interest(_) => 0,
    }
}

fn refusal_size(error: &OpError) -> usize {
    error.message.len()
}

/// Returns whether the peer has asked for it, or done something that it is told of.
fn is_answer(op: &ServerOp) -> bool {
    matches!(op, ServerOp::Ack { .. } | ServerOp::Permission { .. } | ServerOp::Info(_))
}

/// Answers that may wait for who asked; then nothing is read from him until he has read some.
pub(super) const MAX_UNREAD_ANSWER_BYTES: usize = 1024 * 1024;

/// Operations handed over in one call: enough to write in one go, few enough that others get their turn.
pub(super) const TAKE_OPS: usize = 1024;

/// Cost of the operations handed over in one call; the last one may exceed it.
pub(super) const TAKE_BYTES: usize = 1024 * 1024;

/// Changes of watched ends in one operation.
pub(super) const MAX_CHANGES: usize = 4096;

/// Places that an empty outbox may keep for what comes next.
const KEPT_CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AckId;

    const WIDE: OutboxLimits = OutboxLimits { bytes: usize::MAX, ops: usize::MAX };

    fn strings(id: u64, length: usize) -> ServerOp {
        ServerOp::Ack { id: AckId(id), reply: Reply::Strings(vec!["x".repeat(length)]) }
    }

    #[test]
    fn both_bounds_hold_and_what_does_not_fit_is_not_taken() {
        let mut outbox = Outbox::default();
        let two = OutboxLimits { bytes: usize::MAX, ops: 2 };
        assert_eq!(outbox.push(two, strings(0, 1), 1), Ok(()));
        assert_eq!(outbox.push(two, strings(1, 1), 1), Ok(()));
        assert_eq!(outbox.push(two, strings(2, 1), 1), Err(Overflow));
        let exact = OutboxLimits { bytes: outbox.bytes() + cost(&strings(3, 100)), ops: 10 };
        assert_eq!(outbox.push(exact, strings(3, 101), 1), Err(Overflow));
        assert_eq!(outbox.push(exact, strings(3, 100), 1), Ok(()));
        assert_eq!(outbox.len(), 3);
    }

    #[test]
    fn a_take_is_bounded_and_gives_back_all_that_was_counted() {
        let mut outbox = Outbox::default();
        for id in 0..3 {
            outbox.push(WIDE, strings(id, TAKE_BYTES), 1).unwrap();
        }
        for id in 3..3000 {
            outbox.push(WIDE, strings(id, 1), 1).unwrap();
        }
        let (mut taken, mut sizes) = (Vec::new(), Vec::new());
        while outbox.len() > 0 {
            let before = taken.len();
            outbox.take(&mut taken);
            sizes.push(taken.len() - before);
        }
        assert_eq!(sizes[..4], [1, 1, 1, TAKE_OPS]);
        assert_eq!((outbox.bytes(), outbox.ops.capacity()), (0, 0));
        let ids = taken.iter().map(|op| if let ServerOp::Ack { id, .. } = op { id.0 } else { u64::MAX });
        assert!(ids.eq(0..3000));
    }
}
