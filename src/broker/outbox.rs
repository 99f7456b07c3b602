//! The output that waits for one peer: bounded in bytes and operations, and shared out among those who send
//! when much of it waits.

mod flows;

use std::collections::VecDeque;
use std::time::Instant;

use super::account::Account;
use super::budget::Amount;
use crate::wire::{OpError, PresenceChange, Publication, Reply, ServerOp};
use flows::{Flows, is_for_end};

/// Operations for one peer, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ops: VecDeque<ServerOp>,
    /// What others have sent since it is crowded. It goes when all of `ops` has gone.
    flows: Option<Box<Flows>>,
    bytes: usize,
    /// What of it are payloads that other peers wait for as well; rather less than more.
    shared: usize,
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

impl OutboxLimits {
    /// What is free beside so much.
    fn beside(self, bytes: usize, ops: usize) -> Self {
        Self { bytes: self.bytes.saturating_sub(bytes), ops: self.ops.saturating_sub(ops) }
    }
}

/// Who has sent an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) sender: Account,
    /// Its payload goes to other peers as well.
    pub(super) is_shared: bool,
    /// When it can be refused: nobody else gets it, and its sender is told. `None`: it cannot.
    pub(super) refused_at: Option<Instant>,
}

/// The operation did not fit; it was dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// The peer does not read.
    Peer,
    /// Its sender has sent more than its share to the end of a socket, which will send it again.
    Sender,
    /// The peer reads, and its sender has most of what may wait for it, and is to be told.
    Refused,
}

impl Outbox {
    /// Adds an operation that was sent by somebody, or is the broker's own, unless that would be more than
    /// `limits`.
    pub(super) fn push(
        &mut self,
        limits: OutboxLimits,
        op: ServerOp,
        sent: Option<Sent>,
    ) -> Result<(), Overflow> {
        let cost = cost(&op);
        let is_crowded = self.ops.len() >= CROWDED_OPS || self.bytes >= CROWDED_BYTES || self.flows.is_some();
        if let Some(sent) = sent.filter(|_| is_crowded) {
            return self.push_crowded(limits, op, cost, sent);
        }
        if self.bytes + cost > limits.bytes || self.len() >= limits.ops {
            self.make_room(limits, cost, None)?;
        }
        let bytes = self.bytes + cost;
        if let ServerOp::Watched(changes) = op {
            return self.push_changes(changes);
        }
        if is_fence(&op)
            && let Some(flows) = &mut self.flows
        {
            flows.push_fence(op);
            self.bytes = bytes;
            return Ok(());
        }
        self.bytes = bytes;
        if sent.is_some_and(|sent| sent.is_shared) {
            self.shared += shareable(&op);
        }
        if is_answer(&op) {
            self.answers += cost;
        }
        self.ops.push_back(op);
        Ok(())
    }

    /// The same when so much waits that each sender has a queue of its own. What is for ends of sockets, and
    /// too much, is no fault of the peer's.
    fn push_crowded(
        &mut self,
        limits: OutboxLimits,
        op: ServerOp,
        cost: usize,
        Sent { sender, is_shared, refused_at }: Sent,
    ) -> Result<(), Overflow> {
        let free = limits.beside(self.bytes, self.len());
        let flows = self.flows.get_or_insert_default();
        let is_for_end = is_for_end(&op);
        // However many send it, there is room for others, and for what the broker has to say.
        if is_for_end && (flows.has_share(sender, limits) || flows.has_most(sender, free)) {
            return Err(Overflow::Sender);
        }
        if let Some(now) = refused_at.filter(|_| !is_for_end)
            && flows.has_most(sender, free)
            && !self.make_share(limits, sender)
        {
            // Whoever sends less finds room, however many send more. One who reads nothing is cut off.
            let is_read = self.flows.as_mut().is_none_or(|flows| flows.check_reading(now));
            return Err(if is_read { Overflow::Refused } else { Overflow::Peer });
        }
        if self.bytes + cost > limits.bytes || self.len() >= limits.ops {
            let overflow = if is_for_end { Overflow::Sender } else { Overflow::Peer };
            self.make_room(limits, cost, Some(sender)).map_err(|_| overflow)?;
        }
        let flows = self.flows.get_or_insert_default();
        if let ServerOp::Watched(changes) = &op {
            let more = size_of_val(&**changes);
            if let Some(open) = flows.open_changes(sender, more, changes.len()) {
                open.extend_from_slice(changes);
                self.bytes += more;
                return Ok(());
            }
        }
        self.bytes += cost;
        if is_shared {
            self.shared += shareable(&op);
        }
        flows.push(sender, op);
        Ok(())
    }

