//! What a link speaks: a client's end of the protocol, or a gateway's.

use std::time::Instant;

use crate::base::Code;
use crate::transport::write_buffer::WriteBuffer;
use crate::wire::nats::{Client, DecodeError, Frame, Gateway, Heard, Reach};
use crate::wire::{ClientOp, ServerOp, UpstreamNews, UpstreamOp};

/// One end of a connection.
pub(super) trait Conversation: Send {
    /// What it sends.
    type Out;
    /// What it receives.
    type In;

    fn handle_op(&mut self, now: Instant, op: Self::Out, out: &mut WriteBuffer);

    fn handle_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        into: &mut Vec<Self::In>,
    ) -> Result<Heard, DecodeError>;

    fn take_ready(&mut self, into: &mut Vec<Self::In>) -> bool;

    /// Tells whoever uses the link that it is about to end in order.
    fn tell_departure(&mut self, into: &mut Vec<Self::In>);

    /// Returns which connections something that was heard comes on, and the bytes of its payload.
    fn reach(&self, news: &Self::In) -> (Reach, usize);

    /// Returns what all ends have in common.
    fn client(&self) -> &Client;

    fn client_mut(&mut self) -> &mut Client;
}

impl Conversation for Client {
    type Out = ClientOp;
    type In = ServerOp;

    fn handle_op(&mut self, now: Instant, op: ClientOp, out: &mut WriteBuffer) {
        self.handle_op(now, op, out);
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        into: &mut Vec<ServerOp>,
    ) -> Result<Heard, DecodeError> {
        self.handle_frame(now, frame, into)
    }

    fn take_ready(&mut self, into: &mut Vec<ServerOp>) -> bool {
        self.take_ready(into)
    }

    fn tell_departure(&mut self, into: &mut Vec<ServerOp>) {
        into.push(stopping());
    }

    fn reach(&self, news: &ServerOp) -> (Reach, usize) {
        (self.reach(news), payload_bytes(news))
    }

    fn client(&self) -> &Client {
        self
    }

    fn client_mut(&mut self) -> &mut Client {
        self
    }
}

impl Conversation for Gateway {
    type Out = UpstreamOp;
    type In = UpstreamNews;

    fn handle_op(&mut self, now: Instant, op: UpstreamOp, out: &mut WriteBuffer) {
        self.handle_op(now, op, out);
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        into: &mut Vec<UpstreamNews>,
    ) -> Result<Heard, DecodeError> {
        self.handle_frame(now, frame, into)
    }

    fn take_ready(&mut self, into: &mut Vec<UpstreamNews>) -> bool {
        self.take_ready(into)
    }

    fn tell_departure(&mut self, into: &mut Vec<UpstreamNews>) {
        into.push(UpstreamNews::Op(stopping()));
    }

    fn reach(&self, news: &UpstreamNews) -> (Reach, usize) {
        let bytes = match news {
            UpstreamNews::Op(op) => payload_bytes(op),
            UpstreamNews::Member { publication, .. } => publication.payload_bytes(),
        };
        (self.reach(news), bytes)
    }

    fn client(&self) -> &Client {
        self.client()
    }

    fn client_mut(&mut self) -> &mut Client {
        self.client_mut()
    }
}

fn payload_bytes(op: &ServerOp) -> usize {
    if let ServerOp::Deliver { publication, .. } = op { publication.payload_bytes() } else { 0 }
}

fn stopping() -> ServerOp {
    let message = "the server of nats is about to stop".to_owned();
    ServerOp::Closing { code: Code::Draining.to_string(), message }
}
