//! What leaves again: what the other end lacks, and what was under way when either end was away.

use std::time::Instant;

use super::SendQueue;

impl SendQueue {
    /// The other end lacks these above `arrived`, each so many that it has and then so many that it lacks.
    /// They leave again, oldest first, as many as one answer holds. What is older than what is known to have
    /// arrived is an old question.
    pub fn handle_missing(&mut self, now: Instant, arrived: u64, missing: &[(u64, u64)]) {
        let mut cursor = arrived + 1;
        let mut ranges = Vec::with_capacity(missing.len());
        for &(present, length) in missing {
            let Some(from) = cursor.checked_add(present) else { break };
            cursor = from.saturating_add(length);
            ranges.push((from, cursor - 1));
        }
        self.resend(now, &ranges);
    }

    /// The other end was away, or we were: all that is in flight leaves again, but what it says to have.
    pub fn handle_return(&mut self, now: Instant, arrived: u64, missing: &[(u64, u64)]) {
        let mut cursor = arrived + 1;
        let mut ranges = Vec::with_capacity(missing.len() + 1);
        for &(present, length) in missing {
            let Some(from) = cursor.checked_add(present) else { return };
            cursor = from.saturating_add(length);
            ranges.push((from, cursor - 1));
        }
        // After the last range it has something, or knows of nothing more.
        ranges.push((cursor, self.next - 1));
        self.resend(now, &ranges);
    }

    fn resend(&mut self, now: Instant, ranges: &[(u64, u64)]) {
        self.resend_budget.refill(now);
        if !self.is_attached || self.resend_budget.is_exhausted() {
            return;
        }
        let expired = self.flight.expire(now, ranges);
        if !expired.is_empty() {
            self.late.get_or_insert_default().stale.extend(expired);
        }
        let (mut bytes, mut count) = (0, 0);
        for (first, messages) in self.flight.among(ranges) {
            bytes += messages.bytes() + RESEND_OVERHEAD * messages.count() as usize;
            if count > 0 && bytes > MAX_RESEND_BYTES {
                break;
            }
            count += u64::from(messages.count());
            self.again.push_back((first, messages));
        }
        self.resend_budget.spend(bytes);
        self.resent += count;
    }
}

/// Bytes that go again for one question.
pub(in crate::socket::stream) const MAX_RESEND_BYTES: usize = 8 * 1000 * 1000;
/// What an item costs beside its bytes.
pub(in crate::socket::stream) const RESEND_OVERHEAD: usize = 64;
