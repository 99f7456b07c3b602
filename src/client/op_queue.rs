//! Operations on their way to the broker, in order. Where much waits that sockets have sent, what the
//! application publishes and asks passes it: no socket that is fed faster than the link takes it may hold up
//! an answer to somebody else.

use std::collections::VecDeque;

use crate::wire::ClientOp;

/// A queue that some may pass in.
#[derive(Debug, Default)]
pub(super) struct OpQueue {
    line: VecDeque<ClientOp>,
    /// How many have come into the line, and left it, so far.
    pushed: u64,
    popped: u64,
    /// So many of the line, from its beginning, are passed by nobody.
    unpassed: u64,
    /// What the application has published and asked, since something of sockets has waited.
    passing: VecDeque<Passing>,
    passing_bytes: i64,
    /// Where the last of all stands, as long as it is there.
    last: Option<Place>,
    /// How many bytes of the line have left while somebody was there who may pass, without what has passed.
    lead: i64,
}

#[derive(Debug)]
struct Passing {
    op: ClientOp,
    /// It leaves behind so many of the line, or sooner.
    latest: u64,
    /// It leaves behind so many, or later.
    earliest: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Line,
    Passing,
}

/// Whose messages are, or requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Application,
    /// A socket, or a listener: in the line, and passed.
    Socket,
}

impl OpQueue {
    /// Appends an operation. Nothing passes those that say who hears what.
    pub(super) fn push(&mut self, op: ClientOp) {
        let is_passed = matches!(
            op,
            ClientOp::WaitForInterest { .. }
                | ClientOp::Watch(_)
                | ClientOp::Subscriptions { .. }
                | ClientOp::Cluster { .. }
                | ClientOp::Stats { .. }
        );
        self.append(op, is_passed);
    }

    fn append(&mut self, op: ClientOp, is_passed: bool) {
        self.line.push_back(op);
        self.last = Some(Place::Line);
        self.pushed += 1;
        if !is_passed {
            self.unpassed = self.pushed;
        }
    }

    /// Appends a message, or a request.
    pub(super) fn push_from(&mut self, source: Source, op: ClientOp) {
        if source == Source::Socket {
            self.append(op, true);
        } else if self.passing.is_empty() && self.pushed == self.unpassed.max(self.popped) {
            self.append(op, false);
        } else {
            self.passing_bytes += bytes(&op);
            self.last = Some(Place::Passing);
            self.passing.push_back(Passing { op, latest: self.pushed, earliest: self.unpassed });
        }
    }

    /// Returns the next operation.
    pub(super) fn pop(&mut self) -> Option<ClientOp> {
        let passes = self.passing.front().is_some_and(|next| {
            next.latest <= self.popped || (next.earliest <= self.popped && self.lead >= MIN_LEAD_BYTES)
        });
        if passes { self.pop_passing() } else { self.pop_line() }
    }

    fn pop_passing(&mut self) -> Option<ClientOp> {
        let op = self.passing.pop_front()?.op;
        self.passing_bytes -= bytes(&op);
        if self.passing.is_empty() && self.last == Some(Place::Passing) {
            self.last = None;
        }
        self.lead = if self.passing.is_empty() { 0 } else { self.lead - bytes(&op) };
        Some(op)
    }

    /// One place for the operation from here to the caller: each move of it shows in a profile.
    fn pop_line(&mut self) -> Option<ClientOp> {
        let popped = self.line.pop_front();
        if let Some(op) = &popped {
            self.popped += 1;
            if self.line.is_empty() && self.last == Some(Place::Line) {
                self.last = None;
            }
            if !self.passing.is_empty() {
                self.lead = (self.lead + bytes(op)).min(2 * MIN_LEAD_BYTES);
            }
        }
        popped
    }

    /// Returns whether what the application publishes next need not wait for the link to have room, since it
    /// passes what fills that.
    pub(super) fn has_room(&self) -> bool {
        let is_behind_application = self.passing.is_empty() && self.pushed == self.unpassed;
        self.passing_bytes < MIN_LEAD_BYTES && (self.line.is_empty() || !is_behind_application)
    }

    /// Returns whether something of sockets waits that may be passed.
    pub(super) fn is_passed(&self) -> bool {
        self.pushed > self.unpassed.max(self.popped)
    }

