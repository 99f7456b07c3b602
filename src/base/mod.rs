//! Values that machines borrow, so that they need no clock, no random source and no timer of their own; the
//! shape of a machine; failures and their codes.

mod code;
mod deadlines;
mod entropy;
mod failure;
mod faults;
mod machine;

pub use code::{Code, CodeValue};
pub use deadlines::{Deadlines, earliest};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use failure::Failure;
pub use faults::{FaultInjector, FaultPoint};
pub use machine::{Chunk, Handle, LinkEvent, LinkInfo, LinkRequest, Machine, Urgent, Weigh};
