//! The two connections of a gateway to one server, as one link: memberships of queue groups go by one of
//! them, everything else by the other. They end together.

use std::task::{Context, Poll};

use super::link::NatsLink;
use crate::base::LinkInfo;
use crate::transport::{Link, LinkError};
use crate::wire::nats::Gateway;
use crate::wire::{ServerOp, UpstreamNews, UpstreamOp};

pub(super) struct GatewayLink {
    main: NatsLink<Gateway>,
    groups: NatsLink<Gateway>,
}

impl GatewayLink {
    pub(super) fn new(main: NatsLink<Gateway>, groups: NatsLink<Gateway>) -> Self {
        Self { main, groups }
    }
}

impl Link for GatewayLink {
    type Out = UpstreamOp;
    type In = UpstreamNews;

    fn info(&self) -> LinkInfo {
        self.main.info()
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<UpstreamNews>,
    ) -> Poll<Result<(), LinkError>> {
        let start = into.len();
        loop {
            let main = self.main.poll_recv(cx, into)?;
            let before = into.len();
            let groups = self.groups.poll_recv(cx, into)?;
            // What the server is, the other one has said.
            let is_info = |news: &UpstreamNews| matches!(news, UpstreamNews::Op(ServerOp::Info(_)));
            if into[before..].iter().any(is_info) {
                let rest = into.split_off(before);
                into.extend(rest.into_iter().filter(|news| !is_info(news)));
            }
            if into.len() > start {
                return Poll::Ready(Ok(()));
            }
            if main.is_pending() && groups.is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn feed(&mut self, op: UpstreamOp) -> Result<(), LinkError> {
        match op {
            UpstreamOp::Op(_) => self.main.feed(op),
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
