//! The end of a client. What was published while it connects is kept until the sign-in: there it is dropped,
//! as Conat's programs expect, unless the client closes first. Then it is sent before the end.

use std::time::{Duration, Instant};

use super::super::op_queue::Source;
use super::super::outbound::Confirm;
use super::super::session::Phase;
use super::super::{ClientError, ClientEvent, SessionState};
use super::Client;
use crate::wire::{Bundle, ClientOp, Message, Reassembly, SocketReport};

/// Messages that were published while the client connects.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bundles: Vec<Held>,
    bytes: usize,
    count: usize,
}

#[derive(Debug)]
enum Held {
    One(Message),
    Many(Bundle),
}

impl Unsent {
    fn push(&mut self, held: Held, count: usize, bytes: usize, limit: usize) {
        let bytes = bytes + size_of::<Held>();
        if self.bytes + bytes > limit {
            return;
        }
        self.bytes += bytes;
        self.count += count;
        self.bundles.push(held);
    }
}

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    /// Publishes, or keeps the message for a close before the sign-in.
    pub fn publish_or_keep(&mut self, message: Message) {
        if self.keeps_unsent() {
            let bytes = message.payload.raw.len();
            self.unsent.push(Held::One(message), 1, bytes, self.config.max_waiting_bytes);
        } else {
            self.publish_from(Source::Application, message);
        }
    }

    /// The same for messages in a row.
    pub fn publish_bundle_or_keep(&mut self, bundle: Bundle) {
        if self.keeps_unsent() {
            let (count, bytes) = (bundle.packed.count() as usize, bundle.len());
            self.unsent.push(Held::Many(bundle), count, bytes, self.config.max_waiting_bytes);
        } else {
            self.publish_bundle_from(Source::Application, bundle);
        }
    }

    /// Closes the client, for good. Requests fail; what was published leaves with the last flush, or, if
    /// there is no connection yet, as soon as there is one, within so long, and [`MAX_PARTING`] at most.
    pub fn close(&mut self, now: Instant, within: Duration) {
        if self.is_closed() {
            return;
        }
        if self.unsent.count > 0 && self.session.is_connecting() {
            self.parting = Some(now + within.min(MAX_PARTING));
            self.end_all();
        } else {
            self.finish();
        }
    }

    /// Returns whether it is closed, for good.
    pub fn is_closed(&self) -> bool {
        self.session.phase() == Phase::Closed || self.parting.is_some()
    }

    /// Handles that the broker knows us. Returns whether that was all that a closed client waited for.
    pub(super) fn finish_parting(&mut self) -> bool {
        let unsent = std::mem::take(&mut self.unsent);
        if self.parting.is_none() {
            return false;
        }
        for held in unsent.bundles {
            match held {
                Held::One(message) => self.out.ops.send(Source::Application, message, Confirm::Never),
                Held::Many(bundle) => self.out.ops.publish_bundle(Source::Application, bundle),
            }
        }
        self.finish();
        true
    }

    /// Ends a closed client whose time is over, or that will get no connection.
    pub(super) fn check_parting(&mut self, now: Instant) {
        let is_over = |until| now >= until || !self.session.is_connecting();
        if self.parting.is_some_and(is_over) {
            self.finish();
        }
    }

    /// Ends it now.
    pub(super) fn finish(&mut self) {
        if self.session.phase() == Phase::Closed {
            return;
        }
        self.leave();
        self.session.close();
        self.end_all();
        let lost = std::mem::take(&mut self.unsent).count;
        if lost > 0 {
            let why = ClientError::Unsent { count: lost };
            self.out.emit(ClientEvent::Session(SessionState::Ending(why)));
        }
        self.out.emit(ClientEvent::Session(SessionState::Closed));
    }

    /// Says that it ends for good, behind everything else: its connection is about to end.
    pub fn leave(&mut self) {
        if self.session.is_signed_in() && self.watches_ends() {
            self.out.ops.push(ClientOp::Leaving);
        }
    }

    /// Tells a broker that asks for it of the sockets here.
    pub fn tell_sockets(&mut self, reports: Vec<SocketReport>) {
        if self.session.is_signed_in() {
            self.out.ops.push(ClientOp::Sockets(reports));
        }
    }

    fn end_all(&mut self) {
        self.out.acks.clear();
        self.requests.inbox.replies = Reassembly::default();
        self.subscriptions.handle_close();
        self.prune_at = None;
        self.requests.fail_where(&mut self.out, &ClientError::Closed, |_| true);
    }

    fn keeps_unsent(&self) -> bool {
        !self.is_closed() && self.session.is_connecting()
    }
}

/// The time that a closed client has to send what was published before it was connected.
const MAX_PARTING: Duration = Duration::from_secs(5);
