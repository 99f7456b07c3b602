//! The application's requests that stand in one line with its data. To a peer of Conat they leave as
//! questions of the fabric, and come back as what the stream would have brought.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::{Channel, Mode};
use crate::base::{Code, Failure};
use crate::socket::conat::Question;
use crate::socket::open_requests::{Expired, Settled};
use crate::socket::unsettled::Unsettled;
use crate::socket::{AnswerLimits, AskTerms, Output, RequestFailure, SocketEvent, WriteError};
use crate::wire::stream::{Answer, CancelReason, Class, Refusal, Request, key};
use crate::wire::{Encoding, Item, Message, Messages};

impl Channel {
    /// Writes a request that wants more than one answer, or waits for a peer of Conat to listen.
    pub(in crate::socket) fn ask(
        &mut self,
        now: Instant,
        question: Item,
        terms: AskTerms,
    ) -> Result<(), WriteError> {
        if question.payload.encoding.class() == Some(Class::Request)
            && let Some((key, _)) = Request::head(&question.payload.raw)
        {
            self.requests.get_or_insert_default().set_terms(key, terms);
        }
        if question.bytes() > self.bound.limit {
            return self.write_too_large(now, question, false);
        }
        self.write_mixed(now, Messages::One(question))
    }

    /// Writes messages of which some are requests, answers, or what belongs to them.
    pub(super) fn write_mixed(&mut self, now: Instant, batch: Messages) -> Result<(), WriteError> {
        let (request_bytes, answer_bytes) = match &self.mode {
            Mode::Unsettled(unsent) => (unsent.request_bytes(), 0),
            Mode::Conat(conat) => (conat.waiting_bytes(), 0),
            Mode::Stream(stream) => {
                (stream.waiting_bytes(Class::Request), stream.waiting_bytes(Class::Answer))
            }
        };
        let is_full = request_bytes.max(answer_bytes) > MAX_WAITING_BYTES;
        if is_full || matches!(self.mode, Mode::Conat(_)) || self.fails_requests() {
            return batch.items().try_for_each(|item| self.write_one(now, item, is_full));
        }
        batch.for_each_ref(|item| self.open_request(now, item.encoding, item.payload));
        self.write_plain(now, batch, false)
    }

    fn write_one(&mut self, now: Instant, item: Item, is_full: bool) -> Result<(), WriteError> {
        match item.payload.encoding.class() {
            Some(Class::Data) => self.write_plain(now, Messages::One(item), false),
            Some(Class::Request) => {
                self.open_request(now, item.payload.encoding, &item.payload.raw);
                self.send_request(now, item, is_full)
            }
            _ if matches!(self.mode, Mode::Stream(_)) => {
                let item = if is_full { too_much(item) } else { item };
                self.write_plain(now, Messages::One(item), false)
            }
            // A peer of Conat is answered on its own subject.
            _ => Ok(()),
        }
    }

    /// Notes a request: from now on its time runs.
    pub(super) fn open_request(&mut self, now: Instant, encoding: Encoding, payload: &[u8]) {
        if encoding.class() == Some(Class::Request)
            && let Some((key, timeout)) = Request::head(payload)
        {
            let deadline = (timeout > 0).then(|| now + Duration::from_millis(timeout));
            let requests = self.requests.get_or_insert_default();
            requests.open(key, deadline);
            if encoding == Encoding::REQUEST_MANY && !requests.is_many(key) {
                requests
                    .set_terms(key, AskTerms { many: Some(AnswerLimits::default()), ..AskTerms::default() });
            }
            if !matches!(self.mode, Mode::Conat(_)) {
                self.suspicion.begin(now);
            }
        }
    }

    /// Sends a request that is open, unless that is in vain.
    fn send_request(&mut self, now: Instant, item: Item, is_full: bool) -> Result<(), WriteError> {
        let Some(Request { key, timeout, payload }) = Request::decode(&item.payload.raw) else {
            return Ok(());
        };
        let is_away = self.fails_requests();
        if is_away || is_full {
            let failure = if is_away { RequestFailure::PeerAway } else { RequestFailure::Full };
            self.fail_request_with(key, failure.into(), true);
            return Ok(());
        }
        let timeout = if timeout > 0 { Duration::from_millis(timeout) } else { LONGEST };
        let terms = self.requests.as_ref().map_or_else(AskTerms::default, |requests| requests.terms(key));
        if matches!(self.mode, Mode::Conat(_)) {
            self.suspicion.begin(now);
        }
        if let (Mode::Conat(conat), mut around) = self.parts() {
            let json = item.json;
            let question = Question { key, deadline: now + timeout, payload, json, terms };
            conat.ask_for(now, question, &mut around);
            return Ok(());
        }
        self.write_plain(now, Messages::One(item), false)
    }

