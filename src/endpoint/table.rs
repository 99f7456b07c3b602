//! The sockets and listeners of an endpoint, by handle: which of them have something to say, and when they
//! are due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use super::intake::Intake;
use super::queue_pool::QueuePool;
use crate::base::{Deadlines, Entropy, Handle, SeededEntropy, earliest};
use crate::socket::{
    ClientSocket, GapPool, Listener, Output, Payer, ServerSocket, SocketConfig, SocketEnd, SocketUsage,
};
use crate::subject::Subject;
use crate::wire::{Bundle, Message, Messages};

/// All of them, in the order of their creation, so that a simulated run replays.
pub(super) struct Table {
    sockets: BTreeMap<Handle, AnySocket>,
    listeners: BTreeMap<Handle, ListenerEntry>,
    /// Two of them have had the same subject and id.
    has_pairs: bool,
    /// Those whose outputs have not been drained.
    dirty: VecDeque<Dirty>,
    /// Sockets that may have something to send when the batch is complete.
    unflushed: Vec<Handle>,
    /// So many of these, from the first, have had a turn, and wait for the next one.
    waiting_turn: usize,
    queues: QueuePool,
    deadlines: Deadlines<Handle>,
    /// For what comes to them before its turn.
    gaps: GapPool,
}

#[derive(Debug)]
enum AnySocket {
    Client(Box<ClientSocket>),
    /// With its listener, and who pays for it.
    Server(Box<ServerSocket>, Handle, Option<u64>),
}

/// A listener and what its sockets are made with.
pub(super) struct ListenerEntry {
    pub(super) listener: Listener,
    pub(super) config: Arc<SocketConfig>,
    /// The tickets that wait for its end: it closes when its last socket has.
    pub(super) ending: Vec<Handle>,
}

/// Something whose outputs are to be drained.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dirty {
    Socket(Handle),
    /// A socket that is due no sooner than it was.
    RestingSocket(Handle),
    Listener(Handle),
}

/// What became of a socket whose outputs were drained.
pub(super) enum Drained {
    /// It has more of them: these.
    Again(VecDeque<Output>),
    /// That was all.
    Done,
    /// It is at its end.
    Closed,
}

impl AnySocket {
    fn end(&self) -> &dyn SocketEnd {
        match self {
            Self::Client(socket) => &**socket,
            Self::Server(socket, ..) => &**socket,
        }
    }

    fn end_mut(&mut self) -> &mut dyn SocketEnd {
        match self {
            Self::Client(socket) => &mut **socket,
            Self::Server(socket, ..) => &mut **socket,
        }
    }

    /// Who pays for what comes to it in pieces.
    fn payer(&self, handle: Handle) -> Payer {
        match self {
            Self::Server(_, _, Some(number)) => Payer::Client(*number),
            _ => Payer::Socket(handle),
        }
    }
}

impl Table {
    /// A table without sockets, which will keep so many bytes of what comes before its turn.
    pub(super) fn new(gap_bytes: usize) -> Self {
        Self {
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            has_pairs: false,
            dirty: VecDeque::new(),
            unflushed: Vec::new(),
            waiting_turn: 0,
            queues: QueuePool::default(),
            deadlines: Deadlines::default(),
            gaps: GapPool::new(gap_bytes),
        }
    }

    /// Adds a client socket.
    pub(super) fn add_client(&mut self, handle: Handle, socket: ClientSocket) {
        self.insert(handle, AnySocket::Client(Box::new(socket)));
        self.mark_dirty(Dirty::Socket(handle));
    }

    /// Adds a socket of a listener. Its outputs are the caller's to drain.
    pub(super) fn add_server(
        &mut self,
        handle: Handle,
        socket: ServerSocket,
        (listener, payer): (Handle, Option<u64>),
    ) {
        self.insert(handle, AnySocket::Server(Box::new(socket), listener, payer));
    }

    fn insert(&mut self, handle: Handle, mut socket: AnySocket) {
        let share = self.gaps.share(socket.payer(handle));
        socket.end_mut().channel_mut().set_gap_share(share);
        self.sockets.insert(handle, socket);
    }

    /// Adds a listener.
    pub(super) fn add_listener(&mut self, handle: Handle, listener: Listener, config: SocketConfig) {
        self.has_pairs |= self.listeners.values().any(|entry| entry.listener.is_beside(&listener));
        let entry = ListenerEntry { listener, config: config.into(), ending: Vec::new() };
        self.listeners.insert(handle, entry);
        self.mark_dirty(Dirty::Listener(handle));
    }

