use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::incoming::simplest;
use super::*;
use crate::base::FaultInjector;
use crate::socket::admission::PeerAdmission;
use crate::socket::open_requests::OpenRequests;
use crate::socket::surroundings::Surroundings;
use crate::socket::{Output, SocketEvent, Window};
use crate::wire::stream::{Answer, Counts, Request, Status};
use crate::wire::{Encoding, Headers, Message, PackedBuilder, Payload};

fn windows_of(list: [u64; 6]) -> Windows {
    Windows::from_items(list.into_iter().map(Some)).expect("six numbers")
}

fn subject() -> Subject {
    Subject::parse("a.b").expect("valid")
}

/// A stream's surroundings, where these keys are open.
struct Around {
    faults: FaultInjector,
    requests: Option<Box<OpenRequests>>,
    admission: PeerAdmission,
}

impl Around {
    fn new() -> Self {
        let mut requests = Box::new(OpenRequests::default());
        (1..=9).for_each(|key| requests.open(key, None));
        let (faults, admission) = (FaultInjector::default(), PeerAdmission::default());
        Self { faults, requests: Some(requests), admission }
    }

    fn with<'a>(&'a mut self, outputs: &'a mut VecDeque<Output>) -> Surroundings<'a> {
        let Self { faults, requests, admission } = self;
        Surroundings { outputs, faults, requests, admission, epoch: None }
    }
}

fn one(class: Class) -> Consumed {
    match class {
        Class::Data => Consumed::data(1),
        Class::Request => Consumed { requests: 1, ..Consumed::default() },
        Class::Answer => Consumed { answers: 1, ..Consumed::default() },
    }
}

/// Two ends, and what each of them has said and not been given yet.
struct Pair {
    now: Instant,
    ends: [Stream; 2],
    outputs: [VecDeque<Output>; 2],
    /// What each application was given, and has not handled.
    given: [Vec<Item>; 2],
    /// Frames that left, those of control alone among them.
    frames: [usize; 2],
    alone: [usize; 2],
}

impl Pair {
    fn new(config: &SocketConfig) -> Self {
        let now = Instant::now();
        let windows = Windows::of_config(config);
        let end = |own, peer| {
            let mut stream =
                Stream::new(now, config, Tags { own, peer }, (windows, config.piece_bytes, true));
            stream.attach(now, subject());
            stream
        };
        Self {
            now,
            ends: [end(1, 2), end(2, 1)],
            outputs: Default::default(),
            given: Default::default(),
            frames: [0; 2],
            alone: [0; 2],
        }
    }

    fn write(&mut self, end: usize, payloads: &[Payload]) {
        let mut builder = PackedBuilder::new(&payloads[0], None);
        payloads[1..].iter().for_each(|payload| builder.push(payload, None));
        let messages = simplest(builder.finish());
        self.ends[end].write(self.now, messages, false).expect("room");
    }

    fn consume(&mut self, end: usize) {
        for item in std::mem::take(&mut self.given[end]) {
            let class = item.payload.encoding.class().expect("an item");
            self.ends[end].handle_consumed(one(class));
        }
    }

