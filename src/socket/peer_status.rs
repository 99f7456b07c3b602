//! What is known of the peer of a socket.

/// The state of the peer, by its reply or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerStatus {
    Alive,
    /// It gave no sign of life.
    Silent,
    /// It is not on the fabric.
    Gone,
    /// It has forgotten what we lack.
    Lost,
    /// It belongs to a later incarnation of this socket.
    Superseded,
}
