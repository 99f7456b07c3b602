//! Either end of a socket, behind one set of methods: what both ends do alike is written here, once.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Instant;

use super::absence::{AbsenceStep, WatchedEnd};
use super::peer_status::PeerStatus;
use super::stream::{Accepted, Claim, Stream};
use super::{
    AskTerms, Channel, CloseReason, CommandError, Consumed, Output, PeerMisbehaved, SocketUsage, Tag,
    WriteError,
};
use crate::base::{Failure, FaultInjector, earliest};
use crate::subject::Subject;
use crate::wire::stream::CancelReason;
use crate::wire::{Bundle, Headers, Item, Message, Messages, Presence};

/// Whether the listener of a server's end is leaving, and whose wish that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaving {
    /// It is not.
    No,
    /// The application's, which has counted all that it was handed.
    Asked,
    /// The broker's, for which another one has its place. What the application was handed may be on its way
    /// to a handler.
    Displaced,
}

/// A [`ClientSocket`](super::ClientSocket) or a [`ServerSocket`](super::ServerSocket).
///
/// Drain [`SocketEnd::poll_output`] after every call, and call [`SocketEnd::handle_timeout`] at
/// [`SocketEnd::poll_timeout`].
pub trait SocketEnd: Debug + Send {
    /// Returns the part that both ends have.
    fn channel(&self) -> &Channel;

    /// Returns the part that both ends have, to change it.
    fn channel_mut(&mut self) -> &mut Channel;

    /// Returns whether nothing will come of it any more.
    fn is_closed(&self) -> bool;

    /// Returns whether it is closed for the application, and still hears the fabric for a moment.
    fn is_lingering(&self) -> bool {
        false
    }

    /// Returns whether it is closed, or has told its peer that it closes.
    fn is_closing(&self) -> bool {
        self.is_closed()
    }

    /// Returns whether data of this incarnation may be accepted now.
    fn accepts_data(&self) -> bool;

    /// Handles a message for this socket.
    fn handle_message(&mut self, now: Instant, message: Message);

    /// Handles the reply to a request of this socket.
    fn handle_reply(&mut self, now: Instant, tag: Tag, answer: Result<Message, CommandError>);

    /// Handles whether anybody listens where it has looked.
    fn handle_interest(&mut self, _now: Instant, _tag: Tag, _there: bool) {}

    /// Handles whether there is anybody for a request of this socket that waits until there is.
    fn handle_heard(&mut self, _tag: Tag, _there: bool) {}

    /// Handles that the peer, which was not there, is found again, and may not know that it was missed.
    fn handle_found(&mut self, now: Instant) {
        self.handle_presence(now, WatchedEnd::Peer, Presence::Here, 1);
    }

    /// Handles that the peer was looked up, and is not there.
    fn handle_missed(&mut self, now: Instant) {
        if !self.is_closed() && self.channel_mut().absence.handle_missed() {
            self.handle_timeout(now);
        }
    }

    /// Handles that the peer of a stream gives no sign of life.
    fn handle_silence(&mut self, now: Instant);

    /// Returns a subject of the peer's, once the two belong together.
    fn peer_subject(&self) -> Option<Subject>;

    /// Handles what became of the peer, or of others in its place; `crowd` others are told of it as well.
    fn handle_presence(&mut self, now: Instant, end: WatchedEnd, presence: Presence, crowd: u64);

    /// Handles a step of the peer's absence.
    fn handle_absence(&mut self, now: Instant, step: AbsenceStep);

    /// Handles the return of the fabric, with every subscription.
    fn handle_fabric_up(&mut self, now: Instant);

    /// Handles the loss of the fabric.
    fn handle_fabric_down(&mut self, now: Instant);

    /// Closes at once: tells the peer, and does not wait.
    fn close(&mut self, reason: CloseReason);

    /// Closes as the application wants it: by itself, or since it was told to. `abort`: what it wrote is
    /// incomplete, in these words.
    fn close_by_application(&mut self, abort: Option<String>) {
        let reason = match (self.channel_mut().take_close_reason(), abort) {
            (CloseReason::Local, Some(text)) => CloseReason::Aborted(text),
            (reason, _) => reason,
        };
        self.close(reason);
    }