    /// A peer that does not answer may be gone.
    pub(super) fn check_unanswered(&mut self, now: Instant) {
        let (open, ones) =
            self.requests.as_ref().map_or((0, 0), |requests| (requests.len(), requests.ones()));
        if self.suspicion.try_look(now, open > 0, ones > 0) && self.is_attached() {
            self.outputs.push_back(Output::Suspect);
        }
    }

    /// What was written before it was known that the peer is one of Conat's.
    pub(super) fn take_over_unsettled(&mut self, now: Instant, unsent: Unsettled) {
        let (mut batches, volatile, times) = unsent.into_parts();
        let (mut data, mut requests) = (std::collections::VecDeque::new(), Vec::new());
        for batch in batches.drain(..) {
            if batch.is_data() {
                data.push_back(batch);
                continue;
            }
            for item in batch.items() {
                match item.payload.encoding.class() {
                    Some(Class::Data) => data.push_back(Messages::One(item)),
                    Some(Class::Request) => requests.push(item),
                    _ => {}
                }
            }
        }
        if let Mode::Conat(conat) = &mut self.mode {
            conat.take_over(now, data, volatile, times);
        }
        for item in requests {
            // It is put into a queue that has no bound of its own.
            let _ = self.send_request(now, item, false);
        }
    }

    /// Nobody waits for the answer to this request any more.
    pub(in crate::socket) fn cancel(&mut self, now: Instant, key: u64, reason: CancelReason) {
        let settled = self.requests.as_mut().map(|requests| requests.settle(key));
        if settled == Some(Settled::Open) {
            self.give_up(now, &[key], reason);
        }
    }

    /// Takes back settled requests, whose keys ascend, if they have not left, and cancels them if they have.
    /// Returns those that had not.
    fn give_up(&mut self, now: Instant, keys: &[u64], reason: CancelReason) -> Vec<u64> {
        let withdrawn = self.withdraw(|key| keys.binary_search(&key).is_ok());
        for &key in keys.iter().filter(|key| withdrawn.binary_search(key).is_err()) {
            match &mut self.mode {
                Mode::Unsettled(_) => {}
                Mode::Conat(_) => self.outputs.push_back(Output::CancelAsk(key)),
                Mode::Stream(stream) => stream.cancel(now, key, reason),
            }
        }
        withdrawn
    }

    pub(super) fn withdraw(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        match &mut self.mode {
            Mode::Unsettled(unsent) => unsent.withdraw(wanted),
            Mode::Conat(conat) => conat.withdraw(wanted),
            Mode::Stream(stream) => stream.withdraw(wanted),
        }
    }

