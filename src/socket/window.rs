//! The window of a sender: messages and bytes, whichever is used up first.

use super::WriteError;

/// The bounds of what is written and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Messages.
    pub messages: usize,
    /// Bytes of payloads and headers; a message that is larger by itself goes alone.
    pub bytes: usize,
}

impl Window {
    /// Returns whether a message of `size` bytes fits beside `messages` others of `bytes` bytes.
    pub fn check(&self, messages: usize, bytes: usize, size: usize) -> Result<(), WriteError> {
        if messages >= self.messages {
            return Err(WriteError::Full { window: self.messages });
        }
        if messages > 0 && bytes.saturating_add(size) > self.bytes {
            return Err(WriteError::FullBytes { window: self.bytes });
        }
        Ok(())
    }

    /// Returns whether half of either bound is used, or [`PUSH_BACK_BYTES`]: the writer had better wait.
    pub fn is_half_used(&self, messages: usize, bytes: usize) -> bool {
        messages >= self.messages.div_ceil(2) || bytes >= self.bytes.div_ceil(2).min(PUSH_BACK_BYTES)
    }
}

/// Bytes from which on a writer had better wait, however large its window is. `lib/socket/window.ts` has the
/// same.
const PUSH_BACK_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_and_one_large_message_goes_alone() {
        let window = Window { messages: 3, bytes: 100 };
        assert_eq!(window.check(2, 10, 90), Ok(()));
        assert_eq!(window.check(2, 10, 91), Err(WriteError::FullBytes { window: 100 }));
        assert_eq!(window.check(3, 0, 0), Err(WriteError::Full { window: 3 }));
        assert_eq!(window.check(0, 0, 1000), Ok(()));
        assert!(!window.is_half_used(1, 49));
        assert!(window.is_half_used(2, 0) && window.is_half_used(1, 50));
        let wide = Window { messages: 1000, bytes: 16 * PUSH_BACK_BYTES };
        assert!(!wide.is_half_used(1, PUSH_BACK_BYTES - 1));
        assert!(wide.is_half_used(1, PUSH_BACK_BYTES));
        assert_eq!(wide.check(1, PUSH_BACK_BYTES, PUSH_BACK_BYTES), Ok(()));
    }
}
