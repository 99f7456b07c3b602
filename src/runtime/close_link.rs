//! Closes a link in the steps of `link::OrderlyClose`.

use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::link::{OrderlyClose, Step};
use crate::transport::timer::{Timer, now};
use crate::transport::{BoxedLink, LinkError};

/// Sends `rest`, closes the link, and drops it.
pub(super) async fn close_link<Out, In>(
    mut link: BoxedLink<Out, In>,
    rest: Vec<Out>,
    mut closing: OrderlyClose,
) {
    let mut rest = rest.into_iter().peekable();
    let mut timer = Timer::default();
    let is_taken = poll_fn(|cx| {
        loop {
            // What follows a deadline may have one of its own.
            while timer.poll(cx, closing.poll_timeout()).is_ready() {
                closing.handle_timeout(now());
            }
            let outcome = match closing.step() {
                Step::Flush => poll_feed(&mut link, &mut rest, cx)
                    .map(|flushed| flushed.map(|()| closing.handle_flushed(now()))),
                Step::Close => link.poll_close(cx).map(|closed| closed.map(|()| closing.handle_closed())),
                Step::Wait => Poll::Pending,
                Step::Done => return Poll::Ready(true),
                Step::GiveUp => return Poll::Ready(false),
            };
            match outcome {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => closing.handle_failure(),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    if !is_taken {
        tracing::debug!("the other end did not take what was sent last");
    }
}

/// Feeds and flushes `rest`; ready when that is done.
fn poll_feed<Out, In>(
    link: &mut BoxedLink<Out, In>,
    rest: &mut impl Iterator<Item = Out>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), LinkError>> {
    loop {
        let mut is_all = false;
        while !is_all && !link.is_full() {
            match rest.next() {
                Some(output) => link.feed(output)?,
                None => is_all = true,
            }
        }
        let flushed = link.poll_flush(cx)?;
        if is_all || !link.is_full() {
            std::task::ready!(flushed);
        } else {
            // The other end may have to settle what it has first. What is read is for nobody.
            if link.poll_recv(cx, &mut Vec::new())?.is_ready() {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        if is_all {
            return Poll::Ready(Ok(()));
        }
    }
}
