//! What travels, and how it is written down: messages, operations and chunks in memory, then one folder for each language.

pub mod bundle;
pub mod chunk;
pub mod fabric;
pub mod message;
pub mod op;
pub mod run;
pub mod socketio;

pub use bundle::{Bundle, BundleBuilder, can_be_bundled};
pub use chunk::{Reassembly, split};
pub use message::{Encoding, Headers, Json, Message, Payload, SocketCommand};
pub use op::{
    AckId, ClientOp, Info, MessageId, OpError, Publication, Reply, ServerOp, SubscribeStatus, Subscription,
};
pub use run::{Parcel, Part, Run, RunBuilder, push_part};
