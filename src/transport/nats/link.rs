//! The link itself: a stream, a client's end of the protocol, and the heartbeat.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::address::Server;
use super::conversation::Conversation;
use super::departure::Departure;
use super::moving_link::Movable;
use super::servers::Servers;
use crate::base::{Entropy, LinkInfo, OsEntropy, earliest};
use crate::link::Progress;
use crate::transport::heartbeat_link::{self, HeartbeatLink};
use crate::transport::liveness::TimedLiveness;
use crate::transport::read_buffer::{ReadBuffer, WholeFrame};
use crate::transport::timer::{Timer, now};
use crate::transport::write_buffer::WriteBuffer;
use crate::transport::{BoxedStream, Link, LinkError};
use crate::wire::nats::{Client, Frame, Heard, Reach, Sink, frame_length, push_pong};
use crate::wire::{ClientOp, ServerOp};

/// A connection that is signed in.
pub(super) struct NatsLink<C> {
    id: String,
    server: Server,
    servers: Arc<Servers>,
    stream: BoxedStream,
    conversation: C,
    liveness: TimedLiveness,
    incoming: ReadBuffer,
    outgoing: WriteBuffer,
    /// Bytes among those to be written that the caller has not caused by feeding.
    answers: usize,
    /// Since when the server has not taken all that is to be written.
    stalled_at: Option<Instant>,
    timer: Timer,
    departure: Departure,
    /// Reported once what was read before it is out.
    ended: Option<LinkError>,
    is_leaving: bool,
    is_shut: bool,
    progress: Progress,
}

impl<C: Conversation> NatsLink<C> {
    /// Takes over a connection after the sign-in; `rest` was read behind it.
    pub(super) fn new(
        stream: BoxedStream,
        rest: &[u8],
        conversation: C,
        server: Server,
        servers: Arc<Servers>,
    ) -> Self {
        let info = conversation.client().info();
        Self {
            id: format!("{}.{}", info.server_id, info.client_id),
            server,
            servers,
            stream,
            conversation,
            liveness: TimedLiveness::asking_client(PING_INTERVAL, PING_TIMEOUT),
            incoming: ReadBuffer::new(rest),
            outgoing: WriteBuffer::default(),
            answers: 0,
            stalled_at: None,
            timer: Timer::default(),
            departure: Departure::None,
            ended: None,
            is_leaving: false,
            is_shut: false,
            progress: Progress::default(),
        }
    }

    /// Tells the frame's length.
    fn handle_frame(
        &mut self,
        now: Instant,
        frame: WholeFrame,
        into: &mut Vec<C::In>,
    ) -> Result<usize, LinkError> {
        let (length, heard) = match frame {
            WholeFrame::Small(length) => {
                let frame = Frame::Borrowed(&self.incoming.bytes()[..length]);
                let heard = self.conversation.handle_frame(now, frame, into)?;
                self.incoming.consume(length);
                (length, heard)
            }
            WholeFrame::Big(bytes) => {
                (bytes.len(), self.conversation.handle_frame(now, Frame::Shared(&bytes), into)?)
            }
        };
        match heard {
            Heard::Op => return Ok(length),
            Heard::Ping => self.say(|_, out| push_pong(out.gathered())),
            Heard::Idle => self.learn(),
            Heard::Leave => {
                self.learn();
                if self.servers.leave(&self.server) {
                    // By chance, so that not all clients of a server come to another one at once.
                    let mut chance = [0];
                    OsEntropy.fill(&mut chance);
                    let pause = Duration::from_millis(chance[0] % MAX_LEAVE_MILLIS);
                    self.departure.plan(now + pause);
                }
            }
        }
        if self.liveness.try_count_idle_frame(self.progress.bytes).is_err() {
            return Err(LinkError::PeerMisbehaved("flood of frames without content".into()));
        }
        if self.answers > MAX_ANSWER_BYTES {
            return Err(LinkError::PeerMisbehaved("asks and does not read answers".into()));
        }
        Ok(length)
    }

    fn learn(&self) {
        self.servers.learn(self.conversation.client().info().connect_urls.as_deref().unwrap_or_default());
    }

