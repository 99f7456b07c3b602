//! Requests in the line of a socket's data: an answer belongs to its request, comes at most once and from the
//! peer only; requests and data keep the order of the calls; who is told that no handler had a request can
//! believe it.

use std::time::{Duration, Instant};

use selvedge::base::Few;
use selvedge::endpoint::Command;
use selvedge::socket::{AnswerLimits, AskTerms, Consumed};
use selvedge::wire::stream::{Answer, Cancel, CancelReason, Request, key};
use selvedge::wire::{Encoding, Item, Messages, Payload, push_item};

use crate::app::{Call, Sock, parse, payload};
use crate::world::World;

/// One request.
pub struct Ask {
    pub payload: Payload,
    /// How many handlers had it.
    pub handled: u32,
    pub outcome: Option<Answered>,
    /// Any number of answers is wanted.
    many: Option<Many>,
}

/// What came of a request for any number of answers.
struct Many {
    limits: AnswerLimits,
    /// When the wait for the next answer is over.
    until: Instant,
    /// Answers so far.
    count: u32,
    /// How many the handler gives, and whether it says their end.
    given: u32,
    is_end_said: bool,
}

impl Ask {
    fn new(payload: Payload, many: Option<Many>) -> Self {
        Self { payload, handled: 0, outcome: None, many }
    }

    /// How many answers have come, if there may be several.
    pub fn answers(&self) -> u32 {
        self.many.as_ref().map_or(0, |many| many.count)
    }

    /// Whether nothing is missing when all that the handler says has come.
    pub fn is_whole(&self) -> bool {
        self.many.as_ref().is_some_and(|many| {
            let AnswerLimits { max_messages, max_wait } = many.limits;
            many.is_end_said
                || max_messages.is_some_and(|most| most <= many.given)
                || max_wait.is_some() && many.given > 0
        })
    }
}

impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} handlers had it, {:?}", self.handled, self.outcome)
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    Answer,
    Failed { is_unhandled: bool },
    Cancelled,
}

/// The answer with this number, of many.
pub fn one_of_many(asked: &Payload, number: u32) -> Payload {
    Payload::msgpack([&asked.raw[..], &number.to_be_bytes()].concat())
}

/// No more answers follow.
pub fn answer_end(key: u64) -> Payload {
    let Payload { raw, .. } = Cancel { key, reason: CancelReason::Dropped }.encode();
    // Both begin with the key, and the end has nothing else.
    Payload { encoding: Encoding::ANSWER_END, raw: raw.slice(..raw.len() - 1) }
}

/// In the number of a request's payload: it is no data.
const ASKED: u64 = 1 << 40;

impl World {
    /// Writes (false) and asks (true) in one go, as far as there is room; returns the keys of what was asked.
    pub fn say(&mut self, sock: Sock, line: &[bool], timeout: Duration, size: usize) -> Vec<u64> {
        let is_frozen = self.nodes[sock.0].frozen_until.is_some();
        let (mut keys, mut messages) = (Vec::new(), Vec::new());
        for asks in line {
            let can = |side: &&mut crate::app::Side| side.is_open() && !side.ending && !is_frozen;
            let Some(side) = self.sides.get_mut(&sock).filter(can) else { break };
            if *asks {
                side.asked += 1;
                let key = side.asked;
                side.calls.push(Call::Ask(key));
                let payload = payload(side.writer, ASKED + key, size);
                let timeout = u64::try_from(timeout.as_millis()).unwrap_or(0);
                let request = Request { key, timeout, payload: payload.clone() }.encode(false);
                push_item(&mut messages, &request, None);
                self.asks.insert((sock, key), Ask::new(payload, None));
                keys.push(key);
            } else {
                let payload = payload(side.writer, side.written + 1, size);
                if !side.fits(payload.raw.len() as u64) {
                    continue;
                }
                side.written += 1;
                side.written_bytes += payload.raw.len() as u64;
                side.calls.push(Call::Data(side.written));
                push_item(&mut messages, &payload, None);
            }
        }
        let batches = Messages::split(messages.into()).expect("messages");
        if !batches.is_empty() {
            self.command(
                sock.0,
                Command::SocketWrite { sockets: Few::One(sock.1), batches, volatile: false },
            );
        }
        keys
    }

