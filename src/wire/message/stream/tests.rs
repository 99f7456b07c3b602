use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::wire::{Item, Json, Messages, PackedMessages, Payload, push_item};

/// As it stands in a run, in hex.
fn hex(payload: &Payload) -> String {
    let mut out = Vec::new();
    push_item(&mut out, payload, None);
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counts(arrived: u64, data: u64, requests: u64, answers: u64) -> Counts {
    Counts { arrived, data, requests, answers }
}

#[test]
fn the_bytes_are_those_of_the_protocol() {
    let text = |raw: &'static [u8]| Payload::msgpack(Bytes::from_static(raw));
    let request = Request { key: 1, timeout: 30_000, payload: text(b"\xa2hi") };
    assert_eq!(hex(&request.encode(false)), "108101b0ea0100a26869");
    let answer = Answer { key: 1, payload: text(b"\xa2ok") };
    assert_eq!(hex(&answer.encode(false)), "0a830100a26f6b");
    assert_eq!(hex(&Cancel { key: 1, reason: CancelReason::Timeout }.encode()), "04870101");
    assert_eq!(hex(&Timed::encode(Duration::from_millis(250), &text(b"\xa2hi"))), "0c8cfa0100a26869");
    assert_eq!(hex(&Dropped { number: 3 }.encode()), "02a103");
    let status = Status { counts: counts(7, 5, 1, 1), ..Status::default() };
    assert_eq!(hex(&status.encode()), "0ac00007050101");
    let credit = Status { credit: Some(65_536), ..status };
    assert_eq!(hex(&credit.encode()), "10c02007050101808004");
    let close = Close { counts: counts(7, 5, 1, 1), written: 5, is_draining: true, ..Close::default() };
    assert_eq!(hex(&close.encode()), "10c10705010105010000");
}

#[test]
fn every_encoding_is_data_an_item_of_a_class_control_or_nothing_that_this_version_takes() {
    let class = |byte| Encoding(byte).class();
    assert!((0..0x80).all(|byte| class(byte) == Some(Class::Data) && Encoding(byte).is_data()));
    assert!([0x81, 0x82].iter().all(|byte| class(*byte) == Some(Class::Request)));
    assert!((0x83..=0x88).all(|byte| class(byte) == Some(Class::Answer)));
    assert!([0x8c, 0xa0].iter().all(|byte| class(*byte) == Some(Class::Data) && Encoding(*byte).is_timed()));
    assert_eq!(class(0xa1), Some(Class::Answer));
    assert!((0xa2..=0xbf).all(|byte| class(byte) == Some(Class::Answer) && Encoding(byte).is_skipped()));
    assert!((0xc0..=0xdf).all(|byte| class(byte).is_none() && Encoding(byte).is_control()));
    assert!([0x89, 0x8a].iter().all(|byte| class(*byte).is_none() && Encoding(*byte).is_piece()));
    let unknown = (0x8d..0xa0).chain(0xe0..=0xff).chain([0x80, 0x8b]);
    assert!({ unknown }.all(|byte| class(byte).is_none() && !Encoding(byte).is_control()));
}

#[test]
fn a_status_of_absence_asks_and_one_with_too_many_ranges_is_none() {
    let away = Status { was_away: true, ..Status::default() };
    assert!(Status::decode(&away.encode().raw).is_some_and(|status| status.asks && status.was_away));
    let ranges = |count: usize, length| Status { missing: vec![(0, length); count], ..Status::default() };
    let reads = |status: &Status| Status::decode(&status.encode().raw).is_some();
    assert!(reads(&ranges(MAX_RANGES, 1)) && !reads(&ranges(MAX_RANGES + 1, 1)));
    assert!(reads(&ranges(1, MAX_MISSING_NUMBERS)) && !reads(&ranges(2, MAX_MISSING_NUMBERS)));
    assert!(!reads(&ranges(1, 0)), "a range of nothing");
}

#[test]
fn long_texts_are_cut_between_characters_and_longer_ones_are_not_taken() {
    let refusal = Refusal { key: 1, handled: false, code: "ä".repeat(50), message: "x".repeat(2000) };
    let read = Refusal::decode(&refusal.encode().raw).expect("valid");
    assert_eq!((read.code.len(), read.message.len()), (64, 1024));
    let mut raw = vec![1, 0, 65];
    raw.extend([b'x'; 65]);
    raw.push(0);
    assert_eq!(Refusal::decode(&raw), None);
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, 0..1_u64 << 53]
}

