//! The settings of an upstream, and what is told of it.

use super::super::Volume;
use crate::base::Failure;

/// Settings of a broker that is a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Clients may use subjects that begin with `$`, `_R_` or `_GR_`: NATS takes some of them for commands.
    /// Default false.
    pub allows_reserved: bool,
}

/// How far the connection has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamState {
    /// It is being made, for the first time or again. The reason why it was lost, or could not be had.
    Connecting(Option<Failure>),
    /// All that clients want is subscribed to there.
    Ready,
}

/// The numbers of an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpstreamStats {
    /// Whether it is ready.
    pub is_ready: bool,
    /// Whether it has been away for so long that clients are better off elsewhere.
    pub is_overdue: bool,
    /// Patterns that are subscribed to there.
    pub patterns: usize,
    /// Memberships of queue groups there.
    pub members: usize,
    /// Chunks sent there, so far.
    pub sent: Volume,
    /// Chunks that came from there, so far.
    pub received: Volume,
    /// Messages that were dropped, so far: for whoever listens elsewhere, because it was away; and from
    /// there, because the member of a group that NATS had chosen had just left, and no other one was here.
    pub lost: u64,
    /// Operations that wait until it is back.
    pub held: usize,
}
