//! The counters of a socket that its state machines keep; JavaScript counts the rest.

/// What a socket has counted since it was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// Messages sent a second time, or a third.
    pub resent: u64,
    /// Messages that were here already.
    pub duplicates: u64,
    /// Messages that were not from the peer, or that it could not have sent: ignored.
    pub foreign: u64,
}
