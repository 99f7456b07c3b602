//! Values that machines borrow, so that they need no clock, no random source and no timer of their own; the
//! shape of a machine; failures and their codes. Values that machines borrow, so that they need no clock, no
//! random source, no timer and no ledger of their own.

mod code;
mod deadlines;
mod entropy;
mod failure;
mod faults;
mod machine;
mod secret_ids;
mod shares;

pub use code::{Code, CodeValue};
pub use deadlines::{Deadlines, earliest};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use failure::Failure;
pub use faults::{FaultInjector, FaultPoint};
pub use machine::{Chunk, Handle, LinkEvent, LinkInfo, LinkRequest, Machine, Urgent, Weigh};
pub use secret_ids::SecretIds;
pub use shares::Shares;
