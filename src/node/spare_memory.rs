//! Tells the allocator of this process to give back what it keeps for later.

use std::ffi::c_int;

use libloading::os::unix::Library;

/// Gives pages that nothing uses back to the system, as far as the C library can: glibc keeps them in its
/// arenas otherwise, hundreds of megabytes after thousands of connections.
pub(super) fn give_back() {
    let host = Library::this();
    // SAFETY: glibc has had this function, with this type, since 1996; any thread may call it. musl lacks it.
    unsafe {
        if let Ok(trim) = host.get::<unsafe extern "C" fn(usize) -> c_int>(b"malloc_trim\0") {
            trim(0);
        }
    }
}
