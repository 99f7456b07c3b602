//! Bytes to values and back: the messages and operations that every protocol carries, then one folder a
//! protocol.
//!
//! Protocols import `message` only, never each other (`tests/layering`), but for NATS, which carries
//! bodies of our own.

pub mod conat;
pub mod fabric;
pub mod message;
#[cfg(any(feature = "nats", test))]
pub mod nats;
pub mod sockety;

pub(crate) use message::json;
pub use message::{
    ANSWER_GRACE, AckId, Bundle, BundleBuilder, Carrier, Chunk, Claim, ClientOp, Encoding, Form, GatewayWord,
    Headers, Info, Item, ItemRef, Json, LargeMessages, MAX_OWN_ABSENCE, Message, MessageId, Messages,
    OpError, Origin, OriginStamp, PackedBuilder, PackedMessages, Payload, Presence, PresenceChange,
    Publication, Reassembly, Reply, ServerOp, Sizes, SocketCommand, SocketCounts, SocketEndName,
    SocketReport, SocketStateName, SubscribeStatus, Subscription, SubscriptionClass, UpstreamNews,
    UpstreamOp, WatchRequest, can_be_bundled, chunk_id, push_item, split, split_ttl, stream, with_ttl,
};
