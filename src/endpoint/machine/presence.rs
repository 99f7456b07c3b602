//! Watches the other ends of the sockets, and tells them what became of those.

use std::time::Instant;

use super::super::watches::Notice;
use super::Endpoint;
use crate::base::Handle;
use crate::socket::WatchedEnd;
use crate::subject::Subject;
use crate::wire::{Info, Presence, PresenceChange, WatchRequest};

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
        self.others.insert(socket, subject);
    }

    pub(super) fn unwatch_others(&mut self, socket: Handle) {
        if let Some(subject) = self.others.remove(&socket) {
            self.end_watch(socket, WatchedEnd::Others, &subject);
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
        if let Some(notice) = self.watches.handle_change(change) {
            self.tell_sockets(now, notice);
        }
    }

    fn tell_sockets(&mut self, now: Instant, notice: Notice) {
        let Notice { end, presence, crowd, sockets } = notice;
        for socket in sockets {
            self.table.with_socket(socket, |socket| socket.handle_presence(now, end, presence, crowd));
        }
    }

    fn begin_watch(&mut self, now: Instant, socket: Handle, end: WatchedEnd, subject: &Subject) {
        let (request, known) = self.watches.begin(socket, end, subject);
        self.send_watch(request);
        if let Some(presence) = known.filter(|presence| *presence != Presence::Here && self.ready) {
            self.table.with_socket(socket, |socket| socket.handle_presence(now, end, presence, 1));
        }
    }

    fn end_watch(&mut self, socket: Handle, end: WatchedEnd, subject: &Subject) {
        let request = self.watches.end(socket, end, subject);
        self.send_watch(request);
    }

    /// Before the connection is ready nothing needs to be asked: then all is.
    fn send_watch(&mut self, request: Option<WatchRequest>) {
        if self.ready {
            self.client.watch(request.into_iter().collect());
        }
    }
}
