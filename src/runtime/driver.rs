//! Runs one machine: moves commands, input, output and events between JavaScript, the machine and its link.
//! It decides nothing.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::actor::{Actor, Behaviour, Panicked};
use super::close_link::close_link;
use super::connector::{Connecting, Connector};
use super::inline_wake::{InlineTask, InlineWaker};
use super::{EventQueue, Mailbox, threads};
use crate::base::{Handle, LinkEvent, LinkRequest};
use crate::boundary::Reporting;
use crate::link::OrderlyClose;
use crate::transport::timer::{Timer, now};
use crate::transport::{BoxedLink, LinkError};

/// A machine that runs, for the thread that commands it.
pub struct DriverHandle<M: Reporting>(Arc<Actor<Driver<M>>>);

impl<M: Reporting> DriverHandle<M> {
    /// Starts a machine, which gets its links from `connector` when it asks for one. It carries out `first`
    /// and what is put in later, until its last event, and reports to `events` as `handle`.
    pub fn spawn(
        handle: Handle,
        machine: M,
        connector: impl Connector<M::Output, M::Input>,
        events: Arc<EventQueue>,
        first: Option<M::Command>,
    ) -> Self {
        Self::start(handle, machine, Some(Box::new(connector)), events, first, None)
    }

    /// Starts a machine on a connection that was accepted. It gets no other one.
    pub fn accept(
        handle: Handle,
        mut machine: M,
        link: BoxedLink<M::Output, M::Input>,
        events: Arc<EventQueue>,
    ) -> Self {
        machine.handle_link(now(), LinkEvent::Up(link.info()));
        Self::start(handle, machine, None, events, None, Some(link))
    }

    fn start(
        handle: Handle,
        machine: M,
        connector: Option<Box<dyn Connector<M::Output, M::Input>>>,
        events: Arc<EventQueue>,
        first: Option<M::Command>,
        link: Option<BoxedLink<M::Output, M::Input>>,
    ) -> Self {
        let actor = Arc::new_cyclic(|actor: &Weak<Actor<Driver<M>>>| {
            Actor::new(Driver {
                handle,
                machine,
                connector,
                events: events.clone(),
                link,
                actor: actor.clone(),
                link_waker: None,
                connecting: None,
                is_paused: false,
                calls: 0,
                reported: 0,
                timer: Timer::default(),
                commands: Vec::new(),
                inputs: Vec::new(),
                closing: None,
                last: None,
            })
        });
        actor.put(first);
        let task = threads::spawn({
            let actor = actor.clone();
            async move {
                let Some(driver) = actor.run().await? else { return Ok(None) };
                Ok(driver.finish().await)
            }
        });
        threads::spawn(async move {
            // A panic is a bug of ours. The application gets the last event, rather than wait for ever.
            let last = match task.await {
                Ok(Ok(last)) => last,
                Ok(Err(Panicked)) => {
                    tracing::error!(handle, "machine panicked at a command");
                    None
                }
                Err(error) => {
                    tracing::error!(handle, %error, "machine panicked");
                    None
                }
            };
            events.put([M::report(handle, last.unwrap_or_else(M::panicked))]);
        });
        Self(actor)
    }

    /// Hands over commands, in order.
    pub fn put(&self, commands: impl IntoIterator<Item = M::Command>) {
        self.0.put(commands);
    }

    /// Reads what has arrived for it on this thread, which is idle.
    pub fn read_ready(&self) {
        self.0.read_ready();
    }

    /// Returns the bytes of commands that it has not taken yet.
    pub fn weight(&self) -> usize {
        self.0.weight()
    }

    /// Stops it where it is: there are no more commands.
    pub fn abandon(&self) {
        self.0.abandon();
    }
}

struct Driver<M: Reporting> {
    handle: Handle,
    machine: M,
    /// `None`: the connection was accepted, and there is no other.
    connector: Option<Box<dyn Connector<M::Output, M::Input>>>,
    events: Arc<EventQueue>,
    link: Option<BoxedLink<M::Output, M::Input>>,
    actor: Weak<Actor<Self>>,
    /// What the link wakes.
    link_waker: Option<Waker>,
    connecting: Option<Connecting<M::Output, M::Input>>,
    /// The link was not read, since the machine did not want to.
    is_paused: bool,
    /// Calls of handlers since all that had been reported was taken.
    calls: usize,
    /// The position of the last event in the queue.
    reported: u64,
    timer: Timer,
    commands: Vec<M::Command>,
    inputs: Vec<M::Input>,
    /// Carries what is still being sent over a link that has been given up.
    closing: Option<JoinHandle<()>>,
    /// The machine's last event, once there is one.
    last: Option<M::Event>,
}

