//! Operations over something real: asynchronous I/O, no decisions.

pub mod link;

pub use link::{BoxedLink, Link, LinkError};