    /// Says something that nobody has fed.
    fn say(&mut self, say: impl FnOnce(&mut Client, &mut WriteBuffer)) {
        let before = self.outgoing.len();
        say(self.conversation.client_mut(), &mut self.outgoing);
        self.answers += self.outgoing.len() - before;
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Result<(), LinkError> {
        loop {
            self.poll_departure(cx, into)?;
            let deadline = earliest([self.conversation.client().poll_timeout(), self.departure.deadline()]);
            let Poll::Ready(now) = self.timer.poll(cx, deadline) else { return Ok(()) };
            self.say(|client, out| client.handle_timeout(now, out));
        }
    }

    /// Moves away from a server that is about to stop, in order.
    fn poll_departure(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Result<(), LinkError> {
        let now = now();
        if self.departure.is_planned_by(now) {
            self.departure = Departure::Due;
        }
        if self.departure == Departure::Alone {
            self.conversation.tell_departure(into);
            self.departure = Departure::Told(now + MAX_ANSWERS_WAIT);
        }
        if self.departure.is_waiting_by(now, self.conversation.client().has_answers()) {
            self.end_in_order();
        }
        if let Departure::Ending(until) = self.departure {
            let is_out = self.poll_write(cx)?.is_ready();
            if until <= now || (is_out && self.conversation.client().is_settled()) {
                return Err(LinkError::Closed);
            }
        }
        Ok(())
    }

    /// Returns whether it is time to leave the server.
    pub(super) fn is_leaving_server(&self) -> bool {
        matches!(self.departure, Departure::Told(_) | Departure::Ending(_))
    }

    /// Returns whether nothing more is asked over it, since it is time to leave the server.
    pub(super) fn is_quiet(&self) -> bool {
        self.conversation.client().is_quiet()
    }

    /// Writes; ready when everything fed has been passed to the operating system.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let client = self.conversation.client();
        if client.has_ready() || matches!(self.departure, Departure::Told(_)) && client.has_answers() {
            // Known without the server: nothing else wakes the reader for it.
            cx.waker().wake_by_ref();
        }
        self.conversation.client_mut().push_fence(&mut self.outgoing);
        if self.outgoing.is_done() {
            return Poll::Ready(Ok(()));
        }
        if self.outgoing.poll_write(cx, &mut self.stream)?.is_pending() {
            self.stalled_at.get_or_insert_with(now);
            return Poll::Pending;
        }
        let stalled = self.stalled_at.take().map(|at| now().saturating_duration_since(at));
        if let Some(stalled) = stalled.filter(|stalled| *stalled >= LONG_STALL) {
            // A server holds up those who publish to a subscriber that does not read.
            tracing::warn!(server = self.server.0, ?stalled, "the server of nats did not read for a while");
        }
        self.answers = 0;
        Poll::Ready(Ok(()))
    }

    /// Waits until the server has settled all that was sent, or has gone. What comes meanwhile is for nobody.
    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        while !self.conversation.client().is_settled() {
            let max = self.conversation.client().max_message();
            match self.incoming.next(|buffered| frame_length(buffered, max))? {
                Some(frame) => {
                    self.handle_frame(now(), frame, &mut Vec::new())?;
                }
                None if ready!(self.incoming.poll_read(cx, &mut self.stream))? == 0 => break,
                None => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    fn end_of_stream(&self) -> LinkError {
        if self.incoming.is_empty() {
            LinkError::Closed
        } else {
            LinkError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "connection cut"))
        }
    }
}

impl Sink for WriteBuffer {
    fn gather(&mut self) -> &mut BytesMut {
        WriteBuffer::gather(self)
    }

