//! Memory usage of one socket: for checks of its bounds.

/// Counts and payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketUsage {
    /// Messages written and not acknowledged: at most `max_queue`.
    pub unacked: usize,
    /// Their bytes.
    pub unacked_bytes: usize,
    /// Messages that came before their turn: at most `max_queue`, and the next one.
    pub out_of_order: usize,
    /// Their bytes.
    pub out_of_order_bytes: usize,
    /// Bytes of the message in pieces that is not whole.
    pub partial_bytes: usize,
    /// Messages handed over and not handled: at most max(`max_queue`, 10 000).
    pub unconsumed: u64,
    /// Requests of the application that wait for the socket to get ready: at most 10 000.
    pub requests: usize,
    /// Outputs that have not been fetched.
    pub outputs: usize,
}