    /// Has what is for ends of sockets, and was sent by those who have sent more, give way until a sender no
    /// longer has most of what may wait: the broker's own messages may have taken what was free. Returns
    /// whether that was enough.
    fn make_share(&mut self, limits: OutboxLimits, sender: Account) -> bool {
        while let Some(flows) = self.flows.as_mut() {
            let free = limits.beside(self.bytes, self.ops.len() + flows.len());
            if !flows.has_most(sender, free) {
                return true;
            }
            let Some(dropped) = flows.yield_to(Some(sender)) else { return false };
            self.forget(&dropped);
        }
        true
    }

    /// Has what is for ends of sockets give way to so much that is the broker's own, or comes from somebody
    /// who has sent less.
    fn make_room(
        &mut self,
        limits: OutboxLimits,
        cost: usize,
        sender: Option<Account>,
    ) -> Result<(), Overflow> {
        while self.bytes + cost > limits.bytes || self.len() >= limits.ops {
            let flows = self.flows.as_mut().ok_or(Overflow::Peer)?;
            let dropped = flows.yield_to(sender).ok_or(Overflow::Peer)?;
            self.forget(&dropped);
        }
        Ok(())
    }

    /// An operation of the flows was dropped.
    fn forget(&mut self, dropped: &ServerOp) {
        self.bytes -= cost(dropped);
        self.shared = self.shared.saturating_sub(shareable(dropped));
    }

    /// Adds changes to those that wait at the end, if there are any: many ends that go at once are one frame.
    fn push_changes(&mut self, changes: Vec<PresenceChange>) -> Result<(), Overflow> {
        match self.ops.back_mut() {
            Some(ServerOp::Watched(open)) if open.len() + changes.len() <= MAX_CHANGES => {
                self.bytes += size_of_val(&*changes);
                open.extend(changes);
            }
            _ => {
                let op = ServerOp::Watched(changes);
                self.bytes += cost(&op);
                self.ops.push_back(op);
            }
        }
        Ok(())
    }