    fn push(&mut self, bytes: Bytes) {
        WriteBuffer::push(self, bytes);
    }
}

impl<C: Conversation> HeartbeatLink for NatsLink<C> {
    fn poll_frames(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Poll<Result<(), LinkError>> {
        let (start, mut bytes, now) = (into.len(), 0, now());
        self.conversation.take_ready(into);
        while into.len() - start < MAX_RECV_OPS && bytes < MAX_RECV_BYTES {
            let max = self.conversation.client().max_message();
            match self.incoming.next(|buffered| frame_length(buffered, max))? {
                Some(frame) => {
                    self.progress.whole += 1;
                    bytes += self.handle_frame(now, frame, into)?;
                }
                None => match self.incoming.poll_read(cx, &mut self.stream)? {
                    Poll::Ready(0) => return Poll::Ready(Err(self.end_of_stream())),
                    Poll::Ready(read) => {
                        self.progress.bytes += read as u64;
                        self.liveness.handle_frame();
                    }
                    Poll::Pending => {
                        self.poll_timer(cx, into)?;
                        return Poll::Pending;
                    }
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    fn liveness(&mut self) -> &mut TimedLiveness {
        &mut self.liveness
    }

    fn progress(&self) -> Progress {
        Progress { is_mid_message: !self.incoming.is_empty(), ..self.progress }
    }

    fn ping(&mut self) -> Result<(), LinkError> {
        self.say(|client, out| client.push_ping(out));
        Ok(())
    }

    fn has_unflushed_replies(&self) -> bool {
        self.answers > 0 || self.conversation.client().has_due()
    }

    fn ended(&mut self) -> &mut Option<LinkError> {
        &mut self.ended
    }

    /// Does nothing: the protocol has no word for it.
    fn send_close_reason(&mut self, _: &mut Context<'_>, _: &LinkError) {}
}

impl<C: Conversation> Movable for NatsLink<C> {
    fn is_departure_due(&self) -> bool {
        self.departure == Departure::Due
    }

    fn depart_alone(&mut self) {
        self.departure = Departure::Alone;
    }

    fn fits(&self, next: &Self) -> bool {
        self.conversation.client().fits(next.conversation.client())
    }

    fn settle(&mut self) {
        self.say(|client, out| client.push_ping(out));
    }

    fn is_settled(&self) -> bool {
        self.conversation.client().is_idle() && self.outgoing.is_done()
    }

    fn repeat(&self, next: &mut Self) {
        self.conversation.client().repeat(next.conversation.client_mut(), &mut next.outgoing);
    }

    /// Ends all subscriptions, and then the link: once the server has settled what it was told, and has given
    /// what it had for them.
    fn end_in_order(&mut self) {
        if !matches!(self.departure, Departure::Ending(_)) {
            self.departure = Departure::Ending(now() + MAX_ENDING);
            self.conversation.client_mut().leave(&mut self.outgoing);
        }
    }

    fn adopt(&mut self, mut old: Self) {
        self.conversation.client_mut().adopt(old.conversation.client_mut(), &mut self.outgoing);
    }

    fn reach(&self, news: &C::In) -> (Reach, usize) {
        self.conversation.reach(news)
    }
}

impl<C: Conversation> Link for NatsLink<C> {
    type Out = C::Out;
    type In = C::In;

    fn info(&self) -> LinkInfo {
        LinkInfo { id: self.id.clone(), wire: "nats" }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Poll<Result<(), LinkError>> {
        heartbeat_link::poll_recv(self, cx, into)
    }

    fn feed(&mut self, op: C::Out) -> Result<(), LinkError> {
        self.conversation.handle_op(now(), op, &mut self.outgoing);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.outgoing.len() >= FULL_BYTES || self.conversation.client().is_full()
    }

    /// A server of NATS first stalls those who publish to a client that does not read, whatever else they
    /// have to say, and then cuts the client off.
    fn must_be_read(&self) -> bool {
        true
    }

    /// With so much unsettled that it is full, it waits for the server's answers, which are read.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_write(cx))?;
        if self.conversation.client().is_full() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if !self.is_leaving {
            self.is_leaving = true;
            self.conversation.client_mut().leave(&mut self.outgoing);
        }
        ready!(self.poll_write(cx))?;
        if !self.is_shut {
            // From then on nobody is told that they have reached this client.
            ready!(self.poll_settled(cx))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        // Closing with unread bytes resets the connection, and the last messages may be lost with it.
        while ready!(self.incoming.poll_discard(cx, &mut self.stream))? > 0 {}
        Poll::Ready(Ok(()))
    }
}

/// Stands for a connection to a server that did not believe who this is: says so, and ends.
pub(super) struct Refused(Option<ServerOp>);

impl Refused {
    pub(super) fn new(refusal: ServerOp) -> Self {
        Self(Some(refusal))
    }
}

impl Link for Refused {
    type Out = ClientOp;
    type In = ServerOp;

    fn poll_recv(&mut self, _: &mut Context<'_>, into: &mut Vec<ServerOp>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(self.0.take().map(|refusal| into.push(refusal)).ok_or(LinkError::Closed))
    }

    fn feed(&mut self, _: ClientOp) -> Result<(), LinkError> {
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }
}

/// Our own, whatever the server's is: a frozen node is noticed in 45 s.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that does not read for so long is told of in the log.
const LONG_STALL: Duration = Duration::from_secs(1);
/// A server that stops is left from some time within this on.
const MAX_LEAVE_MILLIS: u64 = 2000;
/// Then answers are waited for so long: servers that stop keep their clients for at least 5 s, if they are
/// configured as docs/guide/nats.md recommends.
const MAX_ANSWERS_WAIT: Duration = Duration::from_millis(2500);
/// How long the end of a link may take that ends in order.
const MAX_ENDING: Duration = Duration::from_millis(500);
/// Operations that one read takes at most.
const MAX_RECV_OPS: usize = 256;
/// Bytes that one read takes at most, and the frame that passes the mark.
const MAX_RECV_BYTES: usize = 1024 * 1024;
/// Answers that a server may leave unread.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// A link with this much unflushed is full.
const FULL_BYTES: usize = 1024 * 1024;
