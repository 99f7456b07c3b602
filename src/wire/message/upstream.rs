//! The operations between a broker and a fabric above it, of which it is a gateway.

use std::sync::Arc;

use super::{AckId, ClientOp, Publication, ServerOp};
use crate::subject::Pattern;

/// From a gateway to the fabric above.
#[derive(Debug, Clone, PartialEq)]
pub enum UpstreamOp {
    /// What any client may want. What is published does not come back.
    Op(ClientOp),
    /// Makes a member of a queue group, which also gets what this gateway publishes. Answered with
    /// [`super::Reply::Subscribed`], of one status.
    Join {
        /// Its acknowledgement.
        ack: AckId,
        /// Names the membership. Used once.
        member: u64,
        /// The pattern.
        pattern: Pattern,
        /// The group.
        queue: Arc<str>,
    },
    /// Ends a membership. Answered with [`super::Reply::Unsubscribed`], behind the last delivery.
    Leave {
        /// Its acknowledgement.
        ack: AckId,
        /// The membership.
        member: u64,
    },
}

/// From the fabric above to a gateway.
#[derive(Debug, Clone, PartialEq)]
pub enum UpstreamNews {
    /// What any client may hear.
    Op(ServerOp),
    /// A message for one member of a queue group.
    Member {
        /// The membership.
        member: u64,
        /// The message.
        publication: Publication,
    },
}
