//! One client: moves commands, operations and events between JavaScript, the endpoint and its link.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::actor::{Actor, Behaviour, Panicked};
use super::clock::now;
use super::dialer::Dialing;
use super::inline_wake::{InlineTask, InlineWaker};
use super::{Dialer, EventQueue, HostEvent, Mailbox, threads};
use crate::client::SessionState;
use crate::endpoint::{Command, Endpoint, Event, Failure, Handle};
use crate::transport::BoxedLink;
use crate::wire::{ClientOp, ServerOp};

type ClientLink = BoxedLink<ClientOp, ServerOp>;

/// A client, for the thread that commands it.
pub struct ClientHandle(Arc<Actor<ClientTask>>);

impl ClientHandle {
    /// Starts a client. It runs `first` and later commands, until it is closed. Its events go to
    /// `events` as `handle`.
    pub fn spawn(
        handle: Handle,
        endpoint: Endpoint,
        dialer: Dialer,
        events: Arc<EventQueue>,
        first: Option<Command>,
    ) -> Self {
        let actor = Arc::new_cyclic(|actor: &Weak<Actor<ClientTask>>| {
            Actor::new(ClientTask::new(handle, endpoint, dialer, events.clone(), actor.clone()))
        });
        actor.put(first);
        let task = threads::spawn({
            let actor = actor.clone();
            async move {
                let ended = actor.run().await;
                if let Ok(Some(mut task)) = ended {
                    task.finish().await;
                    return Ok(());
                }
                ended.map(|_| ())
            }
        });
        threads::spawn(async move {
            // A bug of ours. The application learns that the client is closed, rather than wait for ever.
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(Panicked)) => tracing::error!(client = handle, "client failed at a command"),
                Err(error) => tracing::error!(client = handle, %error, "client task failed"),
            }
            events.put([HostEvent::Client(handle, Event::Session(SessionState::Closed))]);
        });
        Self(actor)
    }

    /// Hands over commands, in order.
    pub fn put(&self, commands: impl IntoIterator<Item = Command>) {
        self.0.put(commands);
    }

    /// Reads from its connection on this thread, which has nothing better to do.
    pub fn read_ready(&self) {
        self.0.read_ready();
    }

    /// Returns the bytes that it has not processed yet.
    pub fn weight(&self) -> usize {
        self.0.weight()
    }

    /// Stops the client where it is: no commands will come.
    pub fn abandon(&self) {
        self.0.abandon();
    }
}

struct ClientTask {
    handle: Handle,
    endpoint: Endpoint,
    dialer: Dialer,
    events: Arc<EventQueue>,
    link: Option<ClientLink>,
    actor: Weak<Actor<Self>>,
    /// The waker given to the link.
    link_waker: Option<Waker>,
    dialing: Option<Dialing>,
    /// Set to the endpoint's next deadline or earlier: most deadlines move on before they come, and setting a
    /// timer may wake a thread.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    commands: Vec<Command>,
    ops: Vec<ServerOp>,
    /// The orderly close of a link that has been given up.
    closing: Option<tokio::task::JoinHandle<()>>,
    finished: bool,
}

