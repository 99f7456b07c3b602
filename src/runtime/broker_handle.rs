//! A running broker: the machine behind one lock, taken once a batch, and the wakers of its peers' tasks.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::local_link::LocalLink;
use super::rounds::{DROPS, ENTRIES, Rounds};
use super::sync::{AtomicBool, Condvar, Mutex, Ordering, PoisonError};
use super::{EventQueue, peer_task, threads};
use crate::base::{Entropy, Handle, OsEntropy};
use crate::boundary::{BrokerEvent, HostEvent};
use crate::broker::{Broker, BrokerConfig, BrokerStats, ConnectionInfo, Discarded, PeerId};
use crate::transport::timer::{now, wait_until, wall_clock_ms};
use crate::transport::{BoxedLink, LinkError};
use crate::wire::{ClientOp, ServerOp};

/// One broker of this process. Closed by `close`, not by dropping it.
pub struct BrokerHandle {
    core: Mutex<Core>,
    /// Its numbers, for a reader that has asked for them while somebody else was busy with the machine.
    stats: Mutex<Option<BrokerStats>>,
    stats_wanted: AtomicBool,
    stats_told: Condvar,
    /// The earliest deadline may have changed, or the broker has been closed.
    rearm: Notify,
    /// Somebody waits for the end of a round, or the broker has been closed.
    round_due: Notify,
    /// To be called when the last connection of a broker that drains has gone.
    drained: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    /// Connections that end, when many do at once.
    ends: Rounds,
    /// What waited for connections that were cut off, or have gone.
    drops: Arc<Rounds>,
    /// Where its requests to the application go, and its handle there.
    application: Option<(Handle, Arc<EventQueue>)>,
}

/// The identity of the peer at the other end of a link.
#[derive(Debug, Clone)]
pub enum PeerIdentity {
    /// A connection whose user has to be authenticated.
    Connection(ConnectionInfo),
    /// The broker itself.
    Internal,
}

impl PeerIdentity {
    /// Returns the same identity for another connection.
    pub(super) fn reconnected(&self) -> Self {
        match self {
            Self::Connection(connection) => {
                Self::Connection(ConnectionInfo { id: OsEntropy.id(), ..connection.clone() })
            }
            Self::Internal => Self::Internal,
        }
    }

    /// Returns what its connection is called.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Connection(connection) => &connection.id,
            Self::Internal => "",
        }
    }
}

struct Core {
    broker: Broker,
    /// By slot.
    wakers: Vec<Option<(PeerId, Waker)>>,
    /// Of the task of its upstream.
    upstream_waker: Option<Waker>,
    next_deadline: Option<Instant>,
    closed: bool,
}

impl Core {
    fn waker(&self, peer: PeerId) -> Option<&Waker> {
        let (known, waker) = self.wakers.get(peer.slot())?.as_ref()?;
        (*known == peer).then_some(waker)
    }

    fn register(&mut self, peer: PeerId, waker: &Waker) {
        if self.wakers.len() <= peer.slot() {
            self.wakers.resize_with(peer.slot() + 1, || None);
        }
        match &mut self.wakers[peer.slot()] {
            Some((known, old)) if *known == peer => old.clone_from(waker),
            place => *place = Some((peer, waker.clone())),
        }
    }
}

impl BrokerHandle {
    /// Starts a broker that cannot be reached yet. Its requests to the application go to `application`.
    pub fn start(config: BrokerConfig, application: Option<(Handle, Arc<EventQueue>)>) -> Arc<Self> {
        let handle = Arc::new(Self::new(config, application));
        threads::spawn(drive_timers(handle.clone()));
        threads::spawn(drive_rounds(handle.clone()));
        handle
    }

    /// Returns a broker whose timers are not driven yet.
    pub(super) fn new(config: BrokerConfig, application: Option<(Handle, Arc<EventQueue>)>) -> Self {
        let threads = u32::try_from(threads::workers()).unwrap_or(1);
        let config = BrokerConfig { started_ms: wall_clock_ms(), threads, ..config };
        let broker = Broker::new(config, Box::new(OsEntropy));
        let core = Mutex::new(Core {
            broker,
            wakers: Vec::new(),
            upstream_waker: None,
            next_deadline: None,
            closed: false,
        });
        Self {
            core,
            stats: Mutex::new(None),
            stats_wanted: AtomicBool::new(false),
            stats_told: Condvar::new(),
            rearm: Notify::new(),
            round_due: Notify::new(),
            drained: Mutex::new(Vec::new()),
            ends: Rounds::new(ENTRIES),
            drops: Arc::new(Rounds::new(DROPS)),
            application,
        }
    }