    /// Asks for any number of answers. Returns the key.
    pub fn ask_many(&mut self, sock: Sock, limits: AnswerLimits, timeout: Duration) -> u64 {
        let until = self.clock(sock.0) + timeout;
        let Some(side) = self.sides.get_mut(&sock).filter(|side| side.is_open() && !side.ending) else {
            return 0;
        };
        if self.nodes[sock.0].frozen_until.is_some() {
            return 0;
        }
        side.asked += 1;
        let key = side.asked;
        side.calls.push(Call::Ask(key));
        let payload = payload(side.writer, ASKED + key, 10);
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(0);
        let request = Request { key, timeout, payload: payload.clone() }.encode(true);
        self.asks.insert(
            (sock, key),
            Ask::new(payload, Some(Many { limits, until, count: 0, given: 0, is_end_said: false })),
        );
        let question = Item { payload: request, json: None };
        let terms = AskTerms { many: Some(limits), ..AskTerms::default() };
        self.command(sock.0, Command::SocketAsk { socket: sock.1, question, terms });
        key
    }

    /// Nobody waits for the answer any more.
    pub fn cancel_ask(&mut self, sock: Sock, key: u64) {
        // The application is as frozen as the rest of its process, and has not heard yet what is on its way.
        if self.nodes[sock.0].frozen_until.is_some() {
            return;
        }
        if let Some(ask) = self.asks.get_mut(&(sock, key)).filter(|ask| ask.outcome.is_none()) {
            ask.outcome = Some(Answered::Cancelled);
            let reason = CancelReason::Aborted;
            self.command(sock.0, Command::SocketCancel { socket: sock.1, key, reason });
        }
    }

    /// Notes what one side was given, and compares it with what the other one called.
    pub(crate) fn hear(&mut self, sock: Sock, writer: u32, call: Call) {
        let Some(reader) = self.sides.get(&sock) else { return };
        let Some((&from, other)) = self.sides.iter().find(|(_, side)| side.writer == writer) else { return };
        if !reader.streams || !other.streams {
            return;
        }
        let heard = reader.heard;
        let Some(skipped) = other.calls[heard..].iter().position(|other| *other == call) else {
            return self.blame(format_args!("{sock:?}: {call:?} of {from:?} out of order"));
        };
        let is_lost = |call: &Call| match call {
            Call::Data(_) => true,
            Call::Ask(key) => self.asks.get(&(from, *key)).is_some_and(|ask| ask.outcome.is_none()),
        };
        let lost = other.calls[heard..heard + skipped].iter().find(|call| is_lost(call)).copied();
        if let Some(side) = self.sides.get_mut(&sock) {
            side.heard = heard + skipped + 1;
        }
        if let Some(lost) = lost {
            self.blame(format_args!("{sock:?}: {call:?} of {from:?} before {lost:?}"));
        }
    }

    /// A request, an answer, or what belongs to them.
    pub(crate) fn take_other(&mut self, sock: Sock, item: Item) {
        self.with_side(sock, |_| Ok(()));
        match item.payload.encoding {
            Encoding::REQUEST | Encoding::REQUEST_MANY => self.take_request(sock, &item),
            Encoding::ANSWER | Encoding::ANSWER_MORE => self.take_answer(sock, &item),
            Encoding::ANSWER_END => self.take_end(sock, key(&item.payload.raw).unwrap_or(0)),
            Encoding::CANCEL => self.count(sock, Consumed { answers: 1, ..Consumed::default() }),
            other => self.blame(format_args!("{sock:?}: an item of kind {other:?}")),
        }
    }

    /// A request as a peer of Conat gets it: a handler has it.
    pub(crate) fn note_question(&mut self, payload: &Payload) {
        let Some((writer, number)) = parse(payload).filter(|(_, number)| *number > ASKED) else { return };
        let Some((&asker, _)) = self.sides.iter().find(|(_, side)| side.writer == writer) else { return };
        if let Some(ask) = self.asks.get_mut(&(asker, number - ASKED)) {
            // The fabric may bring it twice.
            ask.handled += 1;
            if ask.outcome == Some(Answered::Failed { is_unhandled: true }) {
                let line = format!("{asker:?}: question {number} after its end: {ask}");
                self.blame(line);
            }
        }
    }

