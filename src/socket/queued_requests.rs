//! Requests of the application that wait for their socket to get ready: bounded, and each with its deadline.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Output, RequestFailure};

/// Tickets, oldest first.
#[derive(Debug, Default)]
pub(super) struct QueuedRequests {
    tickets: VecDeque<(u32, Instant)>,
}

impl QueuedRequests {
    pub(super) fn push(&mut self, ticket: u32, deadline: Instant) -> Result<(), RequestFailure> {
        if self.tickets.len() >= MAX_PENDING {
            return Err(RequestFailure::Full);
        }
        self.tickets.push_back((ticket, deadline));
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.tickets.len()
    }

    pub(super) fn pop(&mut self) -> Option<u32> {
        self.tickets.pop_front().map(|(ticket, _)| ticket)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.tickets.iter().map(|(_, deadline)| *deadline).min()
    }

    /// Fails those whose time is over.
    pub(super) fn expire(&mut self, now: Instant, outputs: &mut VecDeque<Output>) {
        self.tickets.retain(|&(ticket, deadline)| {
            if deadline <= now {
                outputs.push_back(Output::FailRequest(ticket, RequestFailure::Timeout));
            }
            deadline > now
        });
    }

    /// Fails all.
    pub(super) fn fail_all(&mut self, outputs: &mut VecDeque<Output>, failure: RequestFailure) {
        outputs.extend(self.tickets.drain(..).map(|(ticket, _)| Output::FailRequest(ticket, failure)));
    }
}

/// Requests that may wait on one socket.
const MAX_PENDING: usize = 10_000;