    /// Handles that the peer broke the rules. Over the size of a message the application closes: only it
    /// knows what it was handed before.
    fn handle_misbehaved(&mut self, error: PeerMisbehaved) {
        if matches!(error, PeerMisbehaved::TooLarge { .. }) {
            self.channel_mut().handle_unwelcome(error);
        } else {
            self.close(CloseReason::Misbehaved(error));
        }
    }

    /// The broker takes messages of so many bytes.
    fn set_limit(&mut self, limit: usize) {
        if !self.is_closing()
            && let Some(reason) = self.channel_mut().set_limit(limit)
        {
            self.close(reason);
        }
    }

    /// Notes that the listener of this end is leaving.
    fn note_leaving(&mut self, leaving: Leaving) {
        self.channel_mut().note_leaving(leaving);
    }

    /// Closes if an orderly end was requested and is due.
    fn check_end(&mut self, now: Instant);

    /// Returns the deadline of this end beside those of its channel.
    fn own_deadline(&self) -> Option<Instant> {
        None
    }

    /// Handles that deadline, if it has passed.
    fn handle_own_deadline(&mut self, _now: Instant) {}

    /// Sets the source of injected faults.
    fn set_faults(&mut self, faults: FaultInjector) {
        self.channel_mut().set_faults(faults);
    }

    /// Returns what it keeps in memory.
    fn usage(&self) -> SocketUsage {
        self.channel().usage()
    }

    /// Queues messages.
    fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<(), WriteError> {
        if self.is_closing() || self.channel().pending_close.is_requested() {
            return Err(WriteError::Closed);
        }
        self.channel_mut().write(now, batch, volatile)
    }

    /// Queues data that may leave until then.
    fn write_timed(
        &mut self,
        now: Instant,
        item: Item,
        volatile: bool,
        until: Instant,
    ) -> Result<(), WriteError> {
        if self.is_closing() || self.channel().pending_close.is_requested() {
            return Err(WriteError::Closed);
        }
        self.channel_mut().write_timed(now, item, volatile, until)
    }

    /// Notes that the application was not handed that message of data, since its time was over.
    fn note_dropped(&mut self, now: Instant, number: u64) {
        if !self.is_closed() {
            self.channel_mut().note_dropped(now, number);
        }
    }

    /// Notes what more the application has handled.
    fn consumed(&mut self, now: Instant, counts: Consumed) {
        if !self.is_closed() {
            self.channel_mut().consumed(now, counts);
        }
    }

    /// Nobody waits for the answer to this request any more.
    fn cancel(&mut self, now: Instant, key: u64, reason: CancelReason) {
        if !self.is_closed() {
            self.channel_mut().cancel(now, key, reason);
        }
    }

    /// Handles the answer to a question of the fabric.
    fn handle_answer(&mut self, now: Instant, key: u64, answer: Message) {
        if !self.is_closed() {
            self.channel_mut().handle_answer(now, key, answer);
        }
    }

    /// Handles that there is none.
    fn handle_ask_failed(&mut self, key: u64, failure: Failure) {
        if !self.is_closed() {
            self.channel_mut().handle_ask_failed(key, failure);
        }
    }

    /// Handles that a question of the fabric has had all answers that it wants.
    fn handle_answered(&mut self, key: u64) {
        if !self.is_closed() {
            self.channel_mut().handle_answered(key);
        }
    }

    /// Asks the peer, in the line of what is written.
    fn ask(&mut self, now: Instant, question: Item, terms: AskTerms) -> Result<(), WriteError> {
        if self.is_closing() || self.channel().pending_close.is_requested() {
            return Err(WriteError::Closed);
        }
        self.channel_mut().ask(now, question, terms)
    }