    fn take_request(&mut self, sock: Sock, item: &Item) {
        let Some(request) = Request::decode(&item.payload.raw) else {
            return self.blame("a request that is none");
        };
        let Some((writer, number)) = parse(&request.payload) else {
            return self.blame("a request that nobody asked");
        };
        self.hear(sock, writer, Call::Ask(number - ASKED));
        let id = self.sides.get(&sock).map(|side| side.id.clone());
        let asker =
            self.sides.iter().find(|(_, side)| side.writer == writer && Some(&side.id) == id.as_ref());
        let Some((&asker, _)) = asker else {
            return self.blame(format_args!("{sock:?}: a request of writer {writer}, who is not there"));
        };
        let ask = self.asks.get_mut(&(asker, number - ASKED)).expect("it was asked");
        ask.handled += 1;
        let outcome = ask.outcome;
        if ask.handled > 1 || outcome == Some(Answered::Failed { is_unhandled: true }) {
            let line = format!("{sock:?}: request {number} again, or after {outcome:?}: {ask}");
            self.blame(line);
        }
        self.count(sock, Consumed { requests: 1, ..Consumed::default() });
        if self.dice.chance(0.1) || id.is_some_and(|id| self.deaf.contains(&id)) {
            return;
        }
        let Request { key, payload, .. } = request;
        if item.payload.encoding == Encoding::REQUEST_MANY {
            return self.answer_many(sock, (asker, number - ASKED), key, &payload);
        }
        let delay = self.handler_time();
        self.after(delay, move |world| world.write_answer(sock, Answer { key, payload }.encode(false)));
    }

    /// Gives a few answers, one after the other, and says the end in one of the three ways: with the last
    /// one, by itself, or not at all.
    fn answer_many(&mut self, sock: Sock, ask: (Sock, u64), key: u64, asked: &Payload) {
        let (count, end) = (self.dice.below(10), self.dice.below(3));
        if let Some(many) = self.asks.get_mut(&ask).and_then(|ask| ask.many.as_mut()) {
            many.given = u32::try_from(count).unwrap_or(0);
            many.is_end_said = end == 1 || end == 0 && count > 0;
        }
        let mut answers: Vec<Payload> = (1..=count)
            .map(|number| {
                let payload = one_of_many(asked, u32::try_from(number).unwrap_or(0));
                Answer { key, payload }.encode(end != 0 || number < count)
            })
            .collect();
        if end == 1 {
            answers.push(answer_end(key));
        }
        let mut at = Duration::ZERO;
        for answer in answers {
            at += if self.dice.chance(0.5) { Duration::ZERO } else { self.dice.millis(0, 900) };
            self.after(at, move |world| world.write_answer(sock, answer));
        }
    }

    pub fn write_answer(&mut self, sock: Sock, answer: Payload) {
        let batches = Few::One(Messages::one(answer, None));
        self.command(sock.0, Command::SocketWrite { sockets: Few::One(sock.1), batches, volatile: false });
    }

    fn take_answer(&mut self, sock: Sock, item: &Item) {
        self.count(sock, Consumed { answers: 1, ..Consumed::default() });
        let Some(Answer { key, payload }) = Answer::decode(&item.payload.raw) else {
            return self.blame("an answer that is none");
        };
        let now = self.clock(sock.0);
        let is_last = item.payload.encoding == Encoding::ANSWER;
        let verdict = match self.asks.get_mut(&(sock, key)) {
            Some(Ask { payload: asked, handled: 1.., outcome: outcome @ None, many: Some(many) })
                if payload == *asked || payload == one_of_many(asked, many.count + 1) =>
            {
                // A peer of Conat answers once, with what it was asked.
                many.count += 1;
                many.until = many.limits.max_wait.map_or(many.until, |wait| now + wait);
                if many.limits.max_messages.is_none_or(|most| many.count <= most) {
                    *outcome = is_last.then_some(Answered::Answer);
                    return;
                }
                format!("{sock:?}: answer {} to {key}, more than were wanted", many.count)
            }
            Some(ask @ Ask { many: Some(_), .. }) => {
                format!("{sock:?}: one of the answers to {key}, but {ask}")
            }
            Some(ask) if ask.payload == payload && ask.outcome.is_none() && ask.handled > 0 => {
                ask.outcome = Some(Answered::Answer);
                return;
            }
            Some(ask) => format!("{sock:?}: answer {key}, but {ask}"),
            None => format!("{sock:?}: answer {key} to nothing"),
        };
        self.blame(verdict);
    }

