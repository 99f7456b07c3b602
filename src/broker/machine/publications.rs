//! Publications on their way through: checked, routed, counted.

use std::time::{Duration, Instant};

use super::super::account::{Account, Owner};
use super::super::budget::Kept;
use super::super::chunk_assignments::MESSAGE_MEMORY;
use super::super::error::Refusal;
use super::super::given_requests::{AnswerId, Names};
use super::super::outbox::Sent;
use super::super::peer::Peer;
use super::super::router::{Choice, Way};
use super::super::upstream::Class;
use super::super::{JournalKind, PeerId, RefusedOp, limits};
use super::Broker;
use crate::subject::Pattern;
use crate::wire::{AckId, Carrier, OriginStamp, Publication, Reply, ServerOp, SocketCommand};

impl Broker {
    /// Publishes. Returns the number of receivers, or why it has none.
    pub(super) fn publish(&mut self, now: Instant, publisher: PeerId, publication: Publication) -> Reply {
        match self.deliver_here(now, publisher, publication, Choice::ByPattern) {
            Ok(Reached { count, .. }) => Reply::Published { count },
            Err(refusal) => self.refuse_publish(publisher, refusal),
        }
    }

    /// Publishes what wants an answer, or several. If one connection alone has got it, that owes the answer.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        asker: PeerId,
        (ack, wants_several): (AckId, bool),
        publication: Publication,
    ) -> Reply {
        let place = publication.headers.reply.as_ref().filter(|_| !wants_several);
        let answer = place.map(|place| self.names.answer(place));
        match self.deliver_here(now, asker, publication, Choice::ByPattern) {
            Ok(Reached { count, receiver, .. }) => {
                if let Some(receiver) = receiver.filter(|_| count == 1) {
                    self.note_given(receiver, asker, ack, answer);
                }
                Reply::Published { count }
            }
            Err(refusal) => self.refuse_publish(asker, refusal),
        }
    }

    /// Whether a peer can be told that its responder has ended. Conat's protocol cannot express it.
    pub(super) fn hears_of_ends(&self, peer: PeerId) -> bool {
        self.peers.get(peer).is_some_and(|entry| entry.carrier != Carrier::Conat)
    }

    /// Returns the answer to a publish that is refused.
    pub(super) fn refuse_publish(&mut self, publisher: PeerId, refusal: Refusal) -> Reply {
        self.note_of(JournalKind::PublishRefused, publisher, refusal.kind().name(), |_| refusal.to_string());
        self.totals.publishes_refused += 1;
        self.totals.count_refusal(RefusedOp::Publish, refusal.kind());
        Reply::Error(refusal.into())
    }

    /// Delivers to whoever is here; to groups that another fabric could choose for as well as `Choice` says.
    pub(super) fn deliver_here(
        &mut self,
        now: Instant,
        publisher: PeerId,
        publication: Publication,
        choice: Choice,
    ) -> Result<Reached, Refusal> {
        let result = self.try_publish(now, publisher, publication, choice);
        self.settle_unfinished();
        result
    }

    /// Notes that a publication is refused, where the rest of its message is to be refused for the same.
    #[cold]
    fn note_refused(
        &mut self,
        now: Instant,
        publisher: PeerId,
        (publication, refusal): (&Publication, Refusal),
    ) {
        let is_begun = matches!(refusal, Refusal::TooBig { .. })
            && (publication.position().0 > 0 || !publication.is_done());
        if !is_begun || self.peers.keep(publisher, Kept::Chunks, MESSAGE_MEMORY).is_err() {
            return;
        }
        self.peers.give_back(publisher, Kept::Chunks, MESSAGE_MEMORY);
        let owner = self.peers.get(publisher).map_or(Owner::Network(None), |entry| entry.owner);
        let memory = self.router.note_too_big(now, (publisher, owner), publication);
        if memory > 0 {
            self.peers.keep_more(publisher, Kept::Chunks, memory);
        }
    }

    fn try_publish(
        &mut self,
        now: Instant,
        publisher: PeerId,
        mut publication: Publication,
        choice: Choice,
    ) -> Result<Reached, Refusal> {
        if let Err(refusal) = limits::check_publication(&self.config, &publication) {
            self.note_refused(now, publisher, (&publication, refusal));
            return Err(refusal);
        }
        let is_private = self.is_private(&publication);
        let (messages, size) = (publication.count(), publication.payload_bytes());
        let Self { peers, router, totals, entropy, effort, networks, names, .. } = self;
        let publishing = peers.get(publisher);
        let sender = publishing.map_or(Account::Connection(publisher), |entry| entry.account);
        // Its last part ends a request.
        let answering = publishing.filter(|entry| entry.askers.is_some() && publication.is_done());
        let answering = answering.and_then(|entry| entry.asked);
        let owner = publishing.map_or(Owner::Network(None), |entry| entry.owner);
        // Where a fabric above has others who get it, nobody has to do without for one who is slow.
        let is_told = publishing.filter(|_| choice == Choice::ByPattern).map(|_| now);
        if tells_origin(&publication) {
            let is_connect = publication.headers.command == Some(SocketCommand::Connect);
            if is_connect && publishing.is_some_and(|entry| cannot_be_answered(entry, &publication)) {
                return Ok(Reached { count: 0, has_owner: true, receiver: None });
            }
            // So that a listener knows users, and can tell them apart.
            publication.headers.stamp_origin(peers.get(publisher).map(|entry| OriginStamp {
                number: sender.origin(),
                user: Some(&entry.user).filter(|_| is_connect),
                network: is_connect.then(|| networks.number(&mut **entropy, &entry.address)).flatten(),
            }));
        }
        let begins = publication.position() == (0, false);
        if begins {
            peers.keep(publisher, Kept::Chunks, MESSAGE_MEMORY)?;
        }
        let (mut has_owner, mut receiver) = (false, None);
        let routed = router.route(
            now,
            (publisher, sender, owner),
            publication,
            (self.config.max_message_bytes, choice),
            &mut **entropy,
            |peer, pattern, publication, (is_shared, is_only, way)| {
                if is_private && !peers.get(peer).is_some_and(|receiver| receiver.is_internal) {
                    return false;
                }
                let (messages, size) = (publication.count(), publication.payload_bytes());
                let is_tap = pattern.is_silent();
                let answer = answering.and_then(|_| answer_for(peers.get(peer), names, &publication));
                let delivery = ServerOp::Deliver { pattern: pattern.clone(), publication };
                *effort += DELIVERY_EFFORT;
                // It is told, and nobody else gets what the receiver does not.
                let refused_at = is_told.filter(|_| is_only);
                let sent = Sent { sender, is_shared, refused_at };
                let is_delivered = peers.deliver(peer, delivery, sent, messages, size);
                has_owner |= is_delivered && is_owner_here(way, peers.get(peer), now);
                if is_delivered {
                    totals.delivered.add(messages, size);
                    if !is_tap {
                        receiver = Some(peer);
                    }
                    if let (Some(asked), Some(answer)) = (answering, answer) {
                        peers.handle_answer(peer, asked, answer);
                    }
                }
                is_delivered
            },
        );
        if begins {
            peers.give_back(publisher, Kept::Chunks, MESSAGE_MEMORY);
        }
        let (routed, is_refused) = (routed?, peers.take_refused());
        if routed.memory > 0 {
            peers.keep_more(publisher, Kept::Chunks, routed.memory);
        }
        if is_refused {
            return Err(Refusal::ReceiverFull);
        }
        totals.published.add(messages, size);
        if let Some(entry) = peers.get_mut(publisher) {
            entry.published.add(messages, size);
        }
        Ok(Reached { count: routed.count, has_owner: has_owner && !routed.skipped, receiver })
    }
}

