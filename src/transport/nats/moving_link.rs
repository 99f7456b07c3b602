//! A link that moves to another server while it stands, once its own is about to stop. What is said to which,
//! and which messages are taken from which, `wire::nats::Handover` decides.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::base::LinkInfo;
use crate::transport::timer::{Timer, now};
use crate::transport::{Link, LinkError};
use crate::wire::nats::{Handover, Late, Reach, Step};

/// A link that another one, to another server, may take the place of.
pub(super) trait Movable: Link {
    /// Returns whether it is time to leave the server.
    fn is_departure_due(&self) -> bool;

    /// Leaves the server although there is no other link: whoever uses this one is told, and dials.
    fn depart_alone(&mut self);

    /// Returns whether `next` may take its place.
    fn fits(&self, next: &Self) -> bool;

    /// Asks the server to settle all that it was told.
    fn settle(&mut self);

    /// Returns whether it has.
    fn is_settled(&self) -> bool;

    /// Subscribes `next` to everything.
    fn repeat(&self, next: &mut Self);

    /// Ends all subscriptions, and then the link, with what was under way.
    fn end_in_order(&mut self);

    /// Takes over what still waits at a link that has ended.
    fn adopt(&mut self, old: Self);

    /// Returns which links something that was heard comes on, and the bytes of its payload.
    fn reach(&self, news: &Self::In) -> (Reach, usize);
}

/// A link that is being made.
pub(super) type Dialing<L> = Pin<Box<dyn Future<Output = Result<L, LinkError>> + Send>>;

/// The link, and how to make another one.
pub(super) struct MovingLink<L: Movable> {
    link: L,
    dial: Box<dyn Fn() -> Dialing<L> + Send>,
    moving: Moving<L>,
    timer: Timer,
    /// Used again for every read.
    heard: Vec<L::In>,
    /// For the caller.
    ready: Vec<L::In>,
    /// Reported once that is out.
    ended: Option<LinkError>,
}

enum Moving<L: Movable> {
    No,
    Dialing(Dialing<L>),
    Handing(Box<Next<L>>),
    Late(Late),
}

/// The link to the next server.
struct Next<L: Movable> {
    link: L,
    handover: Handover<L::In>,
}

