//! Watches the other ends of the sockets, and tells them what became of those.

use std::time::{Duration, Instant};

use super::super::Token;
use super::super::probes::Finding;
use super::super::watches::{EndKey, Notice, key};
use super::Endpoint;
use crate::base::Handle;
use crate::client::{Request, RequestKind};
use crate::socket::WatchedEnd;
use crate::subject::Subject;
use crate::wire::{Headers, Info, Message, Payload, Presence, PresenceChange, WatchRequest};

impl Endpoint {
    /// Watches the peer of a socket, from the moment at which the two belong together.
    pub(super) fn watch_peer(&mut self, now: Instant, socket: Handle) {
        if let Some(peer) = self.table.peer_of(socket) {
            self.begin_watch(now, socket, WatchedEnd::Peer, &peer);
        }
    }

    pub(super) fn unwatch_peer(&mut self, socket: Handle) {
        if let Some(peer) = self.table.peer_of(socket) {
            self.end_watch(socket, WatchedEnd::Peer, &peer);
        }
        self.unwatch_others(socket);
    }

    /// Watches whether there is another server for a socket whose own one is away.
    pub(super) fn watch_others(&mut self, now: Instant, socket: Handle, subject: Subject) {
        self.begin_watch(now, socket, WatchedEnd::Others, &subject);
        let key = key(WatchedEnd::Others, &subject);
        if self.is_untold(&key) {
            self.probes.await_end(now, key, subject.clone());
        }
        self.others.insert(socket, subject);
    }

    pub(super) fn unwatch_others(&mut self, socket: Handle) {
        if let Some(subject) = self.others.remove(&socket) {
            self.end_watch(socket, WatchedEnd::Others, &subject);
        }
    }

    /// The peer of a socket may be gone. Where the broker tells of ends it would have told.
    pub(super) fn suspect(&mut self, now: Instant, socket: Handle) {
        let Some(peer) = self.table.peer_of(socket).filter(|_| self.ready) else { return };
        let key = key(WatchedEnd::Peer, &peer);
        if self.is_untold(&key) {
            self.probes.suspect(now, key, peer);
            self.look_up(now);
        } else if let Some(presence) = self.watches.absence_of(&key) {
            // A message from before its end has come late, and looked like its return: the broker tells only
            // what is new.
            self.table.with_socket(socket, |socket| {
                socket.handle_presence(now, WatchedEnd::Peer, presence, 1);
            });
        }
    }

    /// A socket is about to give up its peer: whether it is back is looked up, where the broker does not
    /// tell.
    pub(super) fn look_up_peer(&mut self, now: Instant, socket: Handle) {
        if !self.try_look_up_peer(now, socket) {
            self.table.with_socket(socket, |socket| socket.handle_missed(now));
        }
    }

    /// Returns whether the peer of a socket is looked up at once.
    fn try_look_up_peer(&mut self, now: Instant, socket: Handle) -> bool {
        let Some(peer) = self.table.peer_of(socket).filter(|_| self.ready) else { return false };
        let key = key(WatchedEnd::Peer, &peer);
        let is_untold = self.is_untold(&key);
        if is_untold {
            self.probes.look_up(now, key, peer);
            self.look_up(now);
        }
        is_untold
    }

    /// Whether the broker does not tell of this end.
    fn is_untold(&self, key: &EndKey) -> bool {
        !self.client.watches_ends() || self.watches.is_unknown(key)
    }

    /// Looks up the ends that are due.
    pub(super) fn look_up(&mut self, now: Instant) {
        while let Some((number, subject)) = self.probes.poll_probe(now) {
            let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
            let (kind, timeout) = (RequestKind::Interest, Duration::ZERO);
            let request = Request { kind, message, timeout, wait_for_interest: false, ttl: None };
            self.client.request_within(now, Some(Token::Probe(number)), request);
        }
    }

