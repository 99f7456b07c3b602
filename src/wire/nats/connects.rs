//! Questions for sockets that wait until their own subscription is confirmed. A server of NATS says that it
//! refuses that when it has passed on what follows: whoever got the question would have a connection with
//! nobody.

use std::collections::HashMap;
use std::sync::Arc;

use crate::wire::message::{AckId, Publication};

#[derive(Debug, Default)]
pub(super) struct Connects {
    /// Ends of sockets that are being subscribed to, and what waits for that.
    ends: HashMap<Arc<str>, Vec<Connect>>,
    waiting: usize,
    due: Vec<Connect>,
}

/// A question, and what a publication has beside itself.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) ack: Option<AckId>,
    pub(super) publication: Publication,
    pub(super) is_request: bool,
}

impl Connects {
    /// Takes note of what is being subscribed to.
    pub(super) fn expect(&mut self, pattern: &Arc<str>) {
        if pattern.contains(".client.") {
            self.ends.entry(pattern.clone()).or_default();
        }
    }

    /// Keeps a question; returns it if there is nothing that it should wait for.
    pub(super) fn hold(&mut self, connect: Connect) -> Option<Connect> {
        let end = connect.publication.connecting_end().filter(|_| !self.ends.is_empty());
        match end.and_then(|end| self.ends.get_mut(end.as_str())) {
            Some(waiting) => {
                waiting.push(connect);
                self.waiting += 1;
                None
            }
            None => Some(connect),
        }
    }

    /// A subscription is confirmed, or refused. Returns those that are asked in vain.
    pub(super) fn settle(&mut self, pattern: &str, is_there: bool) -> Vec<AckId> {
        let Some(waiting) = self.ends.remove(pattern) else { return Vec::new() };
        self.waiting -= waiting.len();
        if is_there {
            self.due.extend(waiting);
            return Vec::new();
        }
        waiting.into_iter().filter_map(|connect| connect.ack).collect()
    }

    /// Returns whether some are to be asked now.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Takes those that are to be asked now.
    pub(super) fn take_due(&mut self) -> Vec<Connect> {
        std::mem::take(&mut self.due)
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.waiting + self.due.len()
    }
}
