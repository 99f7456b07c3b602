//! What every protocol carries: messages, the operations around them, chunks of big ones and bundles of small
//! ones.
//!
//! Rules that hold for all protocols live here, such as the limit of a message's headers. Protocols import
//! nothing else of `wire`.

mod bundle;
mod carrier;
pub mod chunk;
mod gateway_word;
pub mod headers;
pub(crate) mod json;
mod op;
pub mod packed;
mod payload;
mod presence;
mod socket_report;
pub mod stream;
mod ttl;
mod upstream;

pub use bundle::{Bundle, BundleBuilder, can_be_bundled};
pub use carrier::Carrier;
pub use chunk::{Reassembly, chunk_id, split};
pub use gateway_word::GatewayWord;
pub use headers::{
    Further, FurtherHeaders, Headers, MAX_HEADERS_BYTES, MAX_HEADERS_DEPTH, Origin, OriginStamp,
    SocketCommand,
};
pub use op::{
    AckId, Chunk, Claim, ClientOp, ENDED_UNANSWERED, Form, Info, LargeMessages, MessageId, OpError,
    Publication, Reply, ServerOp, SubscribeStatus, Subscription, SubscriptionClass, TOO_LARGE,
};
pub use packed::{Item, ItemRef, Messages, PackedBuilder, PackedMessages, Sizes, push_item};
pub(in crate::wire) use payload::is_depth_within;
pub use payload::{Encoding, Json, Payload};
pub use presence::{ANSWER_GRACE, MAX_OWN_ABSENCE, Presence, PresenceChange, WatchRequest};
pub use socket_report::{SocketCounts, SocketEndName, SocketReport, SocketStateName};
pub use ttl::{split_ttl, with_ttl};
pub use upstream::{UpstreamNews, UpstreamOp};

use crate::subject::Subject;

/// One whole message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where it was published.
    pub subject: Subject,
    /// The payload.
    pub payload: Payload,
    /// The headers.
    pub headers: Headers,
}

impl Message {
    /// Returns about how many bytes it takes beside its own place: payload, headers and names.
    pub fn bytes(&self) -> usize {
        self.payload.raw.len() + self.headers.bytes() + self.subject.as_str().len()
    }
}