    fn take_end(&mut self, sock: Sock, key: u64) {
        self.count(sock, Consumed { answers: 1, ..Consumed::default() });
        let verdict = match self.asks.get_mut(&(sock, key)) {
            Some(ask @ Ask { many: Some(_), outcome: None, .. }) => {
                ask.outcome = Some(Answered::Answer);
                return;
            }
            Some(ask) => format!("{sock:?}: the end of answers to {key}, but {ask}"),
            None => format!("{sock:?}: the end of answers to nothing"),
        };
        self.blame(verdict);
    }

    /// All answers that were wanted are there, or their time is over.
    pub(crate) fn take_done(&mut self, sock: Sock, key: u64) {
        self.with_side(sock, |_| Ok(()));
        let now = self.clock(sock.0);
        // Only the stream says the end: else the time is all there is. There may have been other servers.
        let is_told = self.sides.get(&sock).is_some_and(|own| {
            let mut others = self.sides.iter().filter(|(at, side)| **at != sock && side.id == own.id);
            own.streams && others.all(|(_, side)| side.streams)
        });
        let verdict = match self.asks.get_mut(&(sock, key)) {
            Some(ask @ Ask { many: Some(_), outcome: None, .. }) => {
                let is_due = |many: &Many| {
                    let has_waited = many.count > 0 && many.limits.max_wait.is_some();
                    many.limits.max_messages == Some(many.count)
                        || now >= many.until && (has_waited || !is_told)
                };
                if ask.many.as_ref().is_some_and(is_due) {
                    ask.outcome = Some(Answered::Answer);
                    return;
                }
                format!("{sock:?}: request {key} ended before its time")
            }
            Some(ask) => format!("{sock:?}: request {key} ended, but {ask}"),
            None => format!("{sock:?}: request {key}, which was never asked, ended"),
        };
        self.blame(verdict);
    }

    pub(crate) fn take_failed(&mut self, sock: Sock, key: u64, is_unhandled: bool) {
        self.with_side(sock, |_| Ok(()));
        let verdict = match self.asks.get_mut(&(sock, key)) {
            Some(ask) if ask.outcome.is_none() && !(is_unhandled && ask.handled > 0) => {
                ask.outcome = Some(Answered::Failed { is_unhandled });
                return;
            }
            Some(ask) => format!("{sock:?}: request {key} failed (unhandled: {is_unhandled}), but {ask}"),
            None => format!("{sock:?}: request {key}, which was never asked, failed"),
        };
        self.blame(verdict);
    }

    /// Before its close each request has come to something.
    pub(crate) fn check_asks_of_closed(&mut self, sock: Sock) {
        let open = self.open_asks().find(|(of, _)| *of == sock);
        if let Some((_, key)) = open {
            self.blame(format_args!("{sock:?}: closed before request {key} came to anything"));
        }
    }

    /// Requests of which nothing has come, and whose asker lives.
    pub(crate) fn open_asks(&self) -> impl Iterator<Item = (Sock, u64)> + '_ {
        let lives = |sock: &Sock| self.sides.get(sock).is_some_and(|side| !side.dead);
        let open = self.asks.iter().filter(move |((sock, _), ask)| ask.outcome.is_none() && lives(sock));
        open.map(|((sock, key), _)| (*sock, *key))
    }

    fn count(&mut self, sock: Sock, counts: Consumed) {
        // Not inside the event.
        self.after(Duration::ZERO, move |world| {
            world.command(sock.0, Command::Consumed { socket: sock.1, counts });
        });
    }

    /// The outcomes of requests, by key.
    pub fn outcomes(&self, sock: Sock, keys: &[u64]) -> Vec<Option<Answered>> {
        keys.iter().map(|key| self.asks[&(sock, *key)].outcome).collect()
    }
}
