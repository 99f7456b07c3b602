//! The memory of outboxes: how much of it a user may take with all connections, and all users together.
//!
//! What one connection may have is in its outbox's own bounds. Amounts are told in whole steps, so that most
//! deliveries tell nothing.

use super::BrokerConfig;
use super::account::Account;
use crate::base::Shares;

/// What everybody's outboxes take, in bytes.
#[derive(Debug)]
pub(super) struct Budget {
    max_of_user: usize,
    max_of_all: usize,
    shares: Shares<Account>,
}

impl Budget {
    /// With the bounds of `config`.
    pub(super) fn new(config: &BrokerConfig) -> Self {
        Self {
            max_of_user: config.max_outbox_bytes_per_user,
            max_of_all: config.max_outbox_bytes_of_all,
            shares: Shares::default(),
        }
    }

    /// One outbox of an account has changed.
    pub(super) fn change(&mut self, account: Account, before: usize, after: usize) {
        if after > before {
            self.shares.add(account, after - before);
        } else if after < before {
            self.shares.subtract(account, before - after);
        }
    }

    /// Who has to give way after `account` has got more: itself, when it has more than a user may; else, when
    /// all together have too much, whoever has most.
    pub(super) fn overdrawn_by(&self, account: Account) -> Option<Account> {
        if self.shares.of(&account) > self.max_of_user {
            return Some(account);
        }
        self.shares.greediest().filter(|_| self.shares.total() > self.max_of_all)
    }
}

/// Bytes that an outbox has to gain or lose before the budget hears of it.
pub(super) const STEP: usize = 256 * 1024;
