//! The event loop of JavaScript watches no connections here (`loop_watch.rs` is for Linux).

use napi::Env;

use crate::transport::Watch;

/// There is none.
pub enum LoopWatch {}

impl LoopWatch {
    pub(super) fn open(_: &Env, _: u32) -> Option<Self> {
        None
    }

    pub(super) fn watch(&self, _: u32) -> Watch {
        match *self {}
    }

    pub(super) fn look(&self, _: impl FnMut(u32)) {
        match *self {}
    }
}
