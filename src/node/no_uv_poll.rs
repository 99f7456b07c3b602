//! The event loop of JavaScript watches no connections here (`uv_poll.rs` is for Linux).

use napi::Env;

use crate::transport::Registration;

/// There is none.
pub enum UvPoll {}

impl UvPoll {
    pub(super) fn open(_: &Env, _: u32, _: fn(u32)) -> Option<Self> {
        None
    }

    pub(super) fn registration(&self, _: u32) -> Registration {
        match *self {}
    }

    pub(super) fn poll_ready(&self, _: impl FnMut(u32)) {
        match *self {}
    }
}