    /// Accepts a bundle for this socket if it can take all of it. Returns whether; if not, its messages have
    /// to be passed in one by one.
    fn try_accept_bundle(&mut self, now: Instant, bundle: &Bundle) -> bool {
        // In the stream a tag stands in the place of the epoch.
        let is_foreign = self.channel().stream().is_none()
            && self.channel().is_foreign(&Headers::numbered(None, bundle.attempt));
        let accepts = !self.is_closing() && self.accepts_data() && !is_foreign;
        let accepted = if accepts { self.channel_mut().try_accept_bundle(now, bundle) } else { Accepted::No };
        match accepted {
            Accepted::No => return false,
            Accepted::All => self.check_end(now),
            Accepted::AllBut(control) => self.handle_message(now, bundle.message_behind(control)),
            Accepted::Misbehaved(error) => self.handle_misbehaved(error),
        }
        true
    }

    /// Takes a message of the stream if it is just what is next. Returns whether: if not, it is as it was.
    /// The application gets what is `given` before what the outputs say.
    fn try_accept_one(&mut self, now: Instant, message: &mut Message, given: &mut Option<Messages>) -> bool {
        if self.is_closing() || !self.accepts_data() {
            return false;
        }
        match self.channel_mut().try_accept_one(now, message, given) {
            Ok(true) => self.check_end(now),
            Ok(false) => return false,
            Err(error) => self.handle_misbehaved(error),
        }
        true
    }

    /// Closes when everything written has been handled, or at the deadline.
    fn end(&mut self, now: Instant, ticket: u32, deadline: Instant) {
        if self.is_closed() || self.is_lingering() {
            self.channel_mut().outputs.push_back(Output::Ended(ticket));
            return;
        }
        self.channel_mut().pending_close.request(ticket, deadline);
        self.check_end(now);
    }

    /// Returns when `handle_timeout` is to be called.
    fn poll_timeout(&self) -> Option<Instant> {
        if self.is_closed() {
            return None;
        }
        if self.is_lingering() {
            return self.own_deadline();
        }
        let channel = self.channel();
        let absence = channel.absence.poll_timeout();
        earliest([self.own_deadline(), channel.poll_timeout(), channel.pending_close.deadline(), absence])
    }

    /// Handles the deadlines that have passed.
    fn handle_timeout(&mut self, now: Instant) {
        if self.is_closed() {
            return;
        }
        if self.is_lingering() {
            return self.handle_own_deadline(now);
        }
        while let Some(step) = self.channel_mut().absence.poll_step(now) {
            self.handle_absence(now, step);
            if self.is_closed() {
                return;
            }
        }
        self.handle_own_deadline(now);
        if self.channel_mut().handle_timeout(now) == PeerStatus::Silent {
            self.handle_silence(now);
        }
        if self.channel().is_stalled(now) {
            self.close(CloseReason::SlowConsumer);
        }
        self.check_end(now);
    }

    /// Sends what follows from a batch of commands, or of input, now that it is complete.
    fn flush(&mut self, now: Instant) {
        if self.is_closed() || self.is_lingering() {
            return;
        }
        if let Err(error) = self.channel_mut().flush(now) {
            self.handle_misbehaved(error);
        }
        self.handle_flushed();
        if let Some(reason) = self.channel_mut().poll_unsendable(now) {
            self.close(reason);
        }
    }

    /// Handles that all has been sent that follows.
    fn handle_flushed(&mut self) {}

    /// Returns whether nothing follows from a bundle that it has accepted: it need not be flushed for it, and
    /// is due no sooner than before.
    fn rests(&self) -> bool {
        !self.is_closing() && !self.channel().pending_close.is_requested() && self.channel().rests()
    }

    /// Returns whether more could leave, and waits until other sockets have had their turn.
    fn waits_for_turn(&self) -> bool {
        !self.is_closed() && self.channel().stream().is_some_and(Stream::waits_for_turn)
    }

    /// Returns how the messages in pieces stand that come to it, if that has changed.
    fn take_claim(&mut self) -> Option<Claim> {
        self.channel_mut().take_claim()
    }

    /// Lets the peer send pieces up to this offset.
    fn grant(&mut self, offset: u64) {
        self.channel_mut().grant(offset);
    }

    /// Returns the next output.
    fn poll_output(&mut self) -> Option<Output> {
        self.channel_mut().outputs.pop_front()
    }

    /// Returns the queue of outputs.
    fn outputs(&mut self) -> &mut VecDeque<Output> {
        &mut self.channel_mut().outputs
    }
}
