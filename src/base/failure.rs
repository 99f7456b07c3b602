//! Why something failed, as the application sees it.

use std::fmt;

use super::Code;

/// A failure: a code for programs, a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What programs match on.
    pub code: Code,
    /// In words.
    pub message: String,
}

impl Failure {
    /// Creates a failure of this code.
    pub fn new(code: Code, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
