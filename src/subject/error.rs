//! Why a name was refused. The texts are Conat's own; programs match on them.

use std::fmt;

use crate::base::{Code, Failure};

/// A string that is no subject, or no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSubject {
    /// Not a name that one can publish to.
    Publish(String),
    /// Not a pattern that one can subscribe to.
    Subscribe(String),
}

impl fmt::Display for InvalidSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(text) => write!(f, "invalid publish subject {text}"),
            Self::Subscribe(text) => write!(f, "invalid subscribe subject '{text}'"),
        }
    }
}

impl std::error::Error for InvalidSubject {}

impl From<InvalidSubject> for Failure {
    fn from(error: InvalidSubject) -> Self {
        Self::new(Code::InvalidSubject, error)
    }
}