    /// Does something with a socket, if it is there, and remembers to drain its outputs.
    pub(super) fn with_socket<R>(
        &mut self,
        handle: Handle,
        act: impl FnOnce(&mut dyn SocketEnd) -> R,
    ) -> Option<R> {
        let socket = self.sockets.get_mut(&handle)?.end_mut();
        self.queues.fill(socket.outputs());
        let result = act(socket);
        let is_changed = !socket.outputs().is_empty() || socket.is_closed();
        self.handle_touched(handle, is_changed);
        Some(result)
    }

    /// Hands messages in a row to a socket. Returns whether it has taken them.
    pub(super) fn try_accept_bundle(&mut self, now: Instant, handle: Handle, bundle: &Bundle) -> bool {
        let Some(socket) = self.sockets.get_mut(&handle) else { return false };
        let socket = socket.end_mut();
        self.queues.fill(socket.outputs());
        let accepts = socket.try_accept_bundle(now, bundle);
        let rests = accepts && socket.rests();
        self.handle_accepted(handle, rests);
        accepts
    }

    /// Hands one numbered message to a socket, which takes it if it is just what is next there. Returns
    /// whether; what the application gets at once is put into `given`.
    pub(super) fn try_accept_one(
        &mut self,
        now: Instant,
        handle: Handle,
        message: &mut Message,
        given: &mut Option<Messages>,
    ) -> bool {
        let Some(socket) = self.sockets.get_mut(&handle) else { return false };
        let socket = socket.end_mut();
        let accepts = socket.try_accept_one(now, message, given);
        let rests = accepts && socket.rests();
        if !rests || !socket.outputs().is_empty() {
            self.handle_accepted(handle, rests);
        }
        accepts
    }

    /// A socket that has taken something is not looked at again if nothing follows from it.
    fn handle_accepted(&mut self, handle: Handle, rests: bool) {
        let Some(socket) = self.sockets.get_mut(&handle) else { return };
        let socket = socket.end_mut();
        let is_changed = !socket.outputs().is_empty() || socket.is_closed();
        if !rests {
            self.handle_touched(handle, is_changed);
        } else if is_changed {
            self.mark_dirty(Dirty::RestingSocket(handle));
        } else {
            self.queues.reclaim(socket.outputs());
        }
    }

    /// Does something with a client socket, as [`Self::with_socket`].
    pub(super) fn with_client(&mut self, handle: Handle, act: impl FnOnce(&mut ClientSocket)) {
        if let Some(AnySocket::Client(socket)) = self.sockets.get_mut(&handle) {
            self.queues.fill(socket.outputs());
            act(socket);
            let is_changed = !socket.outputs().is_empty() || socket.is_closed();
            self.handle_touched(handle, is_changed);
        }
    }

    /// The same for a socket of a listener.
    pub(super) fn with_server(&mut self, handle: Handle, act: impl FnOnce(&mut ServerSocket)) {
        if let Some(AnySocket::Server(socket, ..)) = self.sockets.get_mut(&handle) {
            self.queues.fill(socket.outputs());
            act(socket);
            let is_changed = !socket.outputs().is_empty() || socket.is_closed();
            self.handle_touched(handle, is_changed);
        }
    }

    /// Does something with a listener, if it is there, and remembers to drain its outputs.
    pub(super) fn with_listener<R>(
        &mut self,
        handle: Handle,
        act: impl FnOnce(&mut Listener) -> R,
    ) -> Option<R> {
        let result = act(&mut self.listeners.get_mut(&handle)?.listener);
        self.mark_dirty(Dirty::Listener(handle));
        Some(result)
    }

    /// Returns whether what has come for a listener is for another one of the same subject and id, which gets
    /// it, too: one of them is retired, and still has its sockets.
    pub(super) fn is_for_another(&self, handle: Handle, message: &Message) -> bool {
        if !self.has_pairs {
            return false;
        }
        let Some(own) = self.listeners.get(&handle) else { return false };
        let others = self.listeners.iter().filter(|(other, _)| **other != handle);
        let mut beside = others.filter(|(_, entry)| entry.listener.is_beside(&own.listener));
        beside.any(|(_, entry)| entry.listener.goes_before(&own.listener, message))
    }

    /// Returns whether a listener is the one that takes a question to whoever listens: of those here that get
    /// the same ones, whoever has the socket, or another one by its id.
    pub(super) fn takes_question(&self, handle: Handle, question: &Subject) -> bool {
        let Some(own) = self.listeners.get(&handle) else { return false };
        let mut all = self
            .listeners
            .iter()
            .filter(|(_, entry)| entry.listener.shares_questions(&own.listener))
            .map(|(other, entry)| (*other, &entry.listener));
        match (all.next(), all.next()) {
            // It leaves, and says so.
            (None, _) => true,
            (Some((only, _)), None) => only == handle,
            _ => self.chosen_listener(&own.listener, question) == Some(handle),
        }
    }

