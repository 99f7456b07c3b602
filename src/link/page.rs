//! A request for a page of the application's at a broker's port.

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The HTTP headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Who asks, by the connection itself; empty over a Unix socket.
    pub address: String,
    /// What was sent with it, if anything may be.
    pub body: String,
}
