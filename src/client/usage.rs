//! What a client keeps in memory: for checks of its bounds.

/// Counts; all but the patterns are 0 once the client is closed and drained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientUsage {
    /// Open requests.
    pub requests: usize,
    /// Acknowledgements that the broker owes.
    pub acks: usize,
    /// Patterns with members.
    pub patterns: usize,
    /// Bytes of messages that have come in part.
    pub partial_bytes: usize,
    /// Operations and events that have not been fetched.
    pub outputs: usize,
}
