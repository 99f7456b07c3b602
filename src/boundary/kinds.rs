//! The kinds of records that cross the boundary: the one table. `lib/engine/kinds.ts` is written from it
//! (`npm run kinds`), and `tests/kinds.rs` compares that file and the tables of `docs/internals/boundary.md`
//! with it.
//!
//! A kind is two bytes: its system, then its number there. Numbers may change: both ends are of one version.

/// A system: the first byte of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum System {
    /// Clients of a fabric, with their sockets, listeners, subscriptions and tickets.
    Fabric = 1,
    /// Embedded brokers.
    Broker = 2,
    /// Connections of the application's own HTTP servers.
    Pipe = 3,
    /// Sockety's connections and servers.
    Sockety = 4,
}

impl System {
    /// Returns the system with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Fabric),
            2 => Some(Self::Broker),
            3 => Some(Self::Pipe),
            4 => Some(Self::Sockety),
            _ => None,
        }
    }
}

/// A kind of one system.
pub trait Kind: Copy {
    /// The system.
    const SYSTEM: System;

    /// Returns the number of this kind.
    fn number(self) -> u8;
}

/// The kinds of one system in one direction, by name.
pub type Table = (System, &'static [(&'static str, u8)]);

/// Every kind of command.
pub const COMMANDS: &[Table] =
    &[FabricCommandKind::TABLE, BrokerCommandKind::TABLE, SocketyCommandKind::TABLE];

/// Every kind of event.
pub const EVENTS: &[Table] =
    &[FabricEventKind::TABLE, BrokerEventKind::TABLE, PipeEventKind::TABLE, SocketyEventKind::TABLE];

/// Every operation of a record that has several, of which each is one byte.
pub const OPERATIONS: &[Table] = &[SocketyOperation::TABLE];

