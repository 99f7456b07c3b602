//! Why a connection in Conat's protocol ends.

use std::fmt;

/// An error that ends this one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The peer disconnected.
    Disconnected,
    /// The server does not take us, in its own words.
    Refused(String),
    /// The peer broke this rule. Quotes nothing of it, so that it can be logged as it is.
    Misbehaved(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("disconnected by the other end"),
            Self::Refused(what) => write!(f, "refused: {what}"),
            Self::Misbehaved(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for DecodeError {}
