//! The end of a client socket.

use super::super::{CloseReason, TagKind};
use super::{ClientSocket, Output, Phase, Subscribed};

impl ClientSocket {
    /// Unsubscribes and sends `close` to the server, if there is one. A request, as the original's servers
    /// expect; only `end` waits for the reply.
    pub(super) fn tell_closed(&mut self) {
        if self.phase == Phase::AwaitingClosed {
            return;
        }
        self.drop_subscription();
        if let Some(server) = self.server_subject().filter(|_| self.fabric && self.attempt > 0) {
            let headers = self.channel.closing(Some(self.id()));
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
        self.channel.finish(reason);
    }
}
