//! Connections that are reset when they are closed, and not ended.

use std::os::fd::AsFd;
use std::time::Duration;

/// Sets whether the system resets a TCP connection when it is closed, by whatever means. Returns whether it
/// could be set: not of what is no connection.
pub fn set_reset_on_close(socket: impl AsFd, resets: bool) -> bool {
    socket2::SockRef::from(&socket).set_linger(resets.then_some(Duration::ZERO)).is_ok()
}
