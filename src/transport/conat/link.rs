//! The link itself: a WebSocket, a codec, and the heartbeat.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::frames::message;
use crate::base::LinkInfo;
use crate::link::{Flooded, Progress};
use crate::transport::heartbeat_link::{self, HeartbeatLink};
use crate::transport::liveness::TimedLiveness;
use crate::transport::websocket::{FULL_BYTES, Socket, failure};
use crate::transport::{Link, LinkError};
use crate::wire::Carrier;
use crate::wire::conat::{Codec, EnginePacket, Frames};

/// One end of a connection whose handshake is through.
pub(super) struct ConatLink<C: Codec> {
    /// The server's name for it, at a client's end.
    id: String,
    socket: Socket,
    codec: C,
    liveness: TimedLiveness,
    frames: Frames,
    /// Bytes given to the socket since everything was last flushed.
    unflushed: usize,
    /// Those of them that the peer caused by asking, not the caller by feeding.
    answers: usize,
    /// Reported once what was read before it is out.
    ended: Option<LinkError>,
    /// Packets that came with all their attachments.
    whole: u64,
    /// Bytes that had come when the last one was whole.
    whole_at: u64,
    /// Bytes of the frames that have been read.
    consumed: u64,
}

impl<C: Codec> ConatLink<C> {
    /// Takes over a WebSocket after the handshake.
    pub(super) fn new(id: String, socket: Socket, codec: C, liveness: TimedLiveness) -> Self {
        let frames = Frames::default();
        let (unflushed, answers, ended, whole, whole_at, consumed) = (0, 0, None, 0, 0, 0);
        Self { id, socket, codec, liveness, frames, unflushed, answers, ended, whole, whole_at, consumed }
    }

    fn handle_text(&mut self, text: &str, into: &mut Vec<C::In>) -> Result<(), LinkError> {
        match EnginePacket::parse(text)? {
            EnginePacket::Message(packet) => self.codec.handle_text(packet, into, &mut self.frames)?,
            EnginePacket::Ping(payload) => {
                self.handle_idle_frame()?;
                self.liveness.handle_ping();
                self.frames.push_text(|out| {
                    out.put_u8(b'3');
                    // Only a probe has a payload, and it is short.
                    out.put_slice(if payload.len() <= MAX_PING_BYTES { payload.as_bytes() } else { b"" });
                });
            }
            EnginePacket::Pong(_) => self.liveness.try_count_pong().map_err(flooded)?,
            EnginePacket::Noop => self.handle_idle_frame()?,
            EnginePacket::Close => return Err(LinkError::Closed),
            EnginePacket::Open(_) | EnginePacket::Upgrade => {
                return Err(LinkError::PeerMisbehaved("engine.io packet that does not belong here".into()));
            }
        }
        Ok(())
    }

    fn handle_idle_frame(&mut self) -> Result<(), LinkError> {
        self.liveness.try_count_idle_frame(self.consumed).map_err(flooded)
    }

    /// Hands the codec's frames to the socket, which buffers them. Returns their size.
    fn send_frames(&mut self) -> Result<usize, LinkError> {
        let before = self.unflushed;
        while let Some(frame) = self.frames.pop() {
            self.unflushed += frame.len() + FRAME_OVERHEAD_BYTES;
            Pin::new(&mut self.socket).start_send(message(frame)?).map_err(failure)?;
        }
        Ok(self.unflushed - before)
    }
}

