//! Events of the engine's side of a pipe, for the application's side.

use bytes::Bytes;

/// One event of a pipe: a connection of the application's own HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipeEvent {
    /// So many bytes of what was brought have been read: there is room for as many.
    Consumed(usize),
    /// Bytes to write.
    Bytes(Bytes),
    /// Nothing more is written or read. The last.
    End,
}