    /// Ends the requests whose time is over.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        let expired = self.requests.as_mut().map_or_else(Vec::new, |requests| requests.expire(now));
        if expired.is_empty() {
            return;
        }
        let keys: Vec<u64> = expired.iter().map(|one| one.key).collect();
        let withdrawn = self.give_up(now, &keys, CancelReason::Timeout);
        let is_out_of_reach = !self.is_attached() || self.absence.loss().is_some();
        for Expired { key, is_many, has_had_enough } in expired {
            let is_unhandled = withdrawn.binary_search(&key).is_ok();
            let text = match is_many {
                true if is_out_of_reach => OUT_OF_REACH,
                // It has waited for another answer as long as it wanted.
                true if has_had_enough => {
                    self.emit(SocketEvent::RequestDone { key });
                    continue;
                }
                true => NO_END,
                false => TIMEOUT,
            };
            let failure = if is_unhandled && !self.is_attached() {
                RequestFailure::Timeout.into()
            } else {
                Failure::new(Code::Timeout, text)
            };
            self.report_failed(key, failure, is_unhandled);
        }
    }

    /// Whether requests that have not left fail, since the peer is away.
    fn fails_requests(&self) -> bool {
        self.absence.fails_requests() && !self.config.keeps_requests
    }

    /// The keys of those that have not left, in order.
    fn unsent_requests(&mut self) -> Vec<u64> {
        let keys = RefCell::new(Vec::new());
        self.withdraw(|key| {
            keys.borrow_mut().push(key);
            false
        });
        let mut keys = keys.into_inner();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The peer is away for too long: those that have left may have been handled, the others were not.
    pub(super) fn fail_requests_in_line(&mut self, now: Instant) {
        let kept = if self.config.keeps_requests { self.unsent_requests() } else { Vec::new() };
        if !self.config.keeps_requests {
            for key in self.withdraw(|_| true) {
                self.fail_request_with(key, RequestFailure::PeerAway.into(), true);
            }
        }
        let left = self.requests.as_mut().map_or_else(Vec::new, |requests| requests.take_all_but(&kept));
        for key in left {
            match &mut self.mode {
                Mode::Unsettled(_) => {}
                Mode::Conat(_) => self.outputs.push_back(Output::CancelAsk(key)),
                Mode::Stream(stream) => stream.cancel(now, key, CancelReason::Away),
            }
            self.report_failed(key, RequestFailure::AwayAfterAll.into(), false);
        }
    }

    /// Ends all requests: the socket is at its end.
    pub(super) fn fail_open_requests(&mut self) {
        if self.requests.is_none() {
            return;
        }
        let unsent = self.withdraw(|_| true);
        let open = self.requests.as_mut().map_or_else(Vec::new, |requests| requests.take_all());
        for key in open {
            // What has left, and may have arrived, may have been handled.
            let is_unhandled = unsent.binary_search(&key).is_ok();
            self.report_failed(key, RequestFailure::Closed.into(), is_unhandled);
        }
    }

    /// The peer leaves in order, and has said how many requests it has handled: the others never will be.
    pub(in crate::socket) fn fail_unhandled_requests(&mut self) {
        let Mode::Stream(stream) = &self.mode else { return };
        for key in stream.unhandled_requests() {
            self.fail_request_with(key, RequestFailure::PeerLeft.into(), true);
        }
    }

    pub(super) fn fail_request_with(&mut self, key: u64, failure: Failure, is_unhandled: bool) {
        let settled = self.requests.as_mut().map(|requests| requests.settle(key));
        if settled == Some(Settled::Open) {
            self.report_failed(key, failure, is_unhandled);
        }
    }

    fn report_failed(&mut self, key: u64, failure: Failure, is_unhandled: bool) {
        self.emit(SocketEvent::RequestFailed { key, failure, is_unhandled });
    }

    /// The answer of a peer of Conat: as the stream would have brought it.
    pub(in crate::socket) fn handle_answer(&mut self, now: Instant, key: u64, mut answer: Message) {
        self.suspicion.handle_heard(now);
        let Some(requests) = &mut self.requests else { return };
        // The fabric watches the limits of one that wants many.
        let is_many = requests.is_many(key);
        if is_many || requests.settle(key) == Settled::Open {
            let payload = Answer { key, payload: answer.payload }.encode(is_many);
            self.emit(SocketEvent::Data(Messages::one(payload, answer.headers.take_json())));
        }
    }

    /// A peer of Conat has given all answers that were wanted.
    pub(in crate::socket) fn handle_answered(&mut self, key: u64) {
        let settled = self.requests.as_mut().map(|requests| requests.settle(key));
        if settled == Some(Settled::Open) {
            self.emit(SocketEvent::RequestDone { key });
        }
    }

    /// There is no answer of a peer of Conat.
    pub(in crate::socket) fn handle_ask_failed(&mut self, key: u64, failure: Failure) {
        self.fail_request_with(key, failure, false);
    }
}

/// What says in the place of an answer that there was no room for it. The rest is small.
fn too_much(item: Item) -> Item {
    let is_answer = matches!(item.payload.encoding, Encoding::ANSWER | Encoding::ANSWER_MORE);
    let Some(key) = key(&item.payload.raw).filter(|_| is_answer) else { return item };
    let message = "more answers wait for the other side than there is room for".to_owned();
    let code = Code::QueueFull.as_str().into_owned();
    Item { payload: Refusal { key, handled: true, code, message }.encode(), json: None }
}

/// Bytes of requests, and of answers, that may wait for the peer.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// As the fabric says it of a request beside the stream.
const TIMEOUT: &str = "timeout - Error: operation has timed out (request over a socket)";
/// Of a request for many answers, when its time is over and the peer has not said their end.
const NO_END: &str =
    "timeout - Error: operation has timed out (request over a socket): the end of its answers did not come";
/// The same, where those that may follow cannot come.
const OUT_OF_REACH: &str =
    "timeout - the other side is out of reach, and may have more answers (request over a socket)";
/// As good as no time at all.
const LONGEST: Duration = Duration::from_secs(1 << 31);
