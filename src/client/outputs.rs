//! What the parts of a client produce: operations for the broker, with the acknowledgements awaited for
//! them, and events.

use std::collections::VecDeque;

use super::ClientEvent;
use super::acks::{Acks, Awaited};
use super::outbound::Outbound;
use crate::wire::{AckId, ClientOp};

#[derive(Debug)]
pub(super) struct Outputs<T> {
    pub(super) ops: Outbound,
    pub(super) acks: Acks,
    pub(super) events: VecDeque<ClientEvent<T>>,
}

impl<T> Outputs<T> {
    /// Returns an empty set of outputs.
    pub(super) fn new(ops: Outbound) -> Self {
        Self { ops, acks: Acks::default(), events: VecDeque::new() }
    }

    /// Reports an event.
    pub(super) fn emit(&mut self, event: ClientEvent<T>) {
        self.events.push_back(event);
    }

    /// Queues an operation that is to be acknowledged.
    pub(super) fn push_awaiting(&mut self, awaited: Awaited, op: impl FnOnce(AckId) -> ClientOp) {
        let ack = self.acks.expect(awaited);
        self.ops.push(op(ack));
    }

    /// Returns how many operations and events have not been fetched.
    pub(super) fn len(&self) -> usize {
        self.ops.len() + self.events.len()
    }
}