    /// One batch at one end: what it has to say reaches the other one, which does not answer yet.
    fn flush(&mut self, end: usize) {
        let mut around = Around::new();
        let stream = &mut self.ends[end];
        let (rests, before, due) = (stream.rests(), self.outputs[end].len(), stream.poll_timeout());
        let pumped = stream.pump(self.now, &mut around.with(&mut self.outputs[end]));
        assert_eq!(pumped, Ok(()));
        if rests {
            assert_eq!((self.outputs[end].len(), stream.poll_timeout()), (before, due), "it rested");
        }
        let other = 1 - end;
        for output in std::mem::take(&mut self.outputs[end]) {
            let output = match output {
                Output::Probe { message, .. } => Output::Publish(*message),
                other => other,
            };
            match output {
                Output::Publish(mut message) => {
                    self.frames[end] += 1;
                    self.alone[end] += usize::from(message.payload.encoding.is_control());
                    let around = &mut around.with(&mut self.outputs[other]);
                    let mut given = None;
                    match self.ends[other].try_accept_one(self.now, &mut message, &mut given, around) {
                        Ok(true) => self.given[other].extend(given.iter().flat_map(Messages::items)),
                        Err(error) => panic!("{error}"),
                        Ok(false) => {
                            let received = self.ends[other].handle_message(self.now, message, around);
                            assert_eq!(received, Ok(Received::Done));
                        }
                    }
                }
                Output::PublishBundle(bundle) => {
                    self.frames[end] += 1;
                    let around = &mut around.with(&mut self.outputs[other]);
                    let stream = &mut self.ends[other];
                    match stream.try_accept_bundle(self.now, &bundle, around) {
                        Accepted::No | Accepted::Misbehaved(_) => panic!("it was next"),
                        Accepted::All => {}
                        Accepted::AllBut(control) => {
                            let message = bundle.message_behind(control);
                            let received = stream.handle_message(self.now, message, around);
                            assert_eq!(received, Ok(Received::Done));
                        }
                    }
                }
                Output::Event(SocketEvent::Data(messages)) => self.given[end].extend(messages.items()),
                _ => {}
            }
        }
        let events: Vec<Output> = std::mem::take(&mut self.outputs[other]).into();
        for event in events {
            match event {
                Output::Event(SocketEvent::Data(messages)) => self.given[other].extend(messages.items()),
                other_output => self.outputs[other].push_back(other_output),
            }
        }
    }

    fn timeout(&mut self, end: usize) {
        self.now = self.ends[end].poll_timeout().expect("armed").max(self.now);
        self.ends[end].handle_timeout(self.now);
    }
}

fn data(text: &'static str) -> Payload {
    Payload::msgpack(Bytes::from_static(text.as_bytes()))
}

#[test]
fn in_a_ping_pong_no_status_ever_goes_alone() {
    let mut pair = Pair::new(&SocketConfig::default());
    for _ in 0..100 {
        for end in [0, 1] {
            // The application handles what came, and writes, in one batch.
            pair.consume(end);
            pair.write(end, &[data("ping"), data("pong")]);
            pair.flush(end);
        }
    }
    assert_eq!((pair.frames, pair.alone), ([100, 100], [0, 0]));
    assert_eq!(
        (pair.ends[0].unacked(), pair.ends[1].unacked()),
        (0, 2),
        "all but the latest are known to be handled"
    );
}

#[test]
fn in_a_row_of_requests_and_answers_a_status_rides_once_in_ten_milliseconds() {
    let mut pair = Pair::new(&SocketConfig::default());
    let mut unsettled = Vec::new();
    for key in 1..=9 {
        let request = Request { key, timeout: 0, payload: data("q") }.encode(false);
        let answer = Answer { key, payload: data("a") }.encode(false);
        for (end, item) in [(0, request), (1, answer)] {
            pair.consume(end);
            pair.write(end, &[item]);
            pair.flush(end);
        }
        unsettled.push(pair.ends[0].unhandled_requests().len());
        pair.now += Duration::from_millis(2);
    }
    assert_eq!(unsettled, [1, 2, 3, 4, 5, 0, 1, 2, 3], "what nobody waits for is said now and then");
    assert_eq!((pair.frames, pair.alone), ([9, 9], [0, 0]));
}

#[test]
fn a_reader_that_is_done_says_so_at_once_and_one_that_is_slow_within_20_ms() {
    let mut pair = Pair::new(&SocketConfig::default());
    pair.write(0, &[data("a"), data("b")]);
    pair.flush(0);
    pair.ends[1].handle_consumed(one(Class::Data));
    pair.flush(1);
    assert_eq!(pair.frames[1], 0, "the other one is still to be handled");
    let before = pair.now;
    pair.timeout(1);
    pair.flush(1);
    assert_eq!((pair.frames[1], pair.ends[0].unacked()), (1, 1));
    assert_eq!(pair.now - before, Duration::from_millis(20));
    pair.ends[1].handle_consumed(one(Class::Data));
    pair.flush(1);
    assert_eq!((pair.frames[1], pair.ends[0].unacked()), (2, 0), "at once: somebody may wait for it");
}

