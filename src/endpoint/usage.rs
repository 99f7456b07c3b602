//! Memory usage of an endpoint: for checks of bounds, and that nothing stays behind.

/// Counts. All are 0 once the endpoint is closed and drained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointUsage {
    /// Open sockets.
    pub sockets: usize,
    /// Open listeners.
    pub listeners: usize,
    /// Clients that listeners wait for.
    pub arriving: usize,
    /// Ends that are watched.
    pub watches: usize,
    /// Deadlines of sockets.
    pub timers: usize,
    /// Requests over sockets that have not left, and subscriptions whose confirmation is awaited.
    pub requests: usize,
    /// Requests to the fabric, of the application and of sockets.
    pub operations: usize,
    /// Acknowledgements that the broker owes.
    pub acks: usize,
    /// Patterns that the application, sockets and listeners are subscribed to.
    pub patterns: usize,
    /// Sockets to which messages come in pieces.
    pub incoming: usize,
    /// Bytes of messages that have come in part.
    pub partial_bytes: usize,
    /// Operations and events that have not been fetched.
    pub outputs: usize,
}