impl<M: Reporting> Behaviour for Driver<M> {
    type Command = M::Command;

    /// Runs the machine; ready after its last event, or when JavaScript is gone.
    fn poll(&mut self, mailbox: &Mailbox<M::Command>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..MAX_ROUNDS {
            let mut moved = self.poll_commands(mailbox, cx);
            moved |= self.poll_connecting(cx);
            moved |= self.poll_link(cx);
            moved |= self.poll_timer(cx);
            moved |= self.carry_out(cx);
            // The link may have been full when they were last looked at; nothing else will wake us for them.
            moved |= !mailbox.is_empty() && (!self.is_link_full() || self.machine.has_room());
            if self.last.is_some() || mailbox.is_abandoned() {
                return Poll::Ready(());
            }
            if !moved {
                return Poll::Pending;
            }
        }
        // Others want their turn.
        threads::end_turn(cx);
        Poll::Pending
    }

    /// Sends what follows from the commands. Reading is left to the task: JavaScript waits for this.
    fn run_commands(&mut self, mailbox: &Mailbox<M::Command>, cx: &mut Context<'_>) {
        let _timers = threads::enter();
        self.poll_commands(mailbox, cx);
        let mut moved = self.carry_out(cx);
        moved |= self.poll_timer(cx);
        // Nothing else wakes the task for what the link has meanwhile.
        moved |= self.is_paused && self.machine.is_reading();
        self.wake_if(moved, mailbox, cx);
    }

    /// Reads, and once more if that causes more to read.
    fn run_incoming(&mut self, mailbox: &Mailbox<M::Command>, cx: &mut Context<'_>) {
        let _timers = threads::enter();
        let (mut moved, until) = (true, now() + MAX_INLINE_TIME);
        for _ in 0..MAX_INLINE_ROUNDS {
            moved = self.poll_link(cx);
            moved |= self.carry_out(cx);
            moved |= self.poll_timer(cx);
            if !moved || self.last.is_some() || now() >= until {
                break;
            }
        }
        self.wake_if(moved, mailbox, cx);
    }
}

impl<M: Reporting> InlineTask for Weak<Actor<Driver<M>>> {
    fn run(&self, task: &Waker) -> bool {
        self.upgrade().is_some_and(|actor| actor.run_incoming(task))
    }
}

impl<M: Reporting> Driver<M> {
    fn wake_if(&self, moved: bool, mailbox: &Mailbox<M::Command>, cx: &Context<'_>) {
        if moved || self.last.is_some() || !mailbox.is_empty() {
            cx.waker().wake_by_ref();
        }
    }

    /// While the link is full, takes no commands but urgent ones, and those for which the machine has a
    /// bound: they wait in the mailbox, where JavaScript sees their weight.
    fn poll_commands(&mut self, mailbox: &Mailbox<M::Command>, cx: &Context<'_>) -> bool {
        if self.is_link_full() && !self.machine.has_room() {
            mailbox.take_bounded(cx.waker(), MAX_COMMANDS, MAX_COMMAND_BYTES, &mut self.commands);
        } else {
            mailbox.take(cx.waker(), MAX_COMMANDS, MAX_COMMAND_BYTES, &mut self.commands);
        }
        let now = now();
        let moved = !self.commands.is_empty();
        for command in self.commands.drain(..) {
            self.machine.handle_command(now, command);
        }
        moved
    }