#[test]
fn what_nobody_answers_is_known_to_have_arrived_within_100_ms() {
    let mut pair = Pair::new(&SocketConfig::default());
    let request = Request { key: 1, timeout: 0, payload: data("q") }.encode(false);
    pair.write(0, &[request]);
    pair.flush(0);
    pair.ends[1].handle_consumed(one(Class::Request));
    pair.flush(1);
    assert_eq!(pair.frames[1], 0, "its answer will carry it");
    let before = pair.now;
    pair.timeout(1);
    pair.flush(1);
    assert_eq!((pair.frames[1], pair.now - before), (1, Duration::from_millis(100)));
}

#[test]
fn an_answer_passes_what_has_no_room_at_the_other_end_and_nothing_else_does() {
    // The reader takes 100 bytes of data that it has not handled; the writer may hold more.
    let big = || Payload::msgpack(vec![7; 90]);
    let mut pair = Pair::new(&SocketConfig::default());
    let narrow = windows_of([10_000, 100, 10, 1000, 10, 1000]);
    pair.ends[0].sender = SendQueue::new(&SocketConfig::default(), narrow, usize::MAX, true);
    pair.ends[0].sender.attach(pair.now);
    let request = Request { key: 1, timeout: 0, payload: data("q") }.encode(false);
    let answer = Answer { key: 9, payload: data("a") }.encode(false);
    pair.write(0, &[big(), big(), request, answer]);
    pair.flush(0);
    let given: Vec<u8> = pair.given[1].iter().map(|item| item.payload.encoding.0).collect();
    assert_eq!(given, [0, 0x83]);
    pair.consume(1);
    pair.flush(1);
    pair.flush(0);
    let given: Vec<u8> = pair.given[1].iter().map(|item| item.payload.encoding.0).collect();
    assert_eq!(given, [0, 0x81], "in the order of the calls");
}

/// Whoever waits for something else than a sign of life, as one that closes, is not woken by it again and
/// again.
#[test]
fn silence_is_told_once() {
    let mut pair = Pair::new(&SocketConfig::default());
    let mut told = 0;
    for _ in 0..100 {
        let Some(at) = pair.ends[0].poll_timeout() else { break };
        pair.now = pair.now.max(at);
        told += usize::from(pair.ends[0].handle_timeout(pair.now));
    }
    assert_eq!(told, 1);
}

#[test]
fn a_frame_with_another_tag_changes_nothing_but_a_count() {
    let mut pair = Pair::new(&SocketConfig::default());
    let mut around = Around::new();
    for tag in [None, Some(1), Some(3)] {
        let headers = Headers::numbered(Some(1), tag);
        let message = Message { subject: subject(), payload: data("x"), headers };
        let received = pair.ends[1].handle_message(pair.now, message, &mut around.with(&mut pair.outputs[1]));
        assert_eq!(received, Ok(Received::Foreign));
    }
    assert_eq!((pair.ends[1].foreign, pair.ends[1].receiver.counts().arrived), (3, 0));
    assert!(pair.outputs[1].is_empty());
}

