//! A connection that is replaced by one to another server while it stands ([`crate::wire::nats::Handover`]).

use std::hash::BuildHasher;

use super::{Client, SIGN_IN_WORDS};
use crate::subject::{Pattern, Subject};
use crate::wire::message::{Form, Json, Publication, ServerOp, SocketCommand};
use crate::wire::nats::Reach;
use crate::wire::nats::commands::{Sink, push_sub};

impl Client {
    /// Returns whether everything that was said is settled, and nothing waits to be said.
    pub fn is_idle(&self) -> bool {
        self.fences.is_settled() && !self.fences.is_open() && self.connects.len() == 0
    }

    /// Returns whether another connection is to another server, which takes whatever was cut to fit this one.
    pub fn fits(&self, next: &Self) -> bool {
        next.info.server_id != self.info.server_id && next.info.max_payload >= self.info.max_payload
    }

    /// Subscribes another connection, which has no subscriptions yet, to all that this one is subscribed to.
    pub fn repeat(&self, next: &mut Self, out: &mut impl Sink) {
        for (pattern, queue, sid) in self.subscriptions.all() {
            push_sub(out.gather(), pattern.as_str(), queue, sid);
        }
        for (sid, (pattern, queue)) in &self.memberships {
            push_sub(out.gather(), pattern.as_str(), Some(queue), *sid);
        }
        next.subscriptions = self.subscriptions.repeated();
        next.memberships.clone_from(&self.memberships);
        next.inbox.clone_from(&self.inbox);
        next.words = self.words.min(SIGN_IN_WORDS);
        next.contents = self.contents.clone();
        next.push_ping(out);
    }

    /// Takes over what still waits at a connection that has ended, and asks about it.
    pub fn adopt(&mut self, old: &mut Self, out: &mut impl Sink) {
        self.dropped += old.dropped;
        self.probes = self.probes.max(old.probes);
        for (ack, subject) in self.waits.adopt(std::mem::take(&mut old.waits)) {
            self.probe(out, ack, subject);
        }
        self.ready.append(&mut old.ready);
    }

    /// Returns which connections an operation of the server comes on.
    pub fn reach(&self, op: &ServerOp) -> Reach {
        match op {
            ServerOp::Deliver { pattern, .. } if self.subscriptions.is_shared(pattern) => Reach::Share,
            ServerOp::Deliver { pattern, publication } => Reach::Copy(self.content(pattern, publication)),
            _ => Reach::Word,
        }
    }

    /// Returns what a message for a pattern is known by.
    fn content(&self, pattern: &Pattern, publication: &Publication) -> u64 {
        let Publication { subject, form, payload, headers } = publication;
        let part =
            if let Form::Chunk(chunk) = form { Some((&*chunk.id, chunk.seq, chunk.done)) } else { None };
        let names = (pattern.as_str(), subject.as_str(), headers.reply.as_ref().map(Subject::as_str));
        let socket = (headers.seq(), headers.attempt(), headers.command.as_ref().map(SocketCommand::as_str));
        let json = headers.json.as_ref().map(Json::as_bytes);
        self.contents.hash_one((names, part, socket, json, payload.encoding.0, &payload.raw[..]))
    }
}