/// Defines the kinds of one system in one direction.
macro_rules! kinds {
    ($(#[$doc:meta])* $kinds:ident of $system:ident { $($(#[$row_doc:meta])* $name:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $kinds {
            $($(#[$row_doc])* $name = $number,)*
        }

        impl $kinds {
            /// All of them, by name.
            pub const TABLE: Table = (System::$system, &[$((stringify!($name), $number),)*]);

            /// Returns the kind with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl Kind for $kinds {
            const SYSTEM: System = System::$system;

            fn number(self) -> u8 {
                self as u8
            }
        }
    };
}

kinds! {
    /// Commands to a client, and to what belongs to it.
    FabricCommandKind of Fabric {
        /// Connect, and stay connected.
        ClientConnect = 1,
        /// Disconnect.
        ClientDisconnect = 2,
        /// Close the client for good.
        ClientClose = 3,
        /// Lose the connection, as if the network had failed.
        DropTransport = 4,
        /// Wait until the server has the client's subscriptions.
        SyncSubscriptions = 5,
        /// List the addresses of the servers.
        Cluster = 6,
        /// Stop waiting for a ticket.
        Cancel = 7,
        /// The process is about to end.
        ClientLeave = 8,
        /// Tell the broker of sockets.
        TellSockets = 9,
        /// Publish one message.
        Publish = 16,
        /// Publish messages in a row, without confirmation.
        PublishMany = 17,
        /// Request, or request many.
        Request = 18,
        /// Subscribe.
        Subscribe = 19,
        /// Unsubscribe.
        Unsubscribe = 20,
        /// Wait until somebody is subscribed.
        WaitForInterest = 21,
        /// Unsubscribe behind the last message.
        Drain = 22,
        /// Drop what comes for a subscription while so much of it waits.
        BoundUnread = 23,
        /// Publish one message that is not delivered late.
        PublishTimed = 24,
        /// Listen for sockets.
        Listen = 32,
        /// Accept no new sockets.
        ListenerRetire = 33,
        /// Close a listener and its sockets.
        ListenerClose = 34,
        /// Close a listener when its sockets have ended.
        ListenerEnd = 35,
        /// Connect a socket.
        SocketConnect = 48,
        /// Write to one socket.
        SocketWrite = 49,
        /// The same, for messages that may be lost without notice.
        SocketWriteVolatile = 50,
        /// Write to several sockets.
        Broadcast = 51,
        /// The same, for messages that may be lost without notice.
        BroadcastVolatile = 52,
        /// Request over a socket for many answers, or wait for its peer to listen.
        SocketAsk = 53,
        /// Count messages whose handlers have been called.
        Consumed = 54,
        /// Disconnect a socket.
        SocketDisconnect = 55,
        /// Connect it again.
        SocketReconnect = 56,
        /// Close a socket, or give it up: the other side is told why.
        SocketClose = 57,
        /// Close it when everything is acknowledged.
        SocketEnd = 58,
        /// Name the server that the load balancer has chosen.
        ServerChosen = 59,
        /// Confirm that JavaScript knows of a socket's close.
        Collect = 60,
        /// Stop waiting for the answer to a request over a socket.
        SocketCancel = 61,
        /// Write data to sockets that is not to be handed out late.
        SocketWriteTimed = 62,
        /// Tell that a message of data was not handed out.
        SocketDropped = 63,
        /// Close a socket whose peer does not keep up.
        SocketGiveUp = 64,
    }
}

kinds! {
    /// Replies to a broker.
    BrokerCommandKind of Broker {
        /// Tell who a connection is.
        UserFound = 1,
        /// Tell whether an action is permitted.
        PermissionDecided = 2,
    }
}

kinds! {
    /// Events of a client, and of what belongs to it.
    FabricEventKind of Fabric {
        /// A client's state changed.
        ClientState = 1,
        /// An attempt to connect failed.
        ConnectFailed = 2,
        /// The server ends the connection.
        ClientEnding = 3,
        /// The server does not permit something.
        Permission = 4,
        /// A publish is confirmed.
        Published = 16,
        /// A reply to a request.
        Reply = 17,
        /// A ticket is settled.
        Done = 18,
        /// A ticket failed.
        Failed = 19,
        /// A ticket is settled with a list.
        Strings = 20,
        /// A message for a subscription.
        Delivered = 21,
        /// Several.
        DeliveredMany = 22,
        /// Messages for a subscription were left out.
        LeftOut = 23,
        /// A message for a subscription that is not to be read late.
        DeliveredTimed = 24,
        /// A socket was accepted.
        Accepted = 32,
        /// A listener's state changed.
        ListenerState = 33,
        /// A socket's state changed.
        SocketState = 48,
        /// A message on a socket.
        SocketData = 49,
        /// Several.
        SocketDataMany = 50,
        /// A request on a socket.
        SocketRequestReceived = 51,
        /// What the peer of a socket has acknowledged.
        SocketAcked = 52,
        /// What a socket has counted.
        SocketCounters = 53,
        /// A message that is not known to have arrived.
        SocketUndelivered = 54,
        /// The last of a socket.
        SocketCollected = 55,
        /// A socket needs the load balancer.
        ChooseServer = 56,
        /// A request over a socket came to nothing.
        SocketRequestFailed = 57,
        /// A socket belongs to a server.
        SocketBound = 58,
        /// A request over a socket for many answers is over.
        SocketRequestDone = 59,
        /// Data on a socket that is not to be handed out late.
        SocketTimed = 60,
        /// Data was not sent, or not handed out by the peer: its time was over.
        SocketStale = 61,
        /// A message came to a socket that is larger than it takes.
        SocketUnwelcome = 62,
        /// Why nobody serves a socket.
        SocketUnserved = 63,
    }
}

kinds! {
    /// Events of a broker.
    BrokerEventKind of Broker {
        /// A broker's state changed.
        BrokerState = 1,
        /// A broker asks who a connection is.
        AuthenticateRequest = 2,
        /// A broker asks whether an action is permitted.
        AuthorizeRequest = 3,
        /// A connection that was asked about is gone.
        ConnectionGone = 4,
        /// Somebody asks for a page of the application's.
        PageRequest = 5,
    }
}

kinds! {
    /// Events of a pipe.
    PipeEventKind of Pipe {
        /// Bytes to write.
        PipeBytes = 1,
        /// Pushed bytes have been read.
        PipeConsumed = 2,
        /// Nothing more is written or read.
        PipeEnd = 3,
    }
}

kinds! {
    /// Commands to a Sockety connection.
    SocketyCommandKind of Sockety {
        /// Operations in a row.
        SocketyOperations = 1,
    }
}

kinds! {
    /// Events of a Sockety connection or server.
    SocketyEventKind of Sockety {
        /// A connection is open.
        SocketyOpened = 1,
        /// Many small things that a connection received.
        SocketyRecords = 2,
        /// Bytes of a received message.
        SocketyData = 3,
        /// A connection is closed; what has come whole can still be read.
        SocketyClosed = 4,
        /// Nothing more comes for a connection.
        SocketyFinished = 5,
        /// A server has accepted a connection.
        SocketyAccepted = 16,
        /// A server listens.
        SocketyListening = 17,
        /// A server listens no more.
        SocketyServerClosed = 18,
    }
}

kinds! {
    /// Operations of *sockety operations*.
    SocketyOperation of Sockety {
        /// Send a message or a response.
        SocketySend = 1,
        /// Answer with a number.
        SocketyFastReply = 2,
        /// More of a stream or file.
        SocketyWrite = 3,
        /// The end of a stream or file.
        SocketyEnd = 4,
        /// Give a message up.
        SocketyAbort = 5,
        /// Read more of a received message.
        SocketyRead = 6,
        /// Discard a received message, or a part of it.
        SocketyDiscard = 7,
        /// Stop waiting for an answer.
        SocketyForget = 8,
        /// Send a heartbeat.
        SocketyHeartbeat = 9,
        /// Report when all before it has left.
        SocketyMark = 10,
        /// Announce the close.
        SocketyGoAway = 11,
        /// Close in order.
        SocketyClose = 12,
        /// Close at once.
        SocketyDestroy = 13,
    }
}
