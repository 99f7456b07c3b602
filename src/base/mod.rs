//! Values that machines borrow, so that they need no clock, no random source and no timer of their own.

mod deadlines;
mod entropy;
mod faults;

pub use deadlines::Deadlines;
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use faults::{FaultInjector, FaultPoint};