impl Behaviour for ClientTask {
    /// Runs the client; ready when it is closed, or JavaScript is gone.
    fn poll(&mut self, mailbox: &Mailbox, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..MAX_ROUNDS {
            let mut moved = self.poll_commands(mailbox, cx);
            moved |= self.poll_dialing(cx);
            moved |= self.poll_link(cx);
            moved |= self.poll_timer(cx);
            moved |= self.carry_out(cx);
            // The link may have been full when they were last looked at; nothing else will wake us for them.
            moved |= !mailbox.is_empty() && !self.is_link_full();
            if self.finished || mailbox.is_abandoned() {
                return Poll::Ready(());
            }
            if !moved {
                return Poll::Pending;
            }
        }
        // Others want their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends what follows from the commands. Reading is left to the task: JavaScript waits for this.
    fn run_commands(&mut self, mailbox: &Mailbox, cx: &mut Context<'_>) {
        let _timers = threads::enter();
        self.poll_commands(mailbox, cx);
        let mut moved = self.carry_out(cx);
        moved |= self.poll_timer(cx);
        if moved || self.finished || !mailbox.is_empty() {
            cx.waker().wake_by_ref();
        }
    }

    /// Reads, and processes what follows from it.
    fn run_incoming(&mut self, mailbox: &Mailbox, cx: &mut Context<'_>) {
        let _timers = threads::enter();
        let (mut moved, until) = (true, now() + MAX_TIME_BEHIND);
        for _ in 0..MAX_ROUNDS_BEHIND {
            moved = self.poll_link(cx);
            moved |= self.carry_out(cx);
            moved |= self.poll_timer(cx);
            if !moved || self.finished || now() >= until {
                break;
            }
        }
        if moved || self.finished || !mailbox.is_empty() {
            cx.waker().wake_by_ref();
        }
    }
}

impl InlineTask for Weak<Actor<ClientTask>> {
    fn run(&self, task: &Waker) -> bool {
        self.upgrade().is_some_and(|actor| actor.run_incoming(task))
    }
}

impl ClientTask {
    fn new(
        handle: Handle,
        endpoint: Endpoint,
        dialer: Dialer,
        events: Arc<EventQueue>,
        actor: Weak<Actor<Self>>,
    ) -> Self {
        Self {
            handle,
            actor,
            link_waker: None,
            endpoint,
            dialer,
            events,
            link: None,
            dialing: None,
            timer: None,
            commands: Vec::new(),
            ops: Vec::new(),
            closing: None,
            finished: false,
        }
    }

    /// Takes no commands while the link is full: they wait in the mailbox, where JavaScript sees their
    /// weight.
    fn poll_commands(&mut self, mailbox: &Mailbox, cx: &Context<'_>) -> bool {
        if self.is_link_full() {
            mailbox.register(cx.waker());
            return false;
        }
        mailbox.take(cx.waker(), MAX_COMMANDS, &mut self.commands);
        let now = now();
        let moved = !self.commands.is_empty();
        for command in self.commands.drain(..) {
            self.endpoint.handle_command(now, command);
        }
        moved
    }

    fn is_link_full(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_full())
    }

    fn poll_dialing(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(Poll::Ready(dialed)) = self.dialing.as_mut().map(|dialing| dialing.as_mut().poll(cx)) else {
            return false;
        };
        self.dialing = None;
        match dialed {
            Ok(link) => {
                self.endpoint.handle_link_up(now(), link.id());
                self.link = Some(link);
            }
            Err(error) => {
                tracing::debug!(client = self.handle, %error, "cannot connect");
                let failure = Failure::new(error.code(), format!("cannot connect: {error}"));
                self.events.put([HostEvent::ConnectFailed(self.handle, failure)]);
                self.endpoint.handle_link_down(now(), error.to_string());
            }
        }
        true
    }

