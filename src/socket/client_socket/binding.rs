//! The server that a client socket belongs to.

/// How firmly a client socket belongs to a server.
///
/// ```text
/// Unbound ─choose─► Chosen ─asked, no reply─► Asked ─attached─► Held
///    ▲                 └────────────── attached ────────────────►┘
///    └─not on the fabric┘
/// ```
///
/// From `Asked` on there is no way back: the server may have the socket. A second server would write to the
/// same subject, and nothing tells the two apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding {
    /// No server is known.
    Unbound,
    /// This server is to be asked.
    Chosen { server: String },
    /// It was asked, and no reply came: it may have this socket without our knowing.
    Asked { server: String },
    /// It has, or had, this socket.
    Held { server: String },
}

impl Binding {
    /// Returns the id of the server, if one is known.
    pub(super) fn server(&self) -> Option<&str> {
        match self {
            Self::Unbound => None,
            Self::Chosen { server } | Self::Asked { server } | Self::Held { server } => Some(server),
        }
    }

    /// Returns whether the server has this socket, or may have it.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self, Self::Asked { .. } | Self::Held { .. })
    }

    /// Returns whether the server has, or had, this socket: not even that one can take it up from the start.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// Chooses a server to ask. A bound socket keeps its own.
    pub(super) fn choose(&mut self, server: String) {
        if self.is_bound() {
            debug_assert_eq!(self.server(), Some(server.as_str()), "a bound socket has one server");
        } else {
            *self = Self::Chosen { server };
        }
    }

    /// Gives up a server that does not have this socket.
    pub(super) fn forget(&mut self) {
        *self = Self::Unbound;
    }

    /// Notes that the server was asked to attach the socket, and that its reply did not come.
    pub(super) fn handle_unanswered(&mut self) {
        if let Self::Chosen { server } = self {
            *self = Self::Asked { server: std::mem::take(server) };
        }
    }

    /// Notes that the server has the socket.
    pub(super) fn handle_attached(&mut self) {
        *self = match std::mem::replace(self, Self::Unbound) {
            Self::Unbound => Self::Unbound,
            Self::Chosen { server } | Self::Asked { server } | Self::Held { server } => Self::Held { server },
        };
    }
}