fn keys() -> impl Strategy<Value = u64> {
    prop_oneof![1..300_u64, 1..1_u64 << 53]
}

fn payloads() -> impl Strategy<Value = Payload> {
    (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(encoding, raw)| Payload { encoding: Encoding(encoding), raw: raw.into() })
}

prop_compose! {
    fn statuses()(
        (arrived, data, requests, answers) in (numbers(), numbers(), numbers(), numbers()),
        missing in prop::collection::vec((0..1000_u64, 1..4_u64), 0..200),
        (asks, was_away, is_going) in any::<(bool, bool, bool)>(),
        (wants, credit) in (prop::option::of(numbers()), prop::option::of(numbers())),
    ) -> Status {
        let counts = Counts { arrived, data, requests, answers };
        Status { counts, asks: asks || was_away, was_away, is_going, missing, wants, credit }
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        (key, timeout, payload, flag) in (keys(), numbers(), payloads(), any::<bool>()),
        (code, message) in ("[a-zA-Zäß]{0,20}", "[a-zA-Zäß ]{0,100}"),
        (written, reason) in (numbers(), any::<u8>()),
        status in statuses(),
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let request = Request { key, timeout, payload: payload.clone() };
        let answer = Answer { key, payload };
        let refusal = Refusal { key, handled: flag, code: code.clone(), message: message.clone() };
        let cancel = Cancel { key, reason: CancelReason::from_number(reason) };
        let close = Close { counts: status.counts, written, is_draining: flag, code, message, rest: rest.into() };
        let (asked, answered) = (request.encode(flag), answer.encode(flag));
        let (refused, cancelled) = (refusal.encode(), cancel.encode());
        for written in [&asked, &answered, &refused, &cancelled] {
            prop_assert!(is_valid(written.encoding, &written.raw));
            prop_assert_eq!(super::key(&written.raw), Some(key));
        }
        prop_assert_eq!(Request::decode(&asked.raw), Some(request));
        prop_assert_eq!(Answer::decode(&answered.raw), Some(answer));
        prop_assert_eq!(Refusal::decode(&refused.raw), Some(refusal));
        prop_assert_eq!(Cancel::decode(&cancelled.raw), Some(cancel));
        // Behind other messages it is the same.
        for before in [Messages::one(asked.clone(), None), Messages::one(asked, Json::parse("{\"a\":1}".into()).ok())] {
            let mut all: Vec<Item> = before.items().collect();
            let joined = before.with_status(&status, 256, 8192).expect("small");
            let parsed = PackedMessages::parse(2, joined.raw().clone());
            prop_assert_eq!(parsed.as_ref(), Some(&joined));
            let (others, control) = joined.split_control().expect("it is there");
            prop_assert_eq!(Status::decode(control.payload), Some(status.clone()));
            prop_assert_eq!(others.into_one().ok(), all.pop());
        }
        prop_assert_eq!(Status::decode(&status.encode().raw), Some(status));
        prop_assert_eq!(Close::decode(&close.encode().raw), Some(close));
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_what_is_valid_can_be_read(
        encoding in any::<u8>(),
        raw in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let raw = Bytes::from(raw);
        let encoding = Encoding(encoding);
        let reads = match encoding {
            Encoding::REQUEST | Encoding::REQUEST_MANY => Request::decode(&raw).is_some(),
            Encoding::ANSWER | Encoding::ANSWER_MORE => Answer::decode(&raw).is_some(),
            Encoding::REFUSAL => Refusal::decode(&raw).is_some(),
            Encoding::CANCEL => Cancel::decode(&raw).is_some(),
            Encoding::ANSWER_END => super::key(&raw).is_some(),
            Encoding::BIG => Beginning::decode(&raw).is_some(),
            Encoding::TIMED => Timed::decode(&raw).is_some(),
            Encoding::DROPPED => Dropped::decode(&raw).is_some(),
            _ => true,
        };
        prop_assert_eq!(is_valid(encoding, &raw), reads);
        if let Some(status) = Status::decode(&raw) {
            prop_assert_eq!(Status::decode(&status.encode().raw), Some(status));
        }
        Close::decode(&raw);
    }
}
