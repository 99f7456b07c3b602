//! The owner of a subscription or an open request.

use crate::base::Handle;
use crate::socket::Tag;

/// The token by which the endpoint knows what it asked of its fabric client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Token {
    /// A request of the application.
    Ticket(Handle),
    /// A subscription of the application.
    Subscription(Handle),
    /// A request of the application to a peer of Conat: socket and key.
    SocketAsk(Handle, u64),
    /// A request of a socket itself.
    Socket(Handle, Tag),
    /// The own subject of a client socket.
    SocketSubject(Handle),
    /// A listener's subject for status requests.
    ListenerStatus(Handle),
    /// A listener's subjects for questions to whoever listens.
    ListenerQuestions(Handle),
    /// A listener's subjects of its sockets.
    ListenerSockets(Handle),
    /// A request of a listener.
    Listener(Handle, Tag),
    /// Whether an end is there, where nobody tells.
    Probe(u32),
}
