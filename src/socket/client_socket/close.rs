//! The end of a client socket.

use std::time::Instant;

use super::super::{CloseReason, TagKind, control};
use super::{ClientSocket, Output, Phase, Subscribed};

impl ClientSocket {
    /// Unsubscribes and sends `close` to the server, if there is one. A request, as the original's servers
    /// expect; only `end` waits for the reply.
    /// In the stream the close of an orderly end is sent again until its reply comes.
    pub(super) fn tell_closed(&mut self, reason: &CloseReason, waits_from: Option<Instant>) {
        if self.phase == Phase::AwaitingClosed {
            return;
        }
        let server = self.server_subject().filter(|_| self.fabric && self.attempt > 0);
        if self.channel.stream().is_some() {
            return self.say_stream_closed(server, reason, waits_from);
        }
        self.drop_subscription();
        if let Some(server) = server {
            let tag = self.offered.filter(|_| !self.binding.is_held());
            let headers = control::with_tag(self.channel.closing(Some(self.id())), tag);
            self.ask(TagKind::Close, server.to_string(), headers, false, self.channel.config.command_timeout);
        }
    }

    pub(super) fn drop_subscription(&mut self) {
        if self.subscribed != Subscribed::No {
            self.subscribed = Subscribed::No;
            self.channel.outputs.push_back(Output::Unsubscribe(self.mine.clone()));
        }
    }

    pub(super) fn finish(&mut self, reason: CloseReason) {
        self.drop_subscription();
        self.enter(Phase::Closed);
        self.channel.finish(&reason);
    }
}