impl<C: Codec> HeartbeatLink for ConatLink<C> {
    fn poll_frames(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Poll<Result<(), LinkError>> {
        let (start, mut bytes) = (into.len(), 0);
        while into.len() - start < MAX_RECV_OPS && bytes < MAX_RECV_BYTES {
            let frame = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Err(LinkError::Closed)),
                Poll::Ready(Some(frame)) => frame.map_err(failure)?,
            };
            self.liveness.handle_frame();
            bytes += frame.len();
            self.consumed += frame.len() as u64;
            match frame {
                Message::Text(text) => self.handle_text(text.as_str(), into)?,
                Message::Binary(bytes) => self.codec.handle_binary(bytes, into, &mut self.frames)?,
                Message::Close(_) => return Poll::Ready(Err(LinkError::Closed)),
                // Counted below, and answered there.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            }
            if !self.codec.awaits_attachments() {
                self.whole += 1;
                self.whole_at = self.socket.get_ref().bytes();
            }
            if !self.frames.is_empty() {
                self.answers += self.send_frames()?;
            }
            if self.answers > MAX_ANSWER_BYTES {
                return Poll::Ready(Err(LinkError::PeerMisbehaved("asks and does not read answers".into())));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn liveness(&mut self) -> &mut TimedLiveness {
        &mut self.liveness
    }

    fn progress(&self) -> Progress {
        let stream = self.socket.get_ref();
        Progress {
            whole: self.whole,
            bytes: stream.bytes(),
            is_mid_message: stream.is_mid_message() || self.codec.awaits_attachments(),
        }
    }

    fn ping(&mut self) -> Result<(), LinkError> {
        self.frames.push_text(|out| out.put_u8(b'2'));
        self.liveness.note_ping();
        self.answers += self.send_frames()?;
        Ok(())
    }

    fn has_unflushed_replies(&self) -> bool {
        self.answers > 0
    }

    fn ended(&mut self) -> &mut Option<LinkError> {
        &mut self.ended
    }

    fn send_close_reason(&mut self, cx: &mut Context<'_>, error: &LinkError) {
        if let LinkError::PeerMisbehaved(_) = error {
            // Unless it broke the rules of WebSocket, and has been told already.
            self.socket.fail(cx, CloseCode::Policy, "protocol error");
        }
        let _ = Pin::new(&mut self.socket).poll_flush(cx);
    }
}

impl<C: Codec> Link for ConatLink<C> {
    type Out = C::Out;
    type In = C::In;

    fn info(&self) -> LinkInfo {
        LinkInfo { id: self.id.clone(), wire: Carrier::Conat.name() }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<C::In>) -> Poll<Result<(), LinkError>> {
        heartbeat_link::poll_recv(self, cx, into)
    }

    fn feed(&mut self, op: C::Out) -> Result<(), LinkError> {
        self.codec.encode(op, &mut self.frames);
        self.send_frames().map(drop)
    }

    fn is_full(&self) -> bool {
        self.unflushed >= FULL_BYTES
    }

    fn unsent(&self) -> usize {
        self.unflushed
    }

    fn buffered(&self) -> usize {
        let stream = self.socket.get_ref();
        let incoming = if self.progress().is_mid_message { stream.bytes() - self.whole_at } else { 0 };
        usize::try_from(incoming).unwrap_or(usize::MAX).saturating_add(self.unflushed)
    }

    fn mark(&mut self) -> Result<Option<u64>, LinkError> {
        self.frames.push_text(|out| out.put_u8(b'2'));
        self.send_frames()?;
        Ok(Some(self.liveness.note_ping()))
    }

    fn read_mark(&self) -> u64 {
        self.liveness.pongs()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.unflushed == 0 {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.socket).poll_flush(cx).map_err(failure);
        if let Poll::Ready(Ok(())) = flushed {
            (self.unflushed, self.answers) = (0, 0);
        }
        flushed
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // No Socket.IO disconnect packet: its own clients take that for an order never to come back.
        self.socket.poll_leave(cx).map_err(failure)
    }
}

fn flooded(_: Flooded) -> LinkError {
    LinkError::PeerMisbehaved("flood of control frames".into())
}

/// Operations that one read takes at most (a frame may add one more).
const MAX_RECV_OPS: usize = 256;
/// Bytes that one read takes at most, and the frame that passes the mark.
const MAX_RECV_BYTES: usize = 1024 * 1024;
/// Answers that a peer may leave unread: errors, pongs, acknowledgements of `info`.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Longest ping that is echoed.
const MAX_PING_BYTES: usize = 125;
/// A WebSocket header at its longest.
const FRAME_OVERHEAD_BYTES: usize = 14;
