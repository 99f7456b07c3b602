//! What an upstream tells its broker.

use super::super::PeerId;
use crate::subject::{Pattern, Subject};
use crate::wire::{AckId, ClientOp, OpError, Publication, Reply};

/// What has come of it.
#[derive(Debug)]
pub(in crate::broker) enum UpstreamEvent {
    /// A client is to get an answer.
    Answer(PeerId, AckId, Reply),
    /// The same for a publish that is counted.
    Counted(Counted, Reply),
    /// A pattern may not be subscribed to, or not any more.
    Refused { peers: Vec<PeerId>, pattern: Pattern, error: OpError },
    /// A member of a group gets what is published to its pattern from now on.
    Joined(Pattern),
    /// A message for the local subscribers of a pattern.
    Deliver(Pattern, Publication),
    /// A message for one of them.
    DeliverTo(PeerId, Pattern, Publication),
    /// A message for a member of a group who has left: for another one, if there is one here.
    DeliverToGroup { pattern: Pattern, queue: std::sync::Arc<str>, publication: Publication },
    /// Somebody listens there, or nobody for as long as that was asked.
    Interest(Subject, bool),
    /// Whether a client that is gone here may be elsewhere.
    Elsewhere(Subject, bool),
    /// A gateway has ended: what was asked of the client with this inbox is not answered, unless it is
    /// elsewhere by now. Without one nobody else has it.
    Unanswered(Option<Pattern>, Vec<Subject>),
    /// Who is beyond is out of reach, or is not any more.
    Severed(bool),
    /// Nobody may ask whether somebody listens there.
    InterestRefused(Subject, OpError),
    /// Nothing more comes for what a client unsubscribes from in order.
    Drained(PeerId, ClientOp),
    /// It is ready. What was held is to be done now.
    Ready(Vec<(PeerId, ClientOp)>),
    /// Clients that publish may be read from again.
    HasRoom(Vec<PeerId>),
}

/// What a publish that is counted becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::broker) struct Counted {
    pub(in crate::broker) peer: PeerId,
    pub(in crate::broker) ack: AckId,
    pub(in crate::broker) subject: Subject,
    /// Receivers here.
    pub(in crate::broker) local: u64,
    /// Its receiver answers: an answer tells nothing that is not known without it.
    pub(in crate::broker) has_reply: bool,
    /// Its client is only told if it has no receiver.
    pub(in crate::broker) is_request: bool,
}
