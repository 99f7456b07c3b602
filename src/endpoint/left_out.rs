//! Messages for subscriptions that were left out while the application lagged: counted, and told now and
//! then, so that telling does not add to what waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::base::{Handle, Lag};

/// What was left out and is not told yet, in a fixed order, so that a simulated run replays.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Of the input that is being handled.
    lag: Option<Lag>,
    by_subscription: BTreeMap<Handle, u64>,
    tell_at: Option<Instant>,
}

impl LeftOut {
    /// Notes how far the application is behind while the next input is handled.
    pub(super) fn set_lag(&mut self, lag: Option<Lag>) {
        self.lag = lag;
    }

    /// Returns whether messages for a subscription are left out, and counts them. Nobody repeats them.
    pub(super) fn try_leave_out(&mut self, now: Instant, subscription: Handle, messages: u64) -> bool {
        if self.lag.is_none() {
            return false;
        }
        self.count(now, subscription, messages);
        true
    }

    /// Counts messages that were left out.
    pub(super) fn count(&mut self, now: Instant, subscription: Handle, messages: u64) {
        *self.by_subscription.entry(subscription).or_default() += messages;
        self.tell_at.get_or_insert(now + TELL_AFTER);
    }

    /// Returns whether data of sockets is left out: the other end sends it again.
    pub(super) fn leaves_out_data(&self) -> bool {
        self.lag == Some(Lag::Extreme)
    }

    /// Returns how many were left out of each subscription, if that is to be told now.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeMap<Handle, u64> {
        match self.tell_at.take_if(|at| *at <= now) {
            Some(_) => std::mem::take(&mut self.by_subscription),
            None => BTreeMap::new(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.tell_at
    }
}

/// Once in so long for each subscription.
const TELL_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn only_while_the_application_lags_messages_are_left_out_and_told_together() {
        let (start, mut left_out) = (Instant::now(), LeftOut::default());
        assert!(!left_out.try_leave_out(start, 1, 1));
        left_out.set_lag(Some(Lag::Long));
        assert!(left_out.try_leave_out(start, 1, 1) && !left_out.leaves_out_data());
        assert!(left_out.try_leave_out(start + TELL_AFTER / 2, 1, 10));
        left_out.set_lag(Some(Lag::Extreme));
        assert!(left_out.try_leave_out(start, 2, 5) && left_out.leaves_out_data());
        left_out.set_lag(None);
        assert!(left_out.take_due(start + TELL_AFTER / 2).is_empty());
        let at = left_out.poll_timeout().expect("to be told");
        assert_eq!(left_out.take_due(at), BTreeMap::from([(1, 11), (2, 5)]));
        assert_eq!(left_out.poll_timeout(), None);
    }
}
