//! The shape of a machine: what a driver needs of it to run it over a link (`docs/internals/systems.md` has
//! the steps).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Failure;

/// One end of a connection, as pure code: commands, input and time go in; output, events and deadlines come
/// out.
///
/// `runtime::Driver` is the only caller outside tests. It calls one `handle_*` at a time, then drains the
/// `poll_*` functions, and calls `handle_timeout` at `poll_timeout` or later.
pub trait Machine: Send + 'static {
    /// What the application wants.
    type Command: Weigh + Urgent + Send;
    /// Events for the application.
    type Event: Send;
    /// What a link delivers: operations where it decodes them, else chunks of bytes.
    type Input: Send;
    /// What a link takes.
    type Output: Send;

    /// Carries out what the application wants.
    fn handle_command(&mut self, now: Instant, command: Self::Command);

    /// Takes note of a link that came, went, or could not be had.
    fn handle_link(&mut self, now: Instant, event: LinkEvent);

    /// Takes what the peer sent.
    fn handle_input(&mut self, now: Instant, input: Self::Input);

    /// Takes what the peer sent over a link that is read on while the application lags
    /// (`transport::Link::must_be_read`): what may be lost is left out.
    fn handle_surplus(&mut self, now: Instant, input: Self::Input, _: Lag) {
        self.handle_input(now, input);
    }

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);

    /// Returns the next thing to send, if there is any. Called while the link has room, so that what is
    /// returned has left as far as the machine is concerned.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// Returns whether it takes commands that need the link although that is full: what they send passes what
    /// fills it.
    fn has_room(&self) -> bool {
        false
    }

    /// Returns the next event for the application, if there is any.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// Returns what is to be done with the link, if anything. Once for each wish.
    fn poll_link(&mut self) -> Option<LinkRequest>;

    /// Returns when `handle_timeout` is due.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Returns whether input is welcome now. Otherwise it is left with the operating system, which slows the
    /// peer down, until a command or a deadline has changed that.
    fn is_reading(&self) -> bool {
        true
    }

    /// Returns how many handlers of the application `event` calls. While many calls are outstanding, input is
    /// left with the operating system, so that other connections get their turn. 0: they are not counted.
    fn calls(_: &Self::Event) -> usize {
        0
    }

    /// Returns whether nothing follows `event`. It is held back until what was sent last has left, and ends
    /// the driver.
    fn is_last(event: &Self::Event) -> bool;

    /// Returns the last event of a machine that panicked, so that nothing waits for it for ever.
    fn panicked() -> Self::Event;
}

/// How much waits for an application that lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lag {
    /// More than should: nothing that nobody repeats should join it.
    Long,
    /// So much that nothing should join it which the peer will send again.
    Extreme,
}

/// What a link of plain bytes delivers, for a machine that decodes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// The next bytes; never none.
    Bytes(Bytes),
    /// The peer sends nothing more. It may still read.
    End,
}

/// What can be counted against the bound of a queue.
pub trait Weigh {
    /// Returns about how many bytes it keeps in memory.
    fn weight(&self) -> usize;
}

/// What a mailbox knows of a command.
pub trait Urgent {
    /// Returns whether it waits while the link is full, since the machine has no bound for what that would
    /// send.
    fn needs_link(&self) -> bool {
        true
    }

    /// Returns whether it is carried out before those that wait, and while the link is full: what lets the
    /// peer go on, or ends the connection.
    fn is_urgent(&self) -> bool {
        false
    }
}

/// What became of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is up: the answer to [`LinkRequest::Dial`], or a connection that was accepted.
    Up(LinkInfo),
    /// It could not be had.
    Unreachable(Failure),
    /// It is gone: the peer closed it, or the network failed.
    Down(Failure),
    /// It was given up, as [`LinkRequest::Close`] or [`LinkRequest::CloseBy`] asked. What was sent last still
    /// leaves in the background.
    Closed,
}

/// What is known of a link that is up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// The peer's name for the connection; empty if there is none.
    pub id: String,
    /// What carries it, as people call it; empty if that is not known.
    pub wire: &'static str,
}

/// Names an object of the application: a client, a socket, a listener, a ticket. Chosen by the application,
/// except for what is accepted; never used twice.
pub type Handle = u32;

/// What a machine wants done with its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRequest {
    /// Dial. [`LinkEvent::Up`] or [`LinkEvent::Unreachable`] follows.
    Dial,
    /// Give the link up, or the dialing. What `poll_output` still returns is sent first, and then the link is
    /// closed; the peer has so long to take it. [`LinkEvent::Closed`] follows at once.
    Close(Duration),
    /// The same, and the peer has until then.
    CloseBy(Instant),
}
