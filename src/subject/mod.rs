//! Names on the fabric: subjects, patterns with wildcards, and the table that finds every pattern a subject
//! matches.

mod awaited;
mod error;
mod interest;
mod pattern;
mod routes;
mod shape;
#[expect(clippy::module_inception, reason = "the file is named after its type, as everywhere")]
mod subject;

pub use awaited::Awaited;
pub use error::InvalidSubject;
pub use interest::Interest;
pub use pattern::Pattern;
pub use routes::Route;
pub use shape::Shape;
pub use subject::Subject;

/// Longest subject or pattern in bytes. A bound for memory and matching time, far above any real name.
pub const MAX_SUBJECT_BYTES: usize = 8 * 1024;

/// Most tokens in a subject or pattern: bounds the depth of the trie, and with it the stack that a walk
/// needs.
pub const MAX_SUBJECT_TOKENS: usize = 512;
