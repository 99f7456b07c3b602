//! A stream whose incoming frames are counted on their way to the WebSocket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::meter::{Meter, TooManyFragments};
use crate::link::FloodMeter;
use crate::transport::link::misbehaved;
use crate::transport::stream::BoxedStream;
use crate::transport::timer::now;

/// Fails to read if the peer cuts its messages into tiny fragments, or floods us with control frames.
pub(in crate::transport) struct Metered {
    stream: BoxedStream,
    meter: Meter,
    light_frames: FloodMeter,
}

impl Metered {
    /// Returns a metered stream; `rest` was read already.
    pub(super) fn new(stream: BoxedStream, rest: &[u8]) -> io::Result<Self> {
        let mut meter = Meter::default();
        meter.feed(rest).map_err(cut_to_crumbs)?;
        Ok(Self { stream, meter, light_frames: FloodMeter::new(now(), MAX_LIGHT_FRAMES, PERIOD) })
    }

    /// Returns whether a message has begun and is not over.
    pub(in crate::transport) fn is_mid_message(&self) -> bool {
        self.meter.is_mid_message()
    }

    /// Returns the number of bytes that have arrived.
    pub(in crate::transport) fn bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// Reads and drops what comes, without a look at it. Returns how much that was.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut dropped = [0; DISCARDED_BYTES];
        let mut into = ReadBuf::new(&mut dropped);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
        Poll::Ready(Ok(into.filled().len()))
    }

    fn count_light_frames(&mut self) -> io::Result<()> {
        match self.meter.take_light() {
            0 => Ok(()),
            light => {
                self.light_frames.try_count(now(), light).map_err(|flooded| misbehaved(flooded.to_string()))
            }
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        self.meter.feed(&into.filled()[before..]).map_err(cut_to_crumbs)?;
        Poll::Ready(self.count_light_frames())
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn cut_to_crumbs(TooManyFragments: TooManyFragments) -> io::Error {
    misbehaved("message in too many fragments")
}

/// Dropped at once.
const DISCARDED_BYTES: usize = 4096;
/// Over which light frames are counted, at least.
const PERIOD: Duration = Duration::from_secs(25);
/// Light frames in a period. An honest peer sends one or two.
const MAX_LIGHT_FRAMES: u32 = 1000;
