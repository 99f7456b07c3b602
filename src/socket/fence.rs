//! Keeps two incarnations of one socket apart (docs/protocols/socket.md).

use std::time::Instant;

use super::{Channel, PeerMisbehaved, control};
use crate::wire::{Headers, Message, Payload};

impl Channel {
    /// Requires the epoch from now on, because the peer knows epochs, too.
    pub(super) fn fence(&mut self) {
        self.fenced = self.config.epoch.is_some();
    }

    /// Returns whether a message of the channel is from, or for, another incarnation of this socket. Requests
    /// of applications bear no epoch.
    pub(super) fn is_foreign(&self, headers: &Headers) -> bool {
        if self.has_abandoned() && self.is_of_abandoned(headers) {
            return true;
        }
        let is_channels = headers.command.is_some() || headers.reply.is_none();
        match (self.config.epoch, headers.attempt()) {
            (Some(own), Some(other)) => own != other,
            (Some(_), None) => self.fenced && is_channels,
            (None, _) => false,
        }
    }

    /// Notes a tag that was offered to a server which may not be ours; `joins`: to whoever listens.
    pub(super) fn abandon_tag(&mut self, tag: u64, joins: bool) {
        if self.abandoned.len() >= MAX_ABANDONED {
            self.abandoned.remove(0);
        }
        self.abandoned.push((tag, joins));
    }

    /// Returns whether there are such tags.
    pub(super) fn has_abandoned(&self) -> bool {
        !self.abandoned.is_empty()
    }

    /// Returns how this tag was offered, if it is one of them.
    pub(super) fn abandoned(&self, tag: u64) -> Option<bool> {
        self.abandoned.iter().find(|(abandoned, _)| *abandoned == tag).map(|(_, joins)| *joins)
    }

    /// Returns whether this is from one who has taken up such an offer: nobody else marks what it sends here
    /// with a tag, as far as neither end has an epoch.
    pub(super) fn is_of_abandoned(&self, headers: &Headers) -> bool {
        let is_tagless = self.stream().is_none() && self.config.epoch.is_none();
        headers
            .attempt()
            .is_some_and(|tag| (is_tagless && tag > MAX_ATTEMPT) || self.abandoned(tag).is_some())
    }

    /// Tells the sender of such a message that it is superseded, if it waits for a reply. Returns whether
    /// there is nothing else to tell it: it does, or strangers have been told enough.
    pub(super) fn refuse_foreign(&mut self, now: Instant, message: &Message) -> bool {
        self.note_foreign(now, &PeerMisbehaved::OfAnother);
        let is_silent = !self.admission.may_answer_foreign(now);
        if !is_silent {
            self.respond_with(message, Payload::NIL, control::superseded(message.headers.attempt()));
        }
        is_silent || message.headers.reply.is_some()
    }

    /// Returns the epoch that goes with each message of the channel.
    pub(super) fn fence_epoch(&self) -> Option<u64> {
        self.config.epoch.filter(|_| self.fenced)
    }
}

/// Attempts are counted. A tag is a number that is drawn: hardly any is as small.
const MAX_ATTEMPT: u64 = 1 << 32;
/// Tags of servers that may have taken the socket, and were given up, that are remembered.
const MAX_ABANDONED: usize = 16;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::socket::{Offer, ServerSocket, SocketConfig, SocketEnd};
    use crate::subject::Subject;
    use crate::wire::{Bundle, PackedBuilder};

    #[test]
    fn once_the_peer_speaks_of_epochs_what_bears_none_is_not_from_it() {
        let config = SocketConfig { epoch: Some(5), ..SocketConfig::default() };
        let mut channel = Channel::new(config.into());
        let data = |attempt| Headers::numbered(Some(1), attempt);
        assert!(!channel.is_foreign(&data(None)));
        channel.fence();
        let judged = [None, Some(4), Some(5), Some(6)].map(|attempt| channel.is_foreign(&data(attempt)));
        assert_eq!(judged, [true, true, false, true]);
        // A request of the application.
        let reply = Subject::parse("_INBOX.a").ok();
        assert!(!channel.is_foreign(&Headers::default().with_reply(reply)));
    }

    #[test]
    fn in_the_stream_messages_in_a_row_are_taken_together_also_by_a_socket_with_an_epoch() {
        let config = Arc::new(SocketConfig { epoch: Some(5), ..SocketConfig::default() });
        let (now, subject) = (Instant::now(), Subject::parse("a").expect("valid"));
        let offer = Offer::new(8, None, &config);
        let mut socket = ServerSocket::with_stream(now, subject.clone(), config, &offer, 7);
        let mut builder = PackedBuilder::new(&Payload::NIL, None);
        builder.push(&Payload::NIL, None);
        let packed = builder.finish();
        let bundle =
            |attempt| Bundle { subject: subject.clone(), first: Some(1), attempt, packed: packed.clone() };
        assert!(!socket.try_accept_bundle(now, &bundle(Some(5))), "the tag proves who it is from");
        assert!(socket.try_accept_bundle(now, &bundle(Some(7))));
    }
}
