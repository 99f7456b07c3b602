//! Notes what happens at a broker that is watched.

use super::super::journal::Noted;
use super::super::peer::Peer;
use super::super::{EndReason, JournalEntry, JournalKind, PeerId};
use super::Broker;

impl Broker {
    /// Takes what has happened since the last time, oldest first. Nothing unless
    /// [`BrokerConfig::is_watched`](super::super::BrokerConfig::is_watched).
    pub fn take_journal(&mut self) -> Vec<JournalEntry> {
        self.journal.take()
    }

    /// Notes what happened to a connection, or to what it wanted.
    pub(super) fn note(&mut self, kind: JournalKind, peer: PeerId, code: &str, text: &str) {
        self.note_of(kind, peer, code, |_| text.to_owned());
    }

    /// The same, with a text that only the connection has.
    pub(super) fn note_of(
        &mut self,
        kind: JournalKind,
        peer: PeerId,
        code: &str,
        text: impl FnOnce(&Peer) -> String,
    ) {
        let Self { journal, peers, .. } = self;
        if !journal.is_on() {
            return;
        }
        if let Some(entry) = peers.get(peer).filter(|entry| !entry.is_internal) {
            let who = Noted { id: &entry.name, address: &entry.address, carrier: entry.carrier };
            journal.note(kind, who, code, &text(entry));
        }
    }

    /// Notes that a connection that was signed in is gone.
    pub(super) fn note_end_of(&mut self, peer: PeerId, reason: EndReason) {
        let is_slow = reason == EndReason::SlowConsumer;
        let kind = if is_slow { JournalKind::SlowConsumer } else { JournalKind::Disconnect };
        self.note_of(kind, peer, reason.name(), |entry| entry.user.as_str().to_owned());
    }

    /// Notes what somebody has done to the broker by its monitor.
    pub fn note_action(&mut self, action: &str, text: &str) {
        self.journal.note(JournalKind::Action, Noted::default(), action, text);
    }

    /// Notes that no more connections are taken.
    pub(super) fn note_drain(&mut self) {
        self.journal.note(JournalKind::Drain, Noted::default(), "", "");
    }
}
