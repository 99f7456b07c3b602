//! Every error code of the engine: the one table. `ErrorCode` in `index.d.ts` and the rows of
//! `docs/reference/errors.md` are checked against it (`__test__/package/error-table.spec.ts`).

use std::borrow::Cow;
use std::fmt;

/// Defines [`Code`], its text and its list from one table.
macro_rules! codes {
    (
        numbers { $($(#[$number_doc:meta])* $number:ident = $value:literal,)* }
        names { $($(#[$name_doc:meta])* $name:ident = $text:literal,)* }
    ) => {
        /// What a program matches on. Never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$number_doc])* $number,)*
            $($(#[$name_doc])* $name,)*
            /// A number that is not in the table: an application's own (`getUser`), or a later version's.
            Other(u16),
        }

        impl Code {
            /// Every code of the table.
            pub const ALL: &[Self] = &[$(Self::$number,)* $(Self::$name,)*];

            /// Returns the code of a number.
            pub const fn from_number(number: u16) -> Self {
                match number {
                    $($value => Self::$number,)*
                    other => Self::Other(other),
                }
            }

            /// Returns the code of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Returns the code that is written so: a name of the table, or any number.
            pub fn from_text(text: &str) -> Option<Self> {
                text.parse().map(Self::from_number).ok().or_else(|| Self::from_name(text))
            }

            /// Returns the number, or the name, that the application sees.
            pub const fn value(self) -> CodeValue {
                match self {
                    $(Self::$number => CodeValue::Number($value),)*
                    $(Self::$name => CodeValue::Name($text),)*
                    Self::Other(number) => CodeValue::Number(number),
                }
            }
        }
    };
}

codes! {
    numbers {
        /// The broker does not permit it.
        NotPermitted = 403,
        /// No answer, or no confirmation, in time.
        Timeout = 408,
        /// A limit of the broker's is reached.
        Limit = 429,
        /// Nobody listens.
        NoSubscribers = 503,
    }
    names {
        /// The address is taken.
        AddressInUse = "EADDRINUSE",
        /// The address is none of this machine.
        AddressNotAvailable = "EADDRNOTAVAIL",
        /// The operating system does not permit it.
        AccessDenied = "EACCES",
        /// Nobody listens at the address.
        ConnectionRefused = "ECONNREFUSED",
        /// The connection was cut.
        ConnectionReset = "ECONNRESET",
        /// There is no such file.
        NotFound = "ENOENT",
        /// A queue is full; nothing was sent.
        QueueFull = "ENOBUFS",
        /// Written to what is closed.
        BrokenPipe = "EPIPE",
        /// The server did not answer in time.
        TimedOut = "ETIMEDOUT",
        /// The object is closed.
        Closed = "ERR_CLOSED",
        /// Connecting failed for a reason that the text names.
        Connect = "ERR_CONNECT",
        /// The other end is about to end, and did not take it.
        Draining = "ERR_DRAINING",
        /// The engine and `lib` do not understand each other.
        Internal = "ERR_INTERNAL",
        /// An argument has a value that cannot be used.
        InvalidArgument = "ERR_INVALID_ARG_VALUE",
        /// No subject, or wildcards where there must be none.
        InvalidSubject = "ERR_INVALID_SUBJECT",
        /// Listening failed for a reason that the text names.
        Listen = "ERR_LISTEN",
        /// The connection of the other side of a socket ended.
        PeerEnded = "ERR_PEER_ENDED",
        /// The other side of a socket gave no sign of life.
        PeerSilent = "ERR_PEER_SILENT",
        /// The proxy wants to know who asks, or does not believe it.
        ProxyAuth = "ERR_PROXY_AUTH",
        /// The proxy did not connect us to the server.
        ProxyTunnel = "ERR_PROXY_TUNNEL",
        /// A second queue group on one pattern of one client.
        QueueGroup = "ERR_QUEUE_GROUP",
        /// Refused with a text and without a number.
        Refused = "ERR_REFUSED",
        /// The other side does not read as fast as messages arrive.
        SlowConsumer = "ERR_SLOW_CONSUMER",
        /// The other side gave up what it had begun to write.
        SocketAborted = "ERR_SOCKET_ABORTED",
        /// The other side closed the socket.
        SocketClosedByPeer = "ERR_SOCKET_CLOSED_BY_PEER",
        /// The socket cannot be resumed.
        SocketLost = "ERR_SOCKET_LOST",
        /// The other side of the socket broke the protocol.
        SocketProtocol = "ERR_SOCKET_PROTOCOL",
        /// The other side of the socket gave no sign of life.
        SocketTimeout = "ERR_SOCKET_TIMEOUT",
        /// A Sockety peer wants more than its limits allow.
        SocketyLimit = "ERR_SOCKETY_LIMIT",
        /// A Sockety peer broke the protocol.
        SocketyProtocol = "ERR_SOCKETY_PROTOCOL",
        /// The application does not read the messages of a Sockety connection.
        SocketyUnread = "ERR_SOCKETY_UNREAD",
        /// A newer socket of the same id has taken its place.
        Superseded = "ERR_SUPERSEDED",
        /// Larger than what the fabric takes.
        TooLarge = "ERR_TOO_LARGE",
        /// The server is too old, or lacks what is needed.
        Unsupported = "ERR_UNSUPPORTED",
        /// TLS failed for a reason that the text names.
        Tls = "ERR_TLS",
        /// A client's certificate is missing, or was not accepted.
        TlsClientCertificate = "ERR_TLS_CLIENT_CERTIFICATE",
        /// The server's certificate is not valid now.
        TlsExpired = "ERR_TLS_EXPIRED",
        /// The server's certificate is for another name.
        TlsName = "ERR_TLS_NAME",
        /// The server does not speak TLS at this port.
        TlsPlain = "ERR_TLS_PLAIN",
        /// The server speaks only TLS.
        TlsRequired = "ERR_TLS_REQUIRED",
        /// The server's certificate is not signed by a trusted authority.
        TlsUntrusted = "ERR_TLS_UNTRUSTED",
        /// It has ended, and what was accepted has not been delivered.
        Undelivered = "ERR_UNDELIVERED",
    }
}

/// A code as the application sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeValue {
    /// What the fabric refuses has a number.
    Number(u16),
    /// Anything else has a name.
    Name(&'static str),
}

impl Code {
    /// Returns the code as text: its name, or its number in digits.
    pub fn as_str(self) -> Cow<'static, str> {
        match self.value() {
            CodeValue::Name(name) => name.into(),
            CodeValue::Number(number) => number.to_string().into(),
        }
    }

    /// Returns the number of a code that has one.
    pub const fn number(self) -> Option<u16> {
        match self.value() {
            CodeValue::Number(number) => Some(number),
            CodeValue::Name(_) => None,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            CodeValue::Name(name) => f.write_str(name),
            CodeValue::Number(number) => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_text_of_its_own_and_a_number_leads_back_to_it() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for &code in Code::ALL {
            assert_eq!(code.to_string(), code.as_str());
            if let Some(number) = code.number() {
                assert_eq!(Code::from_number(number), code);
            } else {
                assert_eq!(Code::from_name(&code.as_str()), Some(code));
            }
        }
        assert_eq!(Code::from_number(460), Code::Other(460));
        assert_eq!(Code::Other(460).as_str(), "460");
    }
}
