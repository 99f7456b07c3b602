//! Room socket.