    /// Moves operations to `into`, oldest first: at least one if there is one, then up to `most` and
    /// [`TAKE_BYTES`].
    pub(super) fn take(&mut self, into: &mut Vec<ServerOp>, most: usize) {
        if self.bytes < TAKE_BYTES && self.ops.len() <= most && self.flows.is_none() {
            if self.ops.len() == 1
                && let Some(only) = self.ops.pop_front()
            {
                into.push(only);
            } else {
                into.extend(self.ops.drain(..));
            }
            (self.bytes, self.shared, self.answers) = (0, 0, 0);
            return self.shrink();
        }
        let (mut bytes, before) = (0, into.len());
        for _ in 0..most {
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
        if let Some(flows) = self.flows.as_mut().filter(|_| self.ops.is_empty()) {
            bytes += flows.take(into, most, into.len() - before, bytes);
            if flows.len() == 0 {
                self.flows = None;
            }
        }
        self.bytes -= bytes;
        if self.shared > 0 {
            // Those that were not shared, too: then more counts as held for this peer alone.
            let taken: usize = into[before..].iter().map(shareable).sum();
            self.shared = self.shared.saturating_sub(taken);
        }
        self.shrink();
    }

    /// Releases the memory that a burst has left behind.
    fn shrink(&mut self) {
        if self.ops.is_empty() && self.ops.capacity() > KEPT_CAPACITY {
            self.ops = VecDeque::new();
        }
    }

    /// Drops up to so many operations, oldest first. Returns how many.
    pub(super) fn drop_some(&mut self, most: usize) -> usize {
        let mut dropped = self.ops.len().min(most);
        drop(self.ops.drain(..dropped));
        if let Some(flows) = self.flows.as_mut().filter(|_| dropped < most) {
            dropped += flows.drop_some(most - dropped);
        }
        dropped
    }

    /// Notes that the peer has sent an operation.
    pub(super) fn note_sent(&mut self) {
        if let Some(flows) = &mut self.flows {
            flows.note_sent();
        }
    }

    /// Returns how many operations wait.
    pub(super) fn len(&self) -> usize {
        self.ops.len() + self.flows.as_ref().map_or(0, |flows| flows.len())
    }

    /// Returns what they cost.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it holds: what they cost, with what of that others wait for as well, and places for more.
    pub(super) fn amount(&self) -> Amount {
        let spare =
            self.ops.capacity().saturating_sub(self.ops.len().max(FREE_PLACES)) * size_of::<ServerOp>();
        Amount { alone: self.bytes - self.shared + spare, shared: self.shared }
    }

    /// Whether several senders wait for their turns, or have, since so much has waited without a break.
    pub(super) fn is_contended(&self) -> bool {
        self.flows.as_ref().is_some_and(|flows| flows.is_contended())
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
            ServerOp::Superseded { pattern, .. } => pattern.as_str().len(),
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
    let names = publication.subject.as_str().len() + publication.id().len();
    names * publication.count() as usize
        + publication.payload.raw.len()
        + publication.form.chunk_bytes()
        + publication.headers.bytes()
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

/// Returns the bytes of its payload, if it is large enough to be counted once for all who wait for it.
fn shareable(op: &ServerOp) -> usize {
    match op {
        ServerOp::Deliver { publication, .. } if publication.payload.raw.len() >= SHARED_FROM_BYTES => {
            publication.payload.raw.len()
        }
        _ => 0,
    }
}

/// Returns whether the peer has asked for it, or done something that it is told of.
fn is_answer(op: &ServerOp) -> bool {
    matches!(op, ServerOp::Ack { .. } | ServerOp::Permission { .. } | ServerOp::Info(_))
}

/// Returns whether it says that nothing comes any more.
fn is_fence(op: &ServerOp) -> bool {
    matches!(op, ServerOp::Ack { reply: Reply::Unsubscribed { .. }, .. })
}

/// Answers that may wait for who asked; then nothing is read from him until he has read some.
pub(super) const MAX_UNREAD_ANSWER_BYTES: usize = 1024 * 1024;

/// Operations handed over in one call: enough to write in one go, few enough that others get their turn.
pub(super) const TAKE_OPS: usize = 1024;

/// The same for Conat's protocol, where each takes ten times as long to encode, and in a short turn.
pub(super) const FEW_TAKE_OPS: usize = 128;

/// Cost of the operations handed over in one call; the last one may exceed it.
pub(super) const TAKE_BYTES: usize = 1024 * 1024;

/// Payloads from here on that several peers wait for are counted once for all: of smaller ones the rest of
/// the operation is a good part.
pub(super) const SHARED_FROM_BYTES: usize = 1024;

/// From so many operations on each sender has a queue of its own.
const CROWDED_OPS: usize = 1024;
/// From so many bytes on, likewise.
const CROWDED_BYTES: usize = 4 * 1024 * 1024;

/// Changes of watched ends in one operation.
pub(super) const MAX_CHANGES: usize = 4096;

/// Places that every connection may have.
const FREE_PLACES: usize = 16;

/// Places that an empty outbox may keep for what comes next: some 50 KiB.
const KEPT_CAPACITY: usize = 256;

#[cfg(test)]
mod tests;