    fn poll_link(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.events.poll_room(cx.waker()) {
            return false;
        }
        let Some(link) = &mut self.link else { return false };
        let waker = link_waker(&mut self.link_waker, &self.actor, cx);
        match link.poll_recv(&mut Context::from_waker(waker), &mut self.ops) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => {
                let now = now();
                for op in self.ops.drain(..) {
                    self.endpoint.handle_op(now, op);
                }
                true
            }
            Poll::Ready(Err(error)) => {
                self.lose_link(error.to_string());
                true
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.endpoint.poll_timeout() else { return false };
        let (set, sleep) = self.timer.get_or_insert_with(|| (at, Box::pin(sleep_until(at.into()))));
        if at < *set {
            *set = at;
            sleep.as_mut().reset(at.into());
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if *set == at {
                self.endpoint.handle_timeout(now());
                return true;
            }
            *set = at;
            sleep.as_mut().reset(at.into());
        }
        false
    }

    /// Carries what the endpoint wants: operations to the link, events to JavaScript, a link dialled or
    /// dropped.
    fn carry_out(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        if let Err(error) = self.send(cx) {
            self.lose_link(error.to_string());
            moved = true;
        }
        if self.endpoint.poll_drop() {
            self.give_up_link();
            moved = true;
        }
        if self.endpoint.poll_dial() {
            self.dialing = Some(self.dialer.dial());
            moved = true;
        }
        self.report();
        moved
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), crate::transport::LinkError> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let waker = link_waker(&mut self.link_waker, &self.actor, cx);
        let cx = &mut Context::from_waker(waker);
        loop {
            let mut is_all = false;
            while !is_all && !link.is_full() {
                match self.endpoint.poll_op() {
                    Some(op) => link.feed(op)?,
                    None => is_all = true,
                }
            }
            if link.poll_flush(cx)?.is_pending() || is_all {
                return Ok(());
            }
        }
    }

    fn lose_link(&mut self, reason: String) {
        tracing::debug!(client = self.handle, reason, "link lost");
        self.link = None;
        self.endpoint.handle_link_down(now(), reason);
    }

    /// Drops the link after a flush; in the background, so that the next one can be dialled meanwhile.
    fn give_up_link(&mut self) {
        self.dialing = None;
        if let Some(link) = self.link.take() {
            let ops = std::iter::from_fn(|| self.endpoint.poll_op()).collect();
            let closing = threads::spawn(close_gracefully(link, ops));
            self.endpoint.handle_link_down(now(), "given up".to_owned());
            self.closing = Some(closing);
        } else {
            self.endpoint.handle_link_down(now(), "given up".to_owned());
        }
    }

    fn report(&mut self) {
        let (handle, endpoint, finished) = (self.handle, &mut self.endpoint, &mut self.finished);
        let mut news = std::iter::from_fn(|| endpoint.poll_event())
            .filter(|event| {
                // It is reported as closed when the link is: : the process may exit then.
                let closed = *event == Event::Session(SessionState::Closed);
                *finished |= closed;
                !closed
            })
            .map(|event| HostEvent::Client(handle, event))
            .peekable();
        if news.peek().is_some() {
            self.events.put(news);
        }
    }

    async fn finish(&mut self) {
        if let Some(closing) = self.closing.take() {
            // It cannot fail but by a panic, which its own task has reported.
            let _ = closing.await;
        }
    }
}

/// Returns the waker of the link. The waker of a task stays the same.
fn link_waker<'a>(
    made: &'a mut Option<Waker>,
    actor: &Weak<Actor<ClientTask>>,
    cx: &Context<'_>,
) -> &'a Waker {
    made.get_or_insert_with(|| Arc::new(InlineWaker::new(actor.clone(), cx.waker().clone())).into())
}

async fn close_gracefully(mut link: ClientLink, ops: Vec<ClientOp>) {
    let closing = async {
        for op in ops {
            if link.is_full() {
                poll_fn(|cx| link.poll_flush(cx)).await?;
            }
            link.feed(op)?;
        }
        poll_fn(|cx| link.poll_flush(cx)).await?;
        poll_fn(|cx| link.poll_close(cx)).await
    };
    if !matches!(tokio::time::timeout(CLOSE_TIMEOUT, closing).await, Ok(Ok(()))) {
        tracing::debug!("the broker did not read the last operations in time");
    }
}

/// Rounds in a row before other tasks get their turn.
const MAX_ROUNDS: usize = 16;
/// The same on a writer's thread.
const MAX_ROUNDS_BEHIND: usize = 4;
/// No further round begins there after this time.
const MAX_TIME_BEHIND: Duration = Duration::from_millis(1);
/// Commands taken at once.
const MAX_COMMANDS: usize = 1024;
/// The time that a broker may take to read the last operations.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(800);