impl<L: Movable> MovingLink<L>
where
    L::In: Send,
{
    pub(super) fn new(link: L, dial: Box<dyn Fn() -> Dialing<L> + Send>) -> Self {
        let (moving, timer) = (Moving::No, Timer::default());
        Self { link, dial, moving, timer, heard: Vec::new(), ready: Vec::new(), ended: None }
    }

    /// Goes on with everything, for the caller to take what is ready. Returns whether there may be more to
    /// do.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<bool, LinkError> {
        match &mut self.moving {
            Moving::No => {
                let has_news = self.link.poll_recv(cx, &mut self.ready)?.is_ready();
                let is_due = !has_news && self.link.is_departure_due();
                if is_due {
                    self.moving = Moving::Dialing((self.dial)());
                }
                Ok(has_news || is_due)
            }
            Moving::Dialing(dialing) => {
                if let Poll::Ready(dialed) = dialing.as_mut().poll(cx) {
                    self.handle_dialed(dialed);
                    return Ok(true);
                }
                Ok(self.link.poll_recv(cx, &mut self.ready)?.is_ready())
            }
            Moving::Handing(..) => self.hand_over(cx),
            Moving::Late(late) => {
                let outcome = self.link.poll_recv(cx, &mut self.heard);
                let link = &self.link;
                let news = self.heard.drain(..).filter(|news| late.admits(link.reach(news).0));
                self.ready.extend(news);
                let is_over = late.is_over(now()) || self.timer.poll(cx, late.deadline()).is_ready();
                if is_over {
                    self.moving = Moving::No;
                }
                Ok(outcome?.is_ready() || is_over)
            }
        }
    }

    fn handle_dialed(&mut self, dialed: Result<L, LinkError>) {
        match dialed {
            Ok(next) if self.link.fits(&next) => {
                self.link.settle();
                self.moving =
                    Moving::Handing(Box::new(Next { link: next, handover: Handover::begin(now()) }));
            }
            other => {
                let why = other.err();
                tracing::info!(?why, "no other server of nats to move to");
                self.stay_alone();
            }
        }
    }

    /// Leaves the server without another link.
    fn stay_alone(&mut self) {
        self.moving = Moving::No;
        self.link.depart_alone();
    }

    fn hand_over(&mut self, cx: &mut Context<'_>) -> Result<bool, LinkError> {
        let Self { link, moving: Moving::Handing(next), heard, ready, timer, .. } = self else {
            return Ok(false);
        };
        let Next { link: next, handover } = &mut **next;
        let now = now();
        let of_old = link.poll_recv(cx, heard);
        for news in heard.drain(..) {
            handover.handle_old(now, link.reach(&news).0);
            ready.push(news);
        }
        let mut moved = match of_old {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) if handover.is_settled() => {
                self.take_next(cx);
                return Ok(true);
            }
            Poll::Ready(Err(error)) => return Err(error),
        };
        let mut is_lost = false;
        if handover.has_room() {
            let of_next = next.poll_recv(cx, heard);
            for news in heard.drain(..) {
                let (reach, bytes) = next.reach(&news);
                ready.extend(handover.handle_next(now, reach, bytes, news));
            }
            moved |= matches!(of_next, Poll::Ready(Ok(())));
            is_lost = matches!(of_next, Poll::Ready(Err(_)));
        }
        match handover.poll(now, link.is_settled(), next.is_settled()) {
            _ if is_lost => self.stay_alone(),
            Some(Step::GiveUp) => self.stay_alone(),
            Some(Step::Join) => link.repeat(next),
            Some(Step::Leave) => link.end_in_order(),
            None => {
                // A failure shows in the next read.
                let _ = link.poll_flush(cx);
                let _ = next.poll_flush(cx);
                return Ok(moved || timer.poll(cx, handover.deadline()).is_ready());
            }
        }
        Ok(true)
    }

    /// The old link has ended.
    fn take_next(&mut self, cx: &mut Context<'_>) {
        let Moving::Handing(next) = std::mem::replace(&mut self.moving, Moving::No) else { return };
        let Next { link: next, handover } = *next;
        let (waiting, late) = handover.finish(now());
        self.ready.extend(waiting);
        self.moving = Moving::Late(late);
        let old = std::mem::replace(&mut self.link, next);
        self.link.adopt(old);
        tracing::info!(link = self.link.info().id, "moved to another server of nats");
        // What was held may leave.
        cx.waker().wake_by_ref();
    }
}

impl<L: Movable> Link for MovingLink<L>
where
    L::In: Send,
{
    type Out = L::Out;
    type In = L::In;

    fn info(&self) -> LinkInfo {
        self.link.info()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<L::In>) -> Poll<Result<(), LinkError>> {
        if self.ready.is_empty()
            && let Some(error) = self.ended.take()
        {
            self.ended = Some(LinkError::Closed);
            return Poll::Ready(Err(error));
        }
        if matches!(self.moving, Moving::No) && self.ready.is_empty() {
            let outcome = self.link.poll_recv(cx, into);
            if outcome.is_ready() || !self.link.is_departure_due() {
                return outcome;
            }
        }
        loop {
            let moved = if self.ready.is_empty() { self.advance(cx) } else { Ok(true) };
            if !self.ready.is_empty() {
                into.append(&mut self.ready);
                self.ended = moved.err().or(self.ended.take());
                return Poll::Ready(Ok(()));
            }
            if !moved? {
                return Poll::Pending;
            }
        }
    }

    fn feed(&mut self, op: L::Out) -> Result<(), LinkError> {
        self.link.feed(op)
    }

    /// Nothing is sent while it moves.
    fn is_full(&self) -> bool {
        matches!(self.moving, Moving::Handing(..)) || self.link.is_full()
    }

    fn buffered(&self) -> usize {
        self.link.buffered()
    }

    fn unsent(&self) -> usize {
        self.link.unsent()
    }

    fn must_be_read(&self) -> bool {
        self.link.must_be_read()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let before = self.ready.len();
        while matches!(self.moving, Moving::Handing(..)) {
            match self.advance(cx) {
                Ok(true) if self.ready.len() - before < MAX_READ => {}
                Ok(_) => {
                    if self.ready.len() > before {
                        // For the reader.
                        cx.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                }
                Err(error) => {
                    self.ended = Some(error);
                    self.moving = Moving::No;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        self.link.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.moving = Moving::No;
        self.link.poll_close(cx)
    }
}

/// What a flush reads while the link moves.
const MAX_READ: usize = 1024;