    /// Returns the operation that has come last, if it has not left.
    pub(super) fn last(&self) -> Option<&ClientOp> {
        match self.last? {
            Place::Line => self.line.back(),
            Place::Passing => self.passing.back().map(|last| &last.op),
        }
    }

    /// Takes it out again.
    pub(super) fn take_last(&mut self) {
        match self.last.take() {
            Some(Place::Line) => {
                self.line.pop_back();
                self.pushed -= 1;
                self.unpassed = self.unpassed.min(self.pushed);
            }
            Some(Place::Passing) => {
                let taken = self.passing.pop_back();
                self.passing_bytes -= taken.map_or(0, |taken| bytes(&taken.op));
            }
            None => {}
        }
    }

    /// Returns how many wait.
    pub(super) fn len(&self) -> usize {
        self.line.len() + self.passing.len()
    }

    /// Returns the last one of all, to add to it.
    pub(super) fn back_mut(&mut self) -> Option<&mut ClientOp> {
        if self.passing.back().is_some_and(|last| last.latest == self.pushed) {
            return None;
        }
        self.line.back_mut()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn bytes(op: &ClientOp) -> i64 {
    let payload = match op {
        ClientOp::Publish { publication, .. } | ClientOp::Request { publication, .. } => {
            publication.payload.raw.len()
        }
        _ => 0,
    };
    i64::try_from(payload).unwrap_or(i64::MAX / 4) + OP_BYTES
}

/// So much of what stands before a message leaves before it, whoever has sent it: order is kept unless the
/// link is slower than sockets are fed. From then on both sides have half of it.
const MIN_LEAD_BYTES: i64 = 256 * 1024;
/// An operation, without its payload.
const OP_BYTES: i64 = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Subject;
    use crate::wire::{Headers, Message, Payload, Publication};

    fn message(subject: &str, bytes: usize) -> ClientOp {
        let payload = Payload::msgpack(vec![0; bytes]);
        let subject = Subject::parse(subject).expect("valid");
        let message = Message { subject, payload, headers: Headers::default() };
        ClientOp::Publish { ack: None, publication: Publication::whole(message) }
    }

    fn popped(queue: &mut OpQueue) -> String {
        let ops = std::iter::from_fn(|| queue.pop());
        let shown = ops.map(|op| match op {
            ClientOp::Publish { publication, .. } => publication.subject.to_string(),
            _ => "!".to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_little_of_sockets_is_passed_by_nothing() {
        let mut queue = OpQueue::default();
        for round in ["a", "b"] {
            queue.push_from(Source::Application, message(&format!("{round}1"), 10));
            queue.push_from(Source::Socket, message(&format!("{round}2"), 100_000));
            queue.push_from(Source::Application, message(&format!("{round}3"), 10));
            queue.push(ClientOp::InfoReceived);
            queue.push_from(Source::Socket, message(&format!("{round}4"), 100_000));
        }
        assert_eq!(queue.len(), 10);
        assert_eq!(popped(&mut queue), "a1 a2 a3 ! a4 b1 b2 b3 ! b4");
        assert_eq!((queue.len(), queue.lead), (0, 0));
    }

    #[test]
    fn where_much_of_sockets_waits_answers_pass_it_but_nothing_else_and_both_have_half_of_the_link() {
        let mut queue = OpQueue::default();
        queue.push_from(Source::Socket, message("s", 300_000));
        queue.push(ClientOp::InfoReceived);
        (0..10).for_each(|_| queue.push_from(Source::Socket, message("s", 100_000)));
        (1..=3).for_each(|n| queue.push_from(Source::Application, message(&format!("a{n}"), 100_000)));
        assert_eq!(popped(&mut queue), "s ! a1 s a2 s a3 s s s s s s s s");
        // What comes later does not pass what came before it as well.
        (0..5).for_each(|_| queue.push_from(Source::Socket, message("s", 100_000)));
        queue.push_from(Source::Application, message("a", 1));
        queue.push(ClientOp::InfoReceived);
        queue.push_from(Source::Application, message("b", 1));
        assert_eq!(popped(&mut queue), "s s s a s s ! b");
    }
}