    fn is_link_full(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_full())
    }

    fn poll_connecting(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(Poll::Ready(outcome)) =
            self.connecting.as_mut().map(|connecting| connecting.as_mut().poll(cx))
        else {
            return false;
        };
        self.connecting = None;
        match outcome {
            Ok(link) => {
                self.machine.handle_link(now(), LinkEvent::Up(link.info()));
                self.link = Some(link);
            }
            Err(error) => {
                tracing::debug!(handle = self.handle, %error, "cannot connect");
                self.machine.handle_link(now(), LinkEvent::Unreachable(error.into()));
            }
        }
        true
    }

    fn poll_link(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_paused = !self.machine.is_reading();
        if self.is_paused {
            return false;
        }
        let lag = if self.link.as_ref().is_some_and(|link| link.must_be_read()) {
            self.events.lag()
        } else if self.events.poll_room(cx.waker()) && self.poll_turn(cx) {
            None
        } else {
            return false;
        };
        let Some(link) = &mut self.link else { return false };
        let waker = link_waker(&mut self.link_waker, &self.actor, cx);
        match link.poll_recv(&mut Context::from_waker(waker), &mut self.inputs) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => {
                let now = now();
                for input in self.inputs.drain(..) {
                    match lag {
                        None => self.machine.handle_input(now, input),
                        Some(lag) => self.machine.handle_surplus(now, input, lag),
                    }
                }
                true
            }
            Poll::Ready(Err(error)) => {
                self.lose_link(error);
                true
            }
        }
    }

    /// Returns whether handlers have been called for enough of what came to read more.
    fn poll_turn(&mut self, cx: &Context<'_>) -> bool {
        if self.calls >= MAX_CALLS {
            if !self.events.poll_taken(self.reported, cx.waker()) {
                return false;
            }
            self.calls = 0;
        }
        true
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(now) = self.timer.poll(cx, self.machine.poll_timeout()) else { return false };
        self.machine.handle_timeout(now);
        true
    }

    /// Carries what the machine wants: output to the link, a link made or given up, events to JavaScript.
    fn carry_out(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        if let Err(error) = self.send(cx) {
            self.lose_link(error);
            moved = true;
        }
        while let Some(request) = self.machine.poll_link() {
            match request {
                LinkRequest::Dial => self.dial(),
                LinkRequest::Close(within) => self.give_up_link(now() + within),
                LinkRequest::CloseBy(deadline) => self.give_up_link(deadline),
            }
            moved = true;
        }
        self.report();
        moved
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), LinkError> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let waker = link_waker(&mut self.link_waker, &self.actor, cx);
        let cx = &mut Context::from_waker(waker);
        loop {
            let mut is_all = false;
            while !is_all && !link.is_full() {
                match self.machine.poll_output() {
                    Some(output) => link.feed(output)?,
                    None => is_all = true,
                }
            }
            // One that is flushed and full has broken its promise. It is waited for, rather than asked for
            // ever.
            if link.poll_flush(cx)?.is_pending() || is_all || link.is_full() {
                return Ok(());
            }
        }
    }

    fn dial(&mut self) {
        match &self.connector {
            Some(connector) => self.connecting = Some(connector.connect()),
            None => self.machine.handle_link(now(), LinkEvent::Unreachable(LinkError::Closed.into())),
        }
    }

    fn lose_link(&mut self, error: LinkError) {
        tracing::debug!(handle = self.handle, %error, "link lost");
        self.link = None;
        self.machine.handle_link(now(), LinkEvent::Down(error.into()));
    }

    /// Drops the link, after a flush; in the background, so that the next one can
    /// be dialled meanwhile.
    fn give_up_link(&mut self, deadline: Instant) {
        self.connecting = None;
        let now = now();
        if let Some(link) = self.link.take() {
            let rest = std::iter::from_fn(|| self.machine.poll_output()).collect();
            let closing = OrderlyClose::new(now, deadline.saturating_duration_since(now), Duration::ZERO);
            self.closing = Some(threads::spawn(close_link(link, rest, closing)));
        }
        self.machine.handle_link(now, LinkEvent::Closed);
    }

    fn report(&mut self) {
        let Self { handle, machine, last, calls, .. } = self;
        let handle = *handle;
        let mut events = std::iter::from_fn(|| machine.poll_event())
            .filter_map(|event| {
                // Reported only when what was sent last has left, since the process may exit then.
                if M::is_last(&event) {
                    *last = Some(event);
                    return None;
                }
                *calls += M::calls(&event);
                Some(M::report(handle, event))
            })
            .peekable();
        if events.peek().is_some() {
            self.reported = self.events.put_counted(events);
        }
    }

    /// Waits until what was sent last has left, and returns the last event.
    async fn finish(self) -> Option<M::Event> {
        if let Some(closing) = self.closing {
            // It cannot fail but by a panic, which its own task has reported.
            let _ = closing.await;
        }
        self.last
    }
}

/// Returns the waker of the link. The waker of a task stays the same.
fn link_waker<'a, M: Reporting>(
    made: &'a mut Option<Waker>,
    actor: &Weak<Actor<Driver<M>>>,
    cx: &Context<'_>,
) -> &'a Waker {
    made.get_or_insert_with(|| Arc::new(InlineWaker::new(actor.clone(), cx.waker().clone())).into())
}

/// Rounds in a row before other tasks get their turn.
const MAX_ROUNDS: usize = 16;
/// The same on a writer's thread.
const MAX_INLINE_ROUNDS: usize = 4;
/// No further round begins there after this time.
const MAX_INLINE_TIME: Duration = Duration::from_millis(1);
/// Calls of handlers for one connection that may be outstanding before others get their turn.
const MAX_CALLS: usize = 4096;
/// Commands taken at once.
const MAX_COMMANDS: usize = 1024;
/// Bytes of commands after which no further one is taken before the link has had a look at what they said.
const MAX_COMMAND_BYTES: usize = 1024 * 1024;

#[cfg(all(test, not(feature = "shuttle")))]
mod tests;
