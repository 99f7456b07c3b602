//! Whose a subscription or an open question is.

use super::Handle;
use crate::socket::Tag;

/// The token by which the endpoint knows what it asked of its fabric client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A question of the application.
    Ticket(Handle),
    /// A subscription of the application.
    Subscription(Handle),
    /// A question of the application over a socket: ticket and socket.
    SocketTicket(Handle, Handle),
    /// A question of a socket itself.
    Socket(Handle, Tag),
    /// The own subject of a client socket.
    SocketSubject(Handle),
    /// A listener's subject for status requests.
    ListenerStatus(Handle),
    /// A listener's subjects of its sockets.
    ListenerSockets(Handle),
    /// A question of a listener.
    Listener(Handle, Tag),
}
