//! Lets the event loop of JavaScript watch the connections of its clients: while that thread is idle, what
//! comes wakes it directly, and it reads by itself instead of being woken by a worker thread that has read.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::panic::catch_unwind;
use std::ptr;
use std::rc::Rc;

use libloading::os::unix::Library;
use napi::{Env, sys};

use crate::transport::{ReadinessPoller, Registration};

/// A readiness poller, and libuv's handle for it.
pub struct UvPoll {
    state: Rc<PollState>,
    poll_handle: *mut PollHandle,
}

struct PollState {
    readiness: RefCell<ReadinessPoller>,
    /// libuv is closing the handle, or has done so.
    closed: Cell<bool>,
}

/// Owned by libuv: lives until it has closed the handle, and with it the poller.
#[repr(C)]
struct PollHandle {
    /// libuv's `uv_poll_t`.
    handle: [u64; HANDLE_WORDS],
    libuv: Libuv,
    /// Called when something has arrived, with `session`.
    on_readable: fn(u32),
    session: u32,
    state: Rc<PollState>,
    /// The environment waits until it is given back.
    hook: sys::napi_async_cleanup_hook_handle,
}

impl UvPoll {
    /// Starts watching: calls `on_readable` with `session` when something has arrived. `None` if there is no
    /// such loop.
    pub(super) fn open(env: &Env, session: u32, on_readable: fn(u32)) -> Option<Self> {
        let libuv = Libuv::find()?;
        let uv_loop = env.get_uv_event_loop().ok()?;
        let readiness =
            ReadinessPoller::new().inspect_err(|error| tracing::debug!(%error, "no readiness")).ok()?;
        let fd = readiness.fd();
        let state = Rc::new(PollState { readiness: RefCell::new(readiness), closed: Cell::new(false) });
        let poll_handle = PollHandle {
            handle: [0; HANDLE_WORDS],
            libuv,
            on_readable,
            session,
            state: state.clone(),
            hook: ptr::null_mut(),
        };
        let poll_handle = Box::into_raw(Box::new(poll_handle));
        // SAFETY: we are on the thread of the loop. The handle is as big as libuv wants it (`Libuv::find`),
        // aligned, and stays where it is until libuv has closed it; a handle that it did not take it does not
        // know.
        unsafe {
            if (libuv.poll_init)(uv_loop.cast(), poll_handle.cast(), fd) != 0 {
                drop(Box::from_raw(poll_handle));
                return None;
            }
            (libuv.poll_start)(poll_handle.cast(), UV_READABLE, on_poll);
            // It keeps no process alive.
            (libuv.unref)(poll_handle.cast());
            sys::napi_add_async_cleanup_hook(
                env.raw(),
                Some(on_environment_end),
                poll_handle.cast(),
                &raw mut (*poll_handle).hook,
            );
        }
        Some(Self { state, poll_handle })
    }

    /// Returns a registration for the connections of a client.
    pub(super) fn registration(&self, client: u32) -> Registration {
        self.state.readiness.borrow().registration(client)
    }

    /// Calls `visit` with each client that has something to read.
    pub(super) fn poll_ready(&self, visit: impl FnMut(u32)) {
        self.state.readiness.borrow_mut().poll_ready(visit);
    }
}

impl Drop for UvPoll {
    fn drop(&mut self) {
        close(&self.state, self.poll_handle);
    }
}

/// Closes the handle. Called once, on the thread of the loop.
fn close(state: &PollState, poll_handle: *mut PollHandle) {
    if !state.closed.replace(true) {
        // SAFETY: the poll_handle lives until libuv has closed the handle, which begins only now.
        unsafe { ((*poll_handle).libuv.close)(poll_handle.cast(), on_closed) };
    }
}

/// Runs the clients for which something has arrived.
extern "C" fn on_poll(handle: *mut UvHandle, _status: c_int, _events: c_int) {
    // SAFETY: libuv calls this on the thread of the loop, with a handle of ours that it has not closed.
    let (session, on_readable) = unsafe {
        let poll_handle = handle.cast::<PollHandle>();
        ((*poll_handle).session, (*poll_handle).on_readable)
    };
    // A panic must not get into libuv. The engine contains its own.
    let _ = catch_unwind(|| on_readable(session));
}

/// Closes the handle at the end of the environment, which would not wait for libuv to do so.
extern "C" fn on_environment_end(_: sys::napi_async_cleanup_hook_handle, poll_handle: *mut c_void) {
    let poll_handle = poll_handle.cast::<PollHandle>();
    // SAFETY: without the hook the environment has not ended, and `on_closed` gives the hook back before the
    // poll_handle goes.
    let state = unsafe { (*poll_handle).state.clone() };
    close(&state, poll_handle);
}

extern "C" fn on_closed(handle: *mut UvHandle) {
    // SAFETY: the box of `open`, which libuv gives back here and nobody uses any more; its hook has not been
    // given back.
    unsafe {
        let poll_handle = Box::from_raw(handle.cast::<PollHandle>());
        sys::napi_remove_async_cleanup_hook(poll_handle.hook);
    }
}

enum UvLoop {}
enum UvHandle {}

/// The functions of libuv that are needed: Node.js exports all of them; another host may lack some, which
/// must not keep the addon from loading.
#[derive(Clone, Copy)]
struct Libuv {
    poll_init: unsafe extern "C" fn(*mut UvLoop, *mut UvHandle, c_int) -> c_int,
    poll_start:
        unsafe extern "C" fn(*mut UvHandle, c_int, extern "C" fn(*mut UvHandle, c_int, c_int)) -> c_int,
    unref: unsafe extern "C" fn(*mut UvHandle),
    close: unsafe extern "C" fn(*mut UvHandle, extern "C" fn(*mut UvHandle)),
}

impl Libuv {
    fn find() -> Option<Self> {
        let host = Library::this();
        // SAFETY: the functions have had these types since libuv 1.0.
        let (size, libuv) = unsafe {
            let size = *host.get::<unsafe extern "C" fn(c_int) -> usize>(b"uv_handle_size\0").ok()?;
            let libuv = Self {
                poll_init: *host.get(b"uv_poll_init\0").ok()?,
                poll_start: *host.get(b"uv_poll_start\0").ok()?,
                unref: *host.get(b"uv_unref\0").ok()?,
                close: *host.get(b"uv_close\0").ok()?,
            };
            (size(UV_POLL), libuv)
        };
        (size <= size_of::<[u64; HANDLE_WORDS]>()).then_some(libuv)
    }
}

/// libuv's `enum uv_handle_type`.
const UV_POLL: c_int = 8;
/// libuv's `enum uv_poll_event`.
const UV_READABLE: c_int = 1;
/// Words of 8 bytes; libuv 1.46 wants 20 of them.
const HANDLE_WORDS: usize = 64;
