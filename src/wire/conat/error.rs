//! Why a conversation in Conat's language ends.

use std::fmt;

/// What a codec found that ends this one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The peer said goodbye.
    Disconnected,
    /// The server does not take us, in its own words.
    Refused(String),
    /// The peer broke the rules. Says which one and quotes nothing, so that it can be logged as it is.
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
