//! What an end of a socket tells its broker of itself, for those who look into the broker.

use serde::{Deserialize, Serialize};

/// The numbers of one end. In JSON an array, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct SocketReport {
    /// Which end of the socket.
    pub end: SocketEndName,
    /// The socket's id.
    pub id: String,
    /// What it is connected to.
    pub subject: String,
    /// Its state; of one that is closed nothing more is told.
    pub state: SocketStateName,
    /// What has become of its messages.
    pub counts: SocketCounts,
}

/// The end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum SocketEndName {
    Client,
    Server,
}

/// The state of a socket, as applications know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum SocketStateName {
    Connecting,
    Ready,
    Disconnected,
    Closed,
}

/// Counters and window of one end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// Messages written.
    pub sent: u64,
    /// Messages handed to the application.
    pub received: u64,
    /// Messages written and not acknowledged.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Messages sent again.
    pub resent: u64,
}

#[derive(Serialize, Deserialize)]
struct Row(SocketEndName, String, String, SocketStateName, u64, u64, u64, u64, u64);

impl From<Row> for SocketReport {
    fn from(Row(end, id, subject, state, sent, received, pending, pending_bytes, resent): Row) -> Self {
        let counts = SocketCounts { sent, received, pending, pending_bytes, resent };
        Self { end, id, subject, state, counts }
    }
}

impl From<SocketReport> for Row {
    fn from(SocketReport { end, id, subject, state, counts }: SocketReport) -> Self {
        let SocketCounts { sent, received, pending, pending_bytes, resent } = counts;
        Self(end, id, subject, state, sent, received, pending, pending_bytes, resent)
    }
}