    /// Returns a link to this broker, within the process.
    pub fn link(
        self: &Arc<Self>,
        identity: PeerIdentity,
    ) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        if self.is_closed() {
            return Err(LinkError::Closed);
        }
        Ok(Box::new(LocalLink::new(self.clone(), identity)))
    }

    /// Serves a peer over `link`, in a task of its own. Calls `signed_in` once it is known who it is.
    pub(super) fn serve(
        self: &Arc<Self>,
        link: BoxedLink<ServerOp, ClientOp>,
        identity: PeerIdentity,
        signed_in: impl FnOnce() + Send + 'static,
    ) {
        threads::spawn(peer_task::serve(self.clone(), link, identity, Box::new(signed_in)));
    }

    /// Closes the broker: every peer's link is closed after a flush.
    pub fn close(&self) {
        self.drained.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.with(|broker, _| broker.close());
        let upstream = {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            core.closed = true;
            core.upstream_waker.take()
        };
        upstream.into_iter().for_each(Waker::wake);
        self.rearm.notify_one();
        self.round_due.notify_one();
    }

    /// Accepts no more connections, and disconnects the present ones one after the other, spread over this
    /// time, so that they do not all reach the next broker at once. Calls `done` when the last one has gone,
    /// unless the broker is closed before.
    pub fn drain(&self, spread: Duration, done: impl FnOnce() + Send + 'static) {
        self.drained.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(done));
        self.with(|broker, now| broker.drain(now, spread));
    }

    /// Returns whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Returns the broker's numbers. Waits for one turn of one peer at most, however many want theirs.
    pub fn stats(&self) -> BrokerStats {
        if let Ok(core) = self.core.try_lock() {
            return core.broker.stats();
        }
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        *stats = None;
        self.stats_wanted.store(true, Ordering::Release);
        if let Ok(core) = self.core.try_lock() {
            return core.broker.stats();
        }
        let told = self.stats_told.wait_timeout_while(stats, STATS_TIMEOUT, |stats| stats.is_none());
        let told = *told.unwrap_or_else(PoisonError::into_inner).0;
        // Whoever was busy may have been done before it was asked.
        told.unwrap_or_else(|| self.with(|broker, _| broker.stats()))
    }

    /// Does something with the machine, then wakes the tasks of those who got something.
    pub fn with<R>(&self, act: impl FnOnce(&mut Broker, Instant) -> R) -> R {
        let (mut woken, mut discarded) = (Vec::new(), Vec::new());
        let (result, rearm, is_drained) = {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut core.broker, now());
            while let Some(peer) = core.broker.poll_woken() {
                woken.extend(core.waker(peer).cloned());
            }
            discarded.extend(std::iter::from_fn(|| core.broker.poll_discarded()));
            if core.broker.poll_upstream_woken() {
                woken.extend(core.upstream_waker.clone());
            }
            if let Some((handle, events)) = &self.application {
                // Within the lock: later news of a connection must not overtake a request about it.
                events.put(
                    std::iter::from_fn(|| core.broker.poll_auth_request())
                        .map(|item| HostEvent::Broker(*handle, BrokerEvent::Auth(item))),
                );
            }
            let deadline = core.broker.poll_timeout();
            let rearm = deadline.is_some_and(|at| core.next_deadline.is_none_or(|armed| at < armed));
            core.next_deadline = deadline;
            if self.stats_wanted.load(Ordering::Relaxed) && self.stats_wanted.swap(false, Ordering::Acquire) {
                *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = Some(core.broker.stats());
                self.stats_told.notify_all();
            }
            (result, rearm, core.broker.poll_drained())
        };
        woken.into_iter().for_each(Waker::wake);
        for discarded in discarded {
            threads::spawn(drop_in_rounds(self.drops.clone(), discarded));
        }
        if rearm {
            self.rearm.notify_one();
        }
        if is_drained {
            let done = std::mem::take(&mut *self.drained.lock().unwrap_or_else(PoisonError::into_inner));
            done.into_iter().for_each(|done| done());
        }
        result
    }

    /// Remembers the waker of `peer`.
    pub(super) fn register(&self, peer: PeerId, waker: &Waker) {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).register(peer, waker);
    }

    /// The same. Returns what time it is, if it may be busy now.
    pub(super) fn begin_turn(&self, peer: PeerId, waker: &Waker) -> Option<Instant> {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        core.register(peer, waker);
        let now = now();
        let has_turn = core.broker.try_begin_turn(now, peer);
        if !has_turn && core.broker.poll_round_due() {
            self.round_due.notify_one();
        }
        has_turn.then_some(now)
    }

    /// Remembers the waker of the task of the upstream.
    pub(super) fn register_upstream(&self, waker: &Waker) {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut core.upstream_waker {
            Some(old) => old.clone_from(waker),
            place => *place = Some(waker.clone()),
        }
    }

    /// Waits until a peer whose link is gone may be forgotten: what many have in the tables is not taken back
    /// in one go.
    pub(super) async fn turn_to_end(&self, peer: PeerId) {
        let entries = self.with(|broker, _| broker.entries_of(peer));
        self.ends.drive(1 + entries, async {}).await;
    }

    /// Forgets a peer whose link is gone.
    pub(super) fn detach(&self, peer: PeerId) {
        self.with(|broker, now| broker.detach(now, peer));
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        if core.waker(peer).is_some() {
            core.wakers[peer.slot()] = None;
        }
    }
}

/// Calls the machine at its deadlines.
async fn drive_timers(handle: Arc<BrokerHandle>) {
    loop {
        let deadline = {
            let core = handle.core.lock().unwrap_or_else(PoisonError::into_inner);
            if core.closed {
                return;
            }
            core.next_deadline
        };
        match deadline {
            Some(at) => tokio::select! {
                () = wait_until(at) => handle.with(|broker, now| broker.handle_timeout(now)),
                () = handle.rearm.notified() => {}
            },
            None => handle.rearm.notified().await,
        }
    }
}

/// Ends rounds that somebody waits for: whenever all tasks that are ready have had a turn, and the network
/// was looked at.
async fn drive_rounds(handle: Arc<BrokerHandle>) {
    loop {
        handle.round_due.notified().await;
        let mut is_awaited = true;
        while is_awaited {
            if handle.is_closed() {
                return;
            }
            tokio::task::yield_now().await;
            is_awaited = handle.with(|broker, _| broker.end_round());
        }
        if handle.is_closed() {
            return;
        }
    }
}

async fn drop_in_rounds(rounds: Arc<Rounds>, mut discarded: Discarded) {
    while rounds.drive(DROPS / 4, async { discarded.drop_some(DROPS / 4) }).await {
        tokio::task::yield_now().await;
    }
}

/// A turn takes about a millisecond; one that ended before it was asked for numbers tells nothing.
const STATS_TIMEOUT: Duration = Duration::from_millis(5);
