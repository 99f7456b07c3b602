//! The link itself: a stream, a codec, and the heartbeat.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::base::LinkInfo;
use crate::link::{Flooded, Progress};
use crate::transport::heartbeat_link::{self, HeartbeatLink};
use crate::transport::liveness::TimedLiveness;
use crate::transport::read_buffer::{ReadBuffer, WholeFrame};
use crate::transport::write_buffer::WriteBuffer;
use crate::transport::{BoxedStream, Link, LinkError};
use crate::wire::Carrier;
use crate::wire::fabric::{Codec, DecodeError, Decoded, Frame, frame_length, push_ping, push_pong};

/// One end of a connection whose handshake is through.
pub(super) struct FabricLink<C: Codec> {
    /// The server's name for it, at a client's end.
    id: String,
    carrier: Carrier,
    stream: BoxedStream,
    codec: C,
    liveness: TimedLiveness,
    incoming: ReadBuffer,
    outgoing: WriteBuffer,
    /// Bytes that the stream holds and that cannot be read yet, where it does.
    below: Option<Arc<AtomicUsize>>,
    /// Bytes among those to be written that the peer caused by its requests, not the caller by feeding.
    answers: usize,
    /// Reported once what was read before it is out.
    ended: Option<LinkError>,
    is_shut: bool,
    progress: Progress,
    /// Bytes of the frames that have been read.
    consumed: u64,
}

impl<C: Codec> FabricLink<C> {
    /// Takes over a connection after the handshake; `rest` was read behind
    /// it.
    pub(super) fn new(
        id: String,
        stream: BoxedStream,
        rest: &[u8],
        codec: C,
        liveness: TimedLiveness,
    ) -> Self {
        Self {
            id,
            carrier: Carrier::Own,
            stream,
            codec,
            liveness,
            incoming: ReadBuffer::new(rest),
            outgoing: WriteBuffer::default(),
            below: None,
            answers: 0,
            ended: None,
            is_shut: false,
            progress: Progress::default(),
            consumed: 0,
        }
    }

    /// It is inside something.
    pub(super) fn inside(self, carrier: Carrier) -> Self {
        Self { carrier, ..self }
    }

    /// Has the stream say here how many bytes it holds.
    pub(super) fn over(self, below: Arc<AtomicUsize>) -> Self {
        Self { below: Some(below), ..self }
    }

    fn push(&mut self, op: C::Out) {
        if let Some(payload) = self.codec.encode(op, self.outgoing.gather()) {
            self.outgoing.push(payload);
        }
    }

    /// Tells the frame's length.
    fn handle_frame(&mut self, frame: WholeFrame, into: &mut Vec<C::In>) -> Result<usize, LinkError> {
        let (length, decoded) = match frame {
            WholeFrame::Small(length) => {
                let frame = Frame::Borrowed(&self.incoming.bytes()[..length]);
                let decoded = self.codec.decode(frame, into)?;
                self.incoming.consume(length);
                (length, decoded)
            }
            WholeFrame::Big(bytes) => (bytes.len(), self.codec.decode(Frame::Shared(&bytes), into)?),
        };
        let before = self.outgoing.len();
        self.consumed += length as u64;
        match decoded {
            Decoded::Op => return Ok(length),
            Decoded::Pong => return self.liveness.try_count_pong().map(|()| length).map_err(flooded),
            Decoded::Reply(op) => self.push(op),
            Decoded::Ping => {
                self.liveness.handle_ping();
                push_pong(self.outgoing.gathered());
            }
            Decoded::Idle => {}
        }
        self.liveness.try_count_idle_frame(self.consumed).map_err(flooded)?;
        self.answers += self.outgoing.len() - before;
        if self.answers > MAX_ANSWER_BYTES {
            return Err(LinkError::PeerMisbehaved("asks and does not read answers".into()));
        }
        Ok(length)
    }

    fn end_of_stream(&self) -> LinkError {
        if self.incoming.is_empty() {
            LinkError::Closed
        } else {
            LinkError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "connection cut"))
        }
    }
}

impl<C: Codec> HeartbeatLink for FabricLink<C> {
    fn poll_frames(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Poll<Result<(), LinkError>> {
        let (start, mut bytes) = (into.len(), 0);
        while into.len() - start < MAX_RECV_OPS && bytes < MAX_RECV_BYTES {
            match self.incoming.next(|buffered| frame_length(buffered, self.codec.max_frame()))? {
                Some(frame) => {
                    self.progress.whole += 1;
                    bytes += self.handle_frame(frame, into)?;
                }
                None => {
                    let read = ready!(self.incoming.poll_read(cx, &mut self.stream))?;
                    if read == 0 {
                        return Poll::Ready(Err(self.end_of_stream()));
                    }
                    self.progress.bytes += read as u64;
                    self.liveness.handle_frame();
                }
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
        let before = self.outgoing.len();
        push_ping(self.outgoing.gathered());
        self.liveness.note_ping();
        self.answers += self.outgoing.len() - before;
        Ok(())
    }

    fn has_unflushed_replies(&self) -> bool {
        self.answers > 0
    }

    fn ended(&mut self) -> &mut Option<LinkError> {
        &mut self.ended
    }

    /// Does nothing: the protocol has no word for it.
    fn send_close_reason(&mut self, _: &mut Context<'_>, _: &LinkError) {}
}

impl<C: Codec> Link for FabricLink<C> {
    type Out = C::Out;
    type In = C::In;

    fn info(&self) -> LinkInfo {
        LinkInfo { id: self.id.clone(), wire: self.carrier.name() }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Poll<Result<(), LinkError>> {
        heartbeat_link::poll_recv(self, cx, into)
    }

    fn feed(&mut self, op: C::Out) -> Result<(), LinkError> {
        self.push(op);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.outgoing.len() >= FULL_BYTES
    }

    fn unsent(&self) -> usize {
        self.outgoing.len()
    }

    fn buffered(&self) -> usize {
        let below = self.below.as_ref().map_or(0, |below| below.load(Ordering::Relaxed));
        self.incoming.memory() + self.outgoing.len() + below
    }

    fn mark(&mut self) -> Result<Option<u64>, LinkError> {
        push_ping(self.outgoing.gather());
        Ok(Some(self.liveness.note_ping()))
    }

    fn read_mark(&self) -> u64 {
        self.liveness.pongs()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.outgoing.is_done() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.outgoing.poll_write(cx, &mut self.stream))?;
        self.answers = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_flush(cx))?;
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        // Closing with unread bytes resets the connection, and the last frames may be lost with it.
        while ready!(self.incoming.poll_discard(cx, &mut self.stream))? > 0 {}
        Poll::Ready(Ok(()))
    }
}

fn flooded(_: Flooded) -> LinkError {
    LinkError::PeerMisbehaved("flood of frames without content".into())
}

impl From<DecodeError> for LinkError {
    fn from(error: DecodeError) -> Self {
        Self::PeerMisbehaved(error.to_string())
    }
}

/// Operations that one read takes at most.
const MAX_RECV_OPS: usize = 256;
/// Bytes that one read takes at most, and the frame that passes the mark.
const MAX_RECV_BYTES: usize = 1024 * 1024;
/// Answers that a peer may leave unread.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// A link with this much unflushed is full.
const FULL_BYTES: usize = 1024 * 1024;
