//! The two connections of a gateway to one server, as one link: memberships of queue groups go by one of
//! them, everything else by the other. They end together.

use std::task::{Context, Poll};

use super::link::NatsLink;
use super::moving_link::Movable;
use crate::base::LinkInfo;
use crate::transport::{Link, LinkError};
use crate::wire::nats::{Gateway, Reach};
use crate::wire::{ServerOp, UpstreamNews, UpstreamOp};

pub(super) struct GatewayLink {
    main: NatsLink<Gateway>,
    groups: NatsLink<Gateway>,
    /// Why one of them has ended, while there may be more to read of the other one; and how often that was
    /// read since.
    ended: Option<(LinkError, usize)>,
    /// The memberships are over, in order: the server stops. The other one follows.
    has_left_groups: bool,
    /// There is a link to another server, and nothing more is asked over this one.
    is_replaced: bool,
}

impl GatewayLink {
    pub(super) fn new(main: NatsLink<Gateway>, groups: NatsLink<Gateway>) -> Self {
        Self { main, groups, ended: None, has_left_groups: false, is_replaced: false }
    }

    /// Notes what reading has come to. Returns whether it was anything.
    fn note(&mut self, outcome: Poll<Result<(), LinkError>>) -> bool {
        if let Poll::Ready(Err(error)) = outcome {
            // The first one says more: the other one is closed because of it.
            self.ended.get_or_insert((error, 0));
            return false;
        }
        outcome.is_ready()
    }

    /// Leaves a server that is about to stop: groups first, whose messages cause publications.
    fn poll_departure(&mut self) {
        if self.has_left_groups {
            self.main.end_in_order();
        } else if self.main.is_quiet() || self.is_replaced {
            self.groups.end_in_order();
        }
    }
}

impl Movable for GatewayLink {
    fn is_departure_due(&self) -> bool {
        self.main.is_departure_due() || self.groups.is_departure_due()
    }

    fn depart_alone(&mut self) {
        self.main.depart_alone();
        self.groups.depart_alone();
    }

    fn fits(&self, next: &Self) -> bool {
        self.main.fits(&next.main)
    }

    fn settle(&mut self) {
        self.main.settle();
        self.groups.settle();
    }

    fn is_settled(&self) -> bool {
        self.main.is_settled() && self.groups.is_settled()
    }

    fn repeat(&self, next: &mut Self) {
        self.main.repeat(&mut next.main);
        self.groups.repeat(&mut next.groups);
    }

    fn end_in_order(&mut self) {
        self.is_replaced = true;
    }

    fn adopt(&mut self, old: Self) {
        self.main.adopt(old.main);
        self.groups.adopt(old.groups);
    }

    fn reach(&self, news: &UpstreamNews) -> (Reach, usize) {
        self.main.reach(news)
    }
}

impl Link for GatewayLink {
    type Out = UpstreamOp;
    type In = UpstreamNews;

    fn info(&self) -> LinkInfo {
        self.main.info()
    }

    /// What has come on one of them is out before the end of the other: the server counts it as delivered.
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<UpstreamNews>,
    ) -> Poll<Result<(), LinkError>> {
        let start = into.len();
        loop {
            let main = self.main.poll_recv(cx, into);
            let mut has_moved = self.note(main);
            self.poll_departure();
            let before = into.len();
            if !self.has_left_groups {
                let groups = self.groups.poll_recv(cx, into);
                let is_over = matches!(groups, Poll::Ready(Err(LinkError::Closed)));
                if is_over && self.ended.is_none() && self.groups.is_leaving_server() {
                    (self.has_left_groups, has_moved) = (true, true);
                } else {
                    has_moved |= self.note(groups);
                }
            }
            // What the server is, the other one has said.
            let is_info = |news: &UpstreamNews| matches!(news, UpstreamNews::Op(ServerOp::Info(_)));
            if into[before..].iter().any(is_info) {
                let rest = into.split_off(before);
                into.extend(rest.into_iter().filter(|news| !is_info(news)));
            }
            let has_news = into.len() > start;
            if let Some((_, reads)) = &mut self.ended {
                *reads += 1;
                // A connection that lives on is not read for ever.
                if !has_news || *reads > MAX_LAST_READS {
                    let (error, _) = self.ended.take().unwrap_or((LinkError::Closed, 0));
                    return Poll::Ready(Err(error));
                }
            }
            if has_news {
                return Poll::Ready(Ok(()));
            }
            if !has_moved {
                return Poll::Pending;
            }
        }
    }

    fn feed(&mut self, op: UpstreamOp) -> Result<(), LinkError> {
        match op {
            UpstreamOp::Op(_) => self.main.feed(op),
            // Nobody is a member any more; the next link begins with all memberships.
            UpstreamOp::Join { .. } | UpstreamOp::Leave { .. } if self.has_left_groups => Ok(()),
            UpstreamOp::Join { .. } | UpstreamOp::Leave { .. } => self.groups.feed(op),
        }
    }

    fn is_full(&self) -> bool {
        self.main.is_full() || self.groups.is_full()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let main = self.main.poll_flush(cx)?;
        let groups = self.groups.poll_flush(cx)?;
        both(main, groups)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let main = self.main.poll_close(cx)?;
        let groups = self.groups.poll_close(cx)?;
        both(main, groups)
    }
}

fn both(one: Poll<()>, other: Poll<()>) -> Poll<Result<(), LinkError>> {
    if one.is_ready() && other.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
}

/// How often one connection is read after the end of the other: more than a server leaves in a socket.
const MAX_LAST_READS: usize = 64;
