//! A gateway's end of one of its connections: what a client has, and memberships of queue groups, each with a
//! number of its own.

use std::time::Instant;

use super::commands::Sink;
use super::frame::{Frame, ServerFrame};
use super::{Client, DecodeError, Heard, Reach, ServerInfo};
use crate::wire::message::{ServerOp, UpstreamNews, UpstreamOp};

/// One connection, signed in. Drain [`Self::take_ready`] after every call.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    /// Used again for every frame.
    ops: Vec<ServerOp>,
}

impl Gateway {
    /// Returns the end of a connection to this server.
    pub fn new(info: ServerInfo) -> Self {
        Self { client: Client::of_gateway(info), ops: Vec::new() }
    }

    /// Returns what it has in common with a client's.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the same, to be changed.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Sends an operation.
    pub fn handle_op(&mut self, now: Instant, op: UpstreamOp, out: &mut impl Sink) {
        match op {
            UpstreamOp::Op(op) => self.client.handle_op(now, op, out),
            UpstreamOp::Join { ack, member, pattern, queue } => {
                self.client.join(out, (ack, FIRST_MEMBER + member), &pattern, &queue);
            }
            UpstreamOp::Leave { ack, member } => {
                self.client.end_membership(out, ack, FIRST_MEMBER + member);
            }
        }
    }

    /// Reads one whole frame; appends what it means to `into`.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        into: &mut Vec<UpstreamNews>,
    ) -> Result<Heard, DecodeError> {
        let read = ServerFrame::read(frame.bytes())?;
        if let ServerFrame::Message(delivery) = &read
            && let Some(member) = delivery.sid.checked_sub(FIRST_MEMBER)
        {
            let publication = self.client.read(delivery, frame);
            into.extend(publication.map(|publication| UpstreamNews::Member { member, publication }));
            return Ok(Heard::Op);
        }
        let heard = self.client.handle_read(now, read, frame, &mut self.ops);
        into.extend(self.ops.drain(..).map(UpstreamNews::Op));
        heard
    }

    /// Returns which connections something comes on.
    pub fn reach(&self, news: &UpstreamNews) -> Reach {
        match news {
            UpstreamNews::Op(op) => self.client.reach(op),
            UpstreamNews::Member { .. } => Reach::Share,
        }
    }

    /// Appends what is known without the server. Returns whether there was anything.
    pub fn take_ready(&mut self, into: &mut Vec<UpstreamNews>) -> bool {
        let has_any = self.client.take_ready(&mut self.ops);
        into.extend(self.ops.drain(..).map(UpstreamNews::Op));
        has_any
    }
}

/// Numbers from here on are memberships'; those below, which are counted up, are the client's.
const FIRST_MEMBER: u64 = 1 << 48;