    #[cold]
    fn chosen_listener(&self, own: &Listener, question: &Subject) -> Option<Handle> {
        let id = question.last_token();
        let all = || {
            let listeners = self.listeners.iter().map(|(other, entry)| (*other, &entry.listener));
            listeners.filter(|(_, listener)| listener.shares_questions(own))
        };
        if let Some((owner, _)) = all().find(|(_, listener)| listener.has_socket(id)) {
            return Some(owner);
        }
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let count = all().count();
        let position = SeededEntropy::new(hasher.finish()).below(count);
        all().nth(position).map(|(chosen, _)| chosen)
    }

    /// The client of a listener's socket has heard of it.
    pub(super) fn note_proven(&mut self, handle: Handle) {
        if let Some(AnySocket::Server(socket, listener, _)) = self.sockets.get(&handle)
            && let Some(entry) = self.listeners.get_mut(listener)
        {
            entry.listener.handle_proven(socket.id());
        }
    }

    /// Returns a listener with what belongs to it.
    pub(super) fn listener(&self, handle: Handle) -> Option<&ListenerEntry> {
        self.listeners.get(&handle)
    }

    /// Returns a listener with what belongs to it, to change it.
    pub(super) fn listener_mut(&mut self, handle: Handle) -> Option<&mut ListenerEntry> {
        self.listeners.get_mut(&handle)
    }

    /// Removes a listener.
    pub(super) fn remove_listener(&mut self, handle: Handle) -> Option<ListenerEntry> {
        self.listeners.remove(&handle)
    }

    /// Removes a socket, and from its listener if it has one. Returns that one.
    pub(super) fn remove_socket(&mut self, handle: Handle) -> Option<Handle> {
        let socket = self.sockets.remove(&handle);
        self.deadlines.set(handle, None);
        let Some(AnySocket::Server(socket, listener, _)) = socket else { return None };
        self.with_listener(listener, |listener| listener.remove(socket.id()));
        Some(listener)
    }

    /// Returns the peer of a socket, if the two belong together.
    pub(super) fn peer_of(&self, handle: Handle) -> Option<Subject> {
        self.sockets.get(&handle)?.end().peer_subject()
    }

    /// Returns the handles of all sockets.
    pub(super) fn sockets(&self) -> Vec<Handle> {
        self.sockets.keys().copied().collect()
    }

    /// Returns the handles of all listeners.
    pub(super) fn listeners(&self) -> Vec<Handle> {
        self.listeners.keys().copied().collect()
    }

    /// Returns something whose outputs are to be drained.
    pub(super) fn pop_dirty(&mut self) -> Option<Dirty> {
        self.dirty.pop_front()
    }

    /// Takes the outputs of a socket. The queue goes back with [`Self::finish_drain`].
    pub(super) fn take_outputs(&mut self, handle: Handle) -> VecDeque<Output> {
        self.sockets
            .get_mut(&handle)
            .map_or_else(VecDeque::new, |socket| std::mem::take(socket.end_mut().outputs()))
    }

    /// Takes back the queue of a socket that has been drained, and notes when it is due, unless it rests.
    pub(super) fn finish_drain(&mut self, handle: Handle, drained: VecDeque<Output>, rests: bool) -> Drained {
        let is_untimed = rests || self.is_untimed(handle);
        let Some(socket) = self.sockets.get_mut(&handle) else { return Drained::Done };
        let socket = socket.end_mut();
        let outputs = socket.outputs();
        if !outputs.is_empty() {
            return Drained::Again(std::mem::replace(outputs, drained));
        }
        self.queues.take_back(drained);
        self.queues.reclaim(outputs);
        if !is_untimed {
            self.deadlines.set(handle, socket.poll_timeout());
        }
        if socket.is_closed() { Drained::Closed } else { Drained::Done }
    }

    /// Whether its deadline is looked up when somebody wants to know: it will have another one as soon as it
    /// is flushed.
    fn is_untimed(&self, handle: Handle) -> bool {
        self.unflushed.len() <= MAX_UNTIMED && self.unflushed.contains(&handle)
    }

    /// Notes the deadlines of those that have not been flushed.
    pub(super) fn settle_deadlines(&mut self) {
        for handle in &self.unflushed {
            if let Some(socket) = self.sockets.get(handle) {
                self.deadlines.set(*handle, socket.end().poll_timeout());
            }
        }
    }