/// Whether listeners are told whose a message is: a `connect`, or a question who serves.
pub(super) fn tells_origin(publication: &Publication) -> bool {
    let headers = &publication.headers;
    headers.command == Some(SocketCommand::Connect)
        || (headers.reply.is_some() && publication.subject.as_str().ends_with(".server.status"))
}

/// Whether this asks whoever listens to accept a socket, right behind a subscription that was refused: the
/// listener would have a connection with nobody.
fn cannot_be_answered(asker: &Peer, connect: &Publication) -> bool {
    let own_end = || Pattern::parse(&connect.connecting_end()?).ok();
    asker.lacks_subscriptions && own_end().is_some_and(|end| !asker.subscriptions.contains_key(&end))
}

/// The request that a publication may answer: whoever gets it has asked.
#[cold]
fn answer_for(receiver: Option<&Peer>, names: &Names, publication: &Publication) -> Option<AnswerId> {
    let asks = receiver.and_then(|entry| entry.asks.as_ref())?;
    asks.has_unanswered().then(|| names.answer(&publication.subject))
}

/// Whom a publication has reached here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    /// Deliveries, taps not counted.
    pub(super) count: u64,
    /// The one whom it is for.
    pub(super) has_owner: bool,
    /// The last one, taps not counted.
    pub(super) receiver: Option<PeerId>,
}

/// Returns whether what has reached a subscription need not go anywhere else: it is for this client alone,
/// who was heard a moment ago, or he may have a newer connection elsewhere; and he has not just taken the
/// place of somebody, who is to be told of that, wherever he is.
fn is_owner_here(way: Way, peer: Option<&Peer>, now: Instant) -> bool {
    let age = |at: Instant| now.saturating_duration_since(at);
    let is_heard = |peer: &Peer| peer.is_local || peer.heard_at.is_some_and(|at| age(at) < HEARD);
    way.class == Class::Direct && age(way.since) >= SETTLED && peer.is_some_and(is_heard)
}

/// How long the owner of a subject counts as here after his last word.
const HEARD: Duration = Duration::from_secs(1);
/// How old a subscription is whose owner's predecessor knows of him.
const SETTLED: Duration = Duration::from_secs(2);

/// A delivery, in steps of a look for patterns: a few nanoseconds each.
const DELIVERY_EFFORT: u64 = 16;