#[test]
fn what_the_peer_may_not_say_is_a_broken_rule() {
    let frame = |seq, payload| {
        let headers = Headers::numbered(seq, Some(2));
        Message { subject: subject(), payload, headers }
    };
    let item = |encoding, raw: &'static [u8]| Payload { encoding: Encoding(encoding), raw: raw.into() };
    let status = |counts| Status { counts, ..Status::default() }.encode();
    for (name, message) in [
        ("no number", frame(None, data("x"))),
        ("number 0", frame(Some(0), data("x"))),
        ("far ahead", frame(Some(1 << 40), data("x"))),
        ("an unknown kind", frame(Some(1), item(0x9f, b""))),
        ("a request without a key", frame(Some(1), item(0x81, b"\x00\x00\x00"))),
        ("an answer to what was never asked", frame(Some(1), item(0x83, b"\x0a\x00"))),
        ("an answer that is cut off", frame(Some(1), item(0x83, b"\x01"))),
        ("a status that is cut off", frame(Some(1), item(0xc0, b"\x00\x01"))),
        ("a close that is none", frame(Some(1), item(0xc1, b""))),
        (
            "what was never sent has arrived",
            frame(Some(1), status(Counts { arrived: 1, ..Counts::default() })),
        ),
        (
            "what was never sent was handled",
            frame(Some(1), status(Counts { answers: 1, ..Counts::default() })),
        ),
    ] {
        let mut pair = Pair::new(&SocketConfig::default());
        let mut around = Around::new();
        let received = pair.ends[1].handle_message(pair.now, message, &mut around.with(&mut pair.outputs[1]));
        assert!(received.is_err(), "{name}: {received:?}");
    }
}

#[test]
fn an_item_that_may_be_skipped_is_taken_and_control_of_a_later_version_is_passed_over() {
    let mut pair = Pair::new(&SocketConfig::default());
    let mut around = Around::new();
    for encoding in [0xa5, 0xdf] {
        let headers = Headers::numbered(Some(1), Some(2));
        let payload = Payload { encoding: Encoding(encoding), raw: Bytes::from_static(b"later") };
        let message = Message { subject: subject(), payload, headers };
        let received = pair.ends[1].handle_message(pair.now, message, &mut around.with(&mut pair.outputs[1]));
        assert_eq!(received, Ok(Received::Done));
    }
    assert_eq!(pair.ends[1].receiver.counts().arrived, 1);
}

/// One call of an application.
fn calls() -> impl Strategy<Value = Payload> {
    let text = prop::collection::vec(any::<u8>(), 0..30).prop_map(Payload::msgpack);
    (0..4_u8, 1..9_u64, text).prop_map(|(kind, key, payload)| match kind {
        0 => Request { key, timeout: 0, payload }.encode(false),
        1 | 2 => Cancel { key, reason: CancelReason::Dropped }.encode(),
        _ => payload,
    })
}