    /// Returns a socket that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Handle> {
        self.deadlines.pop_due(now)
    }

    /// Returns when the next socket is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let untimed = self.unflushed.iter().take(MAX_UNTIMED).filter_map(|handle| self.sockets.get(handle));
        untimed.fold(self.deadlines.next(), |at, socket| earliest([at, socket.end().poll_timeout()]))
    }

    /// Returns how many sockets have a deadline.
    pub(super) fn timers(&self) -> usize {
        self.deadlines.len()
    }

    /// Returns how many sockets and listeners are to be drained.
    pub(super) fn undrained(&self) -> usize {
        self.dirty.len()
    }

    /// Returns how many clients listeners wait for.
    pub(super) fn arriving(&self) -> usize {
        self.listeners.values().map(|entry| entry.listener.arriving()).sum()
    }

    /// Returns what each socket keeps.
    pub(super) fn usage(&self) -> impl Iterator<Item = (Handle, SocketUsage)> {
        self.sockets.iter().map(|(handle, socket)| (*handle, socket.end().usage()))
    }

    /// Returns whether a socket may have something to send that waits for the end of the batch.
    pub(super) fn has_unflushed(&self) -> bool {
        !self.unflushed.is_empty()
    }

    /// Lets every socket send what follows from the batch, and notes what comes to it in pieces. Their
    /// outputs are to be drained. `are_fresh`: without those that have had their turn, and wait for the next
    /// one. Returns whether anything came in pieces.
    pub(super) fn flush(&mut self, now: Instant, intake: &mut Intake, are_fresh: bool) -> bool {
        let (mut handles, mut had_turn) = (std::mem::take(&mut self.unflushed), None::<BTreeSet<Handle>>);
        let mut has_claim = false;
        let first = if are_fresh { self.waiting_turn } else { 0 };
        let mut waiting = first;
        for at in first..handles.len() {
            let handle = handles[at];
            if had_turn.as_ref().is_some_and(|had_turn| had_turn.contains(&handle)) {
                continue;
            }
            let Some(socket) = self.sockets.get_mut(&handle) else { continue };
            let mut has_changed = false;
            if !(are_fresh && socket.end().waits_for_turn()) {
                let end = socket.end_mut();
                self.queues.fill(end.outputs());
                end.flush(now);
                if let Some(claim) = end.take_claim() {
                    has_claim = true;
                    intake.handle_claim(now, handle, socket.payer(handle), claim);
                }
                let end = socket.end_mut();
                has_changed = !end.outputs().is_empty() || end.is_closed();
                if !has_changed {
                    self.queues.reclaim(end.outputs());
                    self.deadlines.set(handle, end.poll_timeout());
                }
            }
            let waits = socket.end().waits_for_turn();
            if has_changed {
                self.mark_dirty(Dirty::Socket(handle));
            }
            if waits {
                had_turn.get_or_insert_default().insert(handle);
                handles[waiting] = handle;
                waiting += 1;
            }
        }
        handles.truncate(waiting);
        (self.unflushed, self.waiting_turn) = (handles, waiting);
        has_claim
    }

    fn mark_unflushed(&mut self, handle: Handle) {
        if self.unflushed.last() == Some(&handle) {
            return;
        }
        self.unflushed.push(handle);
        // Without a link nothing is fetched.
        if self.unflushed.len() > 2 * self.sockets.len() + MIN_UNFLUSHED {
            self.settle_deadlines();
            self.unflushed.sort_unstable();
            self.unflushed.dedup();
            self.waiting_turn = 0;
        }
    }

    /// Something was done with a socket. If it has outputs they are to be drained; if not, it may be due at
    /// another time, which is looked up when it has been flushed.
    fn handle_touched(&mut self, handle: Handle, is_changed: bool) {
        self.mark_unflushed(handle);
        if is_changed {
            self.mark_dirty(Dirty::Socket(handle));
        } else if self.unflushed.len() > MAX_UNTIMED
            && let Some(socket) = self.sockets.get_mut(&handle)
        {
            let socket = socket.end_mut();
            self.queues.reclaim(socket.outputs());
            self.deadlines.set(handle, socket.poll_timeout());
        }
    }

    fn mark_dirty(&mut self, dirty: Dirty) {
        // A burst of messages is for one socket most of the time.
        if self.dirty.back() != Some(&dirty) {
            self.dirty.push_back(dirty);
        }
    }
}

/// Sockets whose deadlines are looked up instead of noted.
const MAX_UNTIMED: usize = 16;
/// Marks that are kept before duplicates are removed.
const MIN_UNFLUSHED: usize = 64;
