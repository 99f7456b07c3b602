//! One connection: who it is, what it subscribes to, what waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::account::{Account, Owner};
use super::budget::{Amount, CONNECTION_BYTES};
use super::given_requests::{AskedId, Askers, Asks};
use super::outbox::Outbox;
use super::owed_answers::OwedAnswers;
use super::peer_id::PeerId;
use super::socket_reports::SocketReports;
use super::subscription_limits::SubscriptionUse;
use super::time_shares::TimeUse;
use super::{DisconnectReason, EndReason, PeerStats, Volume};
use crate::subject::Pattern;
use crate::wire::{Carrier, Json, Presence};

/// State of one connection. Invariant: once `close` is set it has no subscriptions.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    /// The connection's id as the application knows it, and its network address.
    pub(super) name: String,
    pub(super) address: String,
    /// It is the broker's own: it may do everything, and counts nowhere.
    pub(super) is_internal: bool,
    /// When its last operation came; only known at a gateway.
    pub(super) heard_at: Option<Instant>,
    /// It lives in the broker's process.
    pub(super) is_local: bool,
    /// What carries it.
    pub(super) carrier: Carrier,
    /// When it signed in.
    pub(super) since: Option<Instant>,
    /// Why its link is gone, if that is known.
    pub(super) lost: Option<EndReason>,
    /// How it has come to its end, or will; `None` while nothing is known of that.
    pub(super) end: Option<Presence>,
    pub(super) user: Json,
    /// It is known who it is.
    pub(super) is_signed_in: bool,
    /// It takes a place among the connections.
    pub(super) is_admitted: bool,
    /// Set once: the broker wants it gone.
    pub(super) close: Option<DisconnectReason>,
    /// Each with its queue.
    pub(super) subscriptions: BTreeMap<Pattern, Arc<str>>,
    /// It has been refused some.
    pub(super) lacks_subscriptions: bool,
    /// Where answers come to it, which tells a client that comes back; `None`: it does not say.
    pub(super) inbox: Option<Pattern>,
    /// The client that it is of, for those who ask it.
    pub(super) asked: Option<AskedId>,
    /// Who has asked it alone.
    pub(super) askers: Option<Box<Askers>>,
    /// What it owes to those who have asked over a fabric above; only at a gateway.
    pub(super) owed: Option<Box<OwedAnswers>>,
    /// What it has asked.
    pub(super) asks: Option<Box<Asks>>,
    pub(super) max_subscriptions: usize,
    /// What they take of what they may.
    pub(super) subscription_use: SubscriptionUse,
    /// Who it is to those who receive from it, and who pays for what it holds.
    pub(super) account: Account,
    pub(super) owner: Owner,
    /// What the budget knows of all that passes through it.
    pub(super) budgeted: Amount,
    pub(super) outbox: Outbox,
    /// The head of its request, while it is being found out who it is.
    pub(super) head: usize,
    /// Bytes that wait for a decision about it.
    pub(super) undecided: usize,
    /// Bytes that its link holds, and what it has said and has not had its turn.
    pub(super) unread: usize,
    /// What was told of its sockets.
    pub(super) reports: Option<Box<SocketReports>>,
    /// It has flooded others, and is not heard before then.
    pub(super) rests_until: Option<Instant>,
    /// How busy it keeps the broker.
    pub(super) time: TimeUse,
    /// In the queue of woken peers.
    pub(super) is_woken: bool,
    /// When to stop repeating its `info`; `None` once it has confirmed it.
    pub(super) info_until: Option<Instant>,
    /// Messages it published.
    pub(super) published: Volume,
    /// Messages put into its outbox.
    pub(super) delivered: Volume,
    /// Messages it claims to have received.
    pub(super) reported: Volume,
}

impl Peer {
    /// Returns a connection without user and subscriptions.
    pub(super) fn new(id: PeerId, name: String, address: String) -> Self {
        Self {
            id,
            name,
            owner: Owner::at(&address),
            address,
            is_internal: false,
            heard_at: None,
            is_local: false,
            carrier: Carrier::default(),
            since: None,
            lost: None,
            end: None,
            user: Json::from_value(&serde_json::Value::Null),
            is_signed_in: false,
            is_admitted: false,
            close: None,
            subscriptions: BTreeMap::new(),
            lacks_subscriptions: false,
            inbox: None,
            asked: None,
            askers: None,
            owed: None,
            asks: None,
            max_subscriptions: 0,
            subscription_use: SubscriptionUse::default(),
            account: Account::Connection(id),
            budgeted: Amount::default(),
            outbox: Outbox::default(),
            head: 0,
            undecided: 0,
            unread: 0,
            reports: None,
            rests_until: None,
            time: TimeUse::default(),
            is_woken: false,
            info_until: None,
            published: Volume::default(),
            delivered: Volume::default(),
            reported: Volume::default(),
        }
    }

    /// Whether anybody has asked it.
    pub(super) fn is_asked(&self) -> bool {
        self.askers.is_some() || self.owed.is_some()
    }

    /// What passes through it.
    pub(super) fn passing(&self) -> Amount {
        let own = if self.is_internal { 0 } else { CONNECTION_BYTES + self.user.as_bytes().len() };
        let Amount { alone, shared } = self.outbox.amount();
        let reports = self.reports.as_ref().map_or(0, |reports| reports.memory());
        Amount { alone: own + alone + self.head + self.undecided + self.unread + reports, shared }
    }

    /// Returns what those who watch an end of it are told when it is gone.
    pub(super) fn ends_as(&self) -> Presence {
        let by_close = (self.close == Some(DisconnectReason::SlowConsumer)).then_some(Presence::Silent);
        self.end.or(by_close).unwrap_or(Presence::Cut)
    }

    /// Returns the numbers of the connection.
    pub(super) fn stats(&self) -> PeerStats {
        PeerStats {
            name: self.name.clone(),
            address: self.address.clone(),
            user: self.user.clone(),
            close_reason: self.close,
            has_info: self.info_until.is_none(),
            subscriptions: self.subscriptions.len(),
            outbox_ops: self.outbox.len(),
            outbox_bytes: self.outbox.bytes(),
            published: self.published,
            delivered: self.delivered,
            reported: self.reported,
        }
    }
}