    pub(super) fn handle_probed(&mut self, now: Instant, number: u32, there: Option<bool>) {
        let (key, presence) = match self.probes.handle_answer(now, number, there) {
            Some(Finding::Absent(key)) => (key, Presence::Absent),
            Some(Finding::Found(key)) => (key, Presence::Here),
            None => return,
        };
        for socket in self.watches.note(&key, presence) {
            self.table.with_socket(socket, |socket| match (key.0, presence) {
                (WatchedEnd::Peer, Presence::Here) => socket.handle_found(now),
                (end, presence) => socket.handle_presence(now, end, presence, 1),
            });
            match (key.0, presence) {
                (WatchedEnd::Peer, Presence::Absent) => {
                    self.table.with_socket(socket, |socket| socket.handle_missed(now));
                }
                // It may be the own one, which is back.
                (WatchedEnd::Others, Presence::Here) => {
                    self.try_look_up_peer(now, socket);
                }
                _ => {}
            }
        }
    }

    /// Notes which broker it is.
    pub(super) fn note_instance(&mut self, info: &Info) {
        self.instance_changed = self.instance.is_some() && self.instance != info.instance;
        self.instance.clone_from(&info.instance);
    }

    /// Asks a broker that knows nothing for everything that is watched. What lived in the one before is gone.
    pub(super) fn renew_watches(&mut self, now: Instant) {
        let (requests, gone) = self.watches.renew(self.instance_changed);
        self.client.watch(requests);
        gone.into_iter().for_each(|notice| self.tell_sockets(now, notice));
    }

    pub(super) fn handle_watched(&mut self, now: Instant, change: PresenceChange) {
        let Some(notice) = self.watches.handle_change(change) else { return };
        self.tell_sockets(now, notice);
        // A gateway knows its own clients: whoever has left it may be at another one.
        if let Some((key, is_away)) = self.watches.untold(change.id)
            && (is_away || key.0 == WatchedEnd::Others)
            && let Some(subject) = self.subject_of(&key)
        {
            self.probes.await_end(now, key, subject);
        }
    }

    /// Returns the subject that is looked up for an end.
    fn subject_of(&self, (end, text): &EndKey) -> Option<Subject> {
        let sockets = self.watches.sockets_of(&(*end, text.clone()));
        match end {
            // Of a server's sockets any will do.
            WatchedEnd::Peer => sockets.iter().find_map(|socket| self.table.peer_of(*socket)),
            WatchedEnd::Others => Subject::parse(text).ok(),
        }
    }

    fn tell_sockets(&mut self, now: Instant, notice: Notice) {
        let Notice { end, presence, crowd, is_reachable_again, sockets } = notice;
        for socket in sockets {
            self.table.with_socket(socket, |socket| {
                if is_reachable_again && end == WatchedEnd::Peer && !socket.is_closed() {
                    socket.handle_fabric_up(now);
                }
                socket.handle_presence(now, end, presence, crowd);
            });
        }
    }

    fn begin_watch(&mut self, now: Instant, socket: Handle, end: WatchedEnd, subject: &Subject) {
        let (request, known) = self.watches.begin(socket, end, subject);
        self.send_watch(request);
        // That its peer is there is no news; that others are is, where the broker tells when they are not.
        let is_news = |presence: &Presence| match end {
            WatchedEnd::Peer => *presence != Presence::Here,
            WatchedEnd::Others => !self.is_untold(&key(end, subject)),
        };
        if let Some(presence) = known.filter(|presence| self.ready && is_news(presence)) {
            self.table.with_socket(socket, |socket| socket.handle_presence(now, end, presence, 1));
        }
    }

    fn end_watch(&mut self, socket: Handle, end: WatchedEnd, subject: &Subject) {
        let request = self.watches.end(socket, end, subject);
        if request.is_some() {
            self.probes.forget(&key(end, subject));
        }
        self.send_watch(request);
    }

    /// Before the connection is ready nothing needs to be asked: then all is.
    fn send_watch(&mut self, request: Option<WatchRequest>) {
        if self.ready {
            self.client.watch(request.into_iter().collect());
        }
    }
}