proptest! {
    /// The sender against a list of the calls: nothing is lost, doubled or moved but answers past what cannot
    /// leave, and no more is under way than the other end takes.
    #[test]
    fn everything_leaves_once_in_order_within_the_windows_and_all_of_it_is_forgotten_in_the_end(
        batches in prop::collection::vec(prop::collection::vec(calls(), 1..12), 1..20),
        (messages, bytes) in (1..6_u64, 1..80_u64),
        steps in prop::collection::vec((any::<bool>(), 0..6_u64, any::<prop::sample::Index>()), 40),
    ) {
        let windows = windows_of([messages, bytes, messages, bytes, messages, bytes]);
        let now = Instant::now();
        let mut sender = SendQueue::new(&SocketConfig::default(), windows, usize::MAX, true);
        sender.attach(now);
        let (mut called, mut left) = (Vec::new(), Vec::new());
        let mut counts = Counts::default();
        let mut batches = batches.into_iter();
        let mut steps = steps.into_iter().cycle();
        loop {
            let (writes, news, lost) = steps.next().expect("for ever");
            if (writes || left.len() == called.len())
                && let Some(batch) = batches.next()
            {
                called.extend(batch.clone());
                let mut builder = PackedBuilder::new(&batch[0], None);
                batch[1..].iter().for_each(|payload| builder.push(payload, None));
                sender.write(now, simplest(builder.finish()), false).expect("room");
            }
            sender.begin_turn(false);
            while let Some((first, messages)) = sender.poll_transmit(now) {
                let items: Vec<Payload> = messages.items().map(|item| item.payload).collect();
                if first == left.len() as u64 + 1 {
                    left.extend(items);
                } else {
                    // Again: as it was.
                    let at = usize::try_from(first - 1).expect("small");
                    prop_assert_eq!(&left[at..at + items.len()], &items[..]);
                }
            }
            let of = |class| left.iter().filter(move |payload| payload.encoding.class() == Some(class));
            for (class, handled) in [
                (Class::Data, counts.data), (Class::Request, counts.requests), (Class::Answer, counts.answers),
            ] {
                let open: Vec<&Payload> = of(class).skip(usize::try_from(handled).expect("small")).collect();
                prop_assert!(open.len() as u64 <= messages);
            }
            // The other end asks for some of it again, has more of it, and has handled some of that.
            let arrived = (counts.arrived + news).min(left.len() as u64);
            let missing = left.len() as u64 - arrived;
            if missing > 0 {
                sender.handle_missing(now, arrived, &[(lost.index(usize::try_from(missing).expect("small")) as u64, 1)]);
            }
            counts.arrived = arrived;
            let there = &left[..usize::try_from(arrived).expect("small")];
            let of = |class| there.iter().filter(|payload| payload.encoding.class() == Some(class)).count() as u64;
            counts.data = (counts.data + news).min(of(Class::Data));
            counts.requests = (counts.requests + news).min(of(Class::Request));
            counts.answers = (counts.answers + news).min(of(Class::Answer));
            prop_assert!(sender.handle_counts(now, &counts).is_ok());
            // An old one changes nothing.
            let old = Counts { data: 0, ..counts };
            prop_assert!(sender.handle_counts(now, &old).is_ok());
            if batches.len() == 0 && left.len() == called.len() && counts.arrived == left.len() as u64
                && sender.unacked() == 0 {
                break;
            }
        }
        prop_assert!(!sender.is_under_way());
        let others = |list: &[Payload]| {
            list.iter().filter(|payload| payload.encoding.class() != Some(Class::Answer)).cloned().collect::<Vec<_>>()
        };
        let answers = |list: &[Payload]| {
            list.iter().filter(|payload| payload.encoding.class() == Some(Class::Answer)).cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(others(&called), others(&left));
        prop_assert_eq!(answers(&called), answers(&left));
    }

    /// The receiver against the sequence of the numbers, however they come.
    #[test]
    fn items_are_handed_over_in_order_once_and_what_is_missing_is_named(
        count in 1..40_u64,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let keeps = Window { messages: 1000, bytes: 1 << 20 };
        let mut receiver = ReceiveQueue::new(Windows::of_config(&SocketConfig::default()), keeps, usize::MAX);
        let item = |seq: u64| Item { payload: Payload::msgpack(seq.to_string()), json: None };
        receiver.handle_next(count + 1).expect("not far");
        let (mut given, mut come) = (0, std::collections::BTreeSet::new());
        for seq in order.iter().map(|index| index.index(usize::try_from(count).expect("small")) as u64 + 1).chain(1..=count) {
            // What is missing is exactly what has not come.
            let (ranges, _) = receiver.missing();
            let (mut cursor, mut lacking) = (receiver.counts().arrived + 1, Vec::new());
            for (present, length) in ranges {
                cursor += present;
                lacking.extend(cursor..cursor + length);
                cursor += length;
            }
            let naive: Vec<u64> = (1..=count).filter(|seq| !come.contains(seq)).collect();
            prop_assert_eq!(lacking, naive);
            let is_known = !come.insert(seq);
            receiver.handle_item(seq, item(seq)).expect("an item");
            prop_assert_eq!(receiver.take_duplicate(), is_known);
            while let Some(next) = receiver.poll_item().expect("in order") {
                given += 1;
                prop_assert_eq!(next, item(given));
            }
        }
        prop_assert_eq!(given, count);
        prop_assert!(!receiver.has_gap());
    }
}
