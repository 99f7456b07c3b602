//! Values that machines borrow, so that they need no clock, no random source, no timer and no ledger of their
//! own; the shape of a machine; failures and their codes.

mod allowance;
mod code;
mod deadlines;
mod entropy;
mod failure;
mod fair_allowance;
mod faults;
mod few;
mod machine;
mod network;
mod network_numbers;
mod secret_ids;
mod shares;

pub use allowance::Allowance;
pub use code::{Code, CodeValue};
pub use deadlines::{Deadlines, earliest};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use failure::Failure;
pub use fair_allowance::FairAllowance;
pub use faults::{FaultInjector, FaultPoint};
pub use few::Few;
pub use machine::{Chunk, Handle, Lag, LinkEvent, LinkInfo, LinkRequest, Machine, Urgent, Weigh};
pub use network::network_of;
pub use network_numbers::NetworkNumbers;
pub use secret_ids::SecretIds;
pub use shares::{Shares, Tiers};
