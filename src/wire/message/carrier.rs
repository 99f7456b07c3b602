//! What a connection is made of.

/// What carries a connection between a client and a broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Carrier {
    /// Nothing: it is inside the process.
    #[default]
    InProcess,
    /// Our own protocol.
    Own,
    /// Our own protocol, inside a WebSocket.
    OwnInWebSocket,
    /// Conat's protocol.
    Conat,
}

impl Carrier {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::InProcess, Self::Own, Self::OwnInWebSocket, Self::Conat];

    /// Returns what people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProcess => "inprocess",
            Self::Own => "selvedge",
            Self::OwnInWebSocket => "websocket",
            Self::Conat => "conat",
        }
    }
}
