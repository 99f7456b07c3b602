//! What becomes of a TCP connection of the application's when its process is killed: the system closes it,
//! which is an end, or a reset.

use napi_derive::napi;

/// Sets whether the system resets a TCP connection when it is closed, by whatever means. Returns whether it
/// could be set: not of what is no connection, or on a system whose sockets have no descriptor.
#[napi(catch_unwind)]
pub fn reset_on_close(descriptor: i32, resets: bool) -> bool {
    set(descriptor, resets)
}

#[cfg(unix)]
fn set(descriptor: i32, resets: bool) -> bool {
    use std::os::fd::BorrowedFd;

    if descriptor < 0 {
        return false;
    }
    // SAFETY: the caller has the socket open, on this thread, which is the only one that may close it.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    crate::transport::set_reset_on_close(socket, resets)
}

#[cfg(not(unix))]
fn set(_descriptor: i32, _resets: bool) -> bool {
    false
}
