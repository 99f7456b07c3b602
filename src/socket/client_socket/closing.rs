//! The end of a client socket.

use std::time::Instant;

use super::super::{CloseReason, SocketEvent, TagKind};
use super::{ClientSocket, Output, Phase, Subscribed};

impl ClientSocket {
    pub(super) fn check_end(&mut self, now: Instant) {
        if self.phase == Phase::Closed || !self.pending_close.is_requested() {
            return;
        }
        let nothing_left = self.phase != Phase::AwaitingClosed && self.channel.unacked() == 0;
        if self.pending_close.is_overdue(now) || (nothing_left && !self.channel.is_attached()) {
            self.close(CloseReason::Local);
        } else if nothing_left {
            self.tell_closed();
            self.phase = Phase::AwaitingClosed;
        }
    }

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
        self.phase = Phase::Closed;
        let undelivered = self.channel.take_undelivered();
        self.channel.detach();
        self.channel.fail_requests();
        self.emit(SocketEvent::Closed { reason, undelivered });
        self.channel.outputs.extend(self.pending_close.take().into_iter().map(Output::Ended));
    }
}
