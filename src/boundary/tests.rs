//! The two formats of the boundary, without Node: what one end writes the other reads, and no bytes can harm.

use bytes::Bytes;
use proptest::prelude::*;

use super::kinds::{FabricCommandKind as To, FabricEventKind as From, Kind};
use super::*;
use crate::base::{Code, Failure, Few, Handle};
use crate::endpoint::{Command, Event};
use crate::socket::{Consumed, SocketEvent, State};
use crate::sockety;
use crate::subject::Subject;
use crate::wire::{Encoding, Headers, Item, Json, Message, Messages, PackedBuilder, Payload, push_item};

/// Writes batches as `lib/engine/batch.ts` does.
#[derive(Default)]
struct Batch(Vec<u8>);

impl Batch {
    fn record(&mut self, kind: To, client: u32, body: &[&[u8]]) {
        self.any([To::SYSTEM as u8, kind.number()], client, body);
    }

    fn any(&mut self, kind: [u8; 2], client: u32, body: &[&[u8]]) {
        let length = 6 + body.iter().map(|part| part.len()).sum::<usize>();
        self.0.extend(u32::try_from(length).expect("short").to_le_bytes());
        self.0.extend(kind);
        self.0.extend(client.to_le_bytes());
        body.iter().for_each(|part| self.0.extend(*part));
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("short");
    [&length.to_le_bytes()[..], text.as_bytes()].concat()
}

fn read(batch: &[u8]) -> (Vec<(Handle, String)>, Result<(), Failure>) {
    let mut commands = Vec::new();
    let outcome = read_batch(batch, |client, order| {
        let text = match order {
            Record::Fabric(command) => format!("{command:?}"),
            Record::Broker(answer) => format!("{answer:?}"),
            Record::Sockety(record) => format!("{:?}", read_operations(record, &|_| None)),
        };
        commands.push((client, text));
    });
    (commands, outcome)
}

/// Reads an event buffer as `lib/engine/event-reader.ts` does: kind, handle and body of each record.
fn records(buffer: &EventBuffer) -> Vec<(From, u32, Vec<u8>)> {
    let (mut rest, mut records) = (&buffer.bytes[..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (record, next) = after.split_at(u32::from_le_bytes(*length) as usize);
        assert_eq!(record[0], From::SYSTEM as u8);
        let kind = From::from_number(record[1]).expect("a kind");
        let handle = u32::from_le_bytes(record[2..6].try_into().expect("a handle"));
        records.push((kind, handle, record[6..].to_vec()));
        rest = next;
    }
    assert!(rest.is_empty(), "half a record");
    records
}

#[test]
fn operations_of_a_sockety_connection_follow_each_other_in_one_record() {
    use crate::sockety::{Content, OutgoingStream, Part};
    let id = [7; 16];
    let u32 = |number: u32| number.to_le_bytes();
    let message = [
        // With a response wanted, a stream that follows, and files.
        &[1, 1 | 2 | 8][..],
        &id,
        &[&u32(5)[..], &u32(6), &u32(7)].concat(),
        b"\x02\x00up",
        &[&u32(3)[..], b"abc"].concat(),
        &[&u32(2)[..], &2_f64.to_le_bytes(), &u32(1), b"n", &[0]].concat(),
        &[&1_f64.to_le_bytes()[..], &u32(1), b"m", &[1], &u32(u32::MAX), &u32(0)].concat(),
    ]
    .concat();
    let fast_reply = [&[2, 0xe8, 3][..], &id].concat();
    let read = [&[6][..], &u32(9), &u32(1), &1e15_f64.to_le_bytes()].concat();
    let discard = [&[7][..], &u32(9), &u32(u32::MAX)].concat();
    let operations = [message, fast_reply, read, discard, vec![13]];
    let record = operations.concat();
    let ends: Vec<usize> = (0..5).map(|count| operations[..count].concat().len()).collect();
    let attached = |number| (number == 0).then(|| Bytes::from_static(b"x"));
    let commands = read_operations(record.clone().into(), &attached).expect("well-formed");
    let [
        sockety::Command::Send(sent),
        sockety::Command::FastReply { code: 1000, mark: 0, .. },
        sockety::Command::Read { number: 9, part: Part::Stream, bytes: 1_000_000_000_000_000 },
        sockety::Command::Discard { number: 9, part: None },
        sockety::Command::Destroy,
    ] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert_eq!((sent.request, sent.number, sent.mark, sent.stream), (5, 6, 7, OutgoingStream::Open));
    assert_eq!((&sent.action[..], &sent.data[..], sent.files.len()), (&b"up"[..], &b"abc"[..], 2));
    assert!(matches!(&sent.files[0].content, Content::Follows));
    assert!(matches!(&sent.files[1].content, Content::Whole(bytes) if bytes == "x"));
    for end in (0..record.len()).filter(|end| !ends.contains(end)) {
        assert!(read_operations(record[..end].to_vec().into(), &attached).is_err(), "cut at {end}");
    }
}

#[test]
fn writes_to_one_socket_in_a_row_share_one_copy_and_a_part_cut_short_is_refused() {
    let part = |length: u8, raw: &[u8]| [&[length << 1, 1], raw].concat();
    let with_headers = [3, 2, b'{', b'}', 0, b'y'];
    let mut batch = Batch::default();
    let socket = 9_u32.to_le_bytes();
    batch.record(To::SocketWrite, 7, &[&socket, &part(2, b"hi"), &with_headers, &part(1, b"x")]);
    batch.record(To::SocketWrite, 7, &[&socket, &part(2, b"hi"), &part(9, b"short")]);
    let (mut writes, mut starts) = (Vec::new(), Vec::new());
    let outcome = read_batch(&batch.0, |_, command| {
        let Record::Fabric(Command::SocketWrite { sockets, batches, volatile: false }) = command else {
            panic!("{command:?}")
        };
        assert_eq!((&sockets[..], batches.len()), (&[9][..], 1));
        for Item { payload: Payload { encoding, raw }, json } in batches[0].items() {
            starts.push(raw.as_ptr().addr());
            writes.push((encoding.0, raw, json.is_some()));
        }
    });
    let written = |encoding, text: &'static str, json| (encoding, Bytes::from_static(text.as_bytes()), json);
    assert_eq!(writes, [written(1, "hi", false), written(0, "y", true), written(1, "x", false)]);
    assert!(starts.is_sorted() && starts[2] - starts[0] < 40, "one allocation");
    assert!(outcome.expect_err("refused").message.contains("malformed messages"));
}

#[test]
fn a_list_that_claims_more_than_it_has_is_refused_and_costs_nothing() {
    let mut batch = Batch::default();
    batch.record(To::Broadcast, 7, &[&u32::MAX.to_le_bytes(), &[1, 0, 0, 0]]);
    batch.record(To::ClientConnect, 7, &[]);
    let (commands, outcome) = read(&batch.0);
    assert_eq!(commands, [(7, "Connect".to_owned())], "the next record is read all the same");
    assert!(outcome.expect_err("refused").message.contains("truncated"));
}

/// The lengths of the messages in a record of *socket data many*: each without headers.
fn parts(mut body: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !body.is_empty() {
        let (mut head, mut shift) = (0, 0);
        loop {
            let byte = body[0];
            body = &body[1..];
            head |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        assert_eq!(head & 1, 0, "headers");
        lengths.push(head >> 1);
        body = &body[1 + (head >> 1)..];
    }
    lengths
}

proptest! {
    #[test]
    fn what_lib_writes_is_what_the_engine_reads(
        client in any::<u32>(),
        socket in any::<u32>(),
        count in any::<u32>(),
        sockets in prop::collection::vec(any::<u32>(), 0..9),
        raw in prop::collection::vec(any::<u8>(), 0..300),
        encoding in any::<u8>(),
        json in prop::option::of("\\{\"[a-z]{0,9}\":[0-9]\\}"),
        subject in "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}",
    ) {
        let headers = json.as_ref().map_or_else(|| u32::MAX.to_le_bytes().to_vec(), |json| text(json));
        let many: Vec<u8> = sockets.iter().flat_map(|socket| socket.to_le_bytes()).collect();
        let length = u32::try_from(sockets.len()).expect("few");
        let mut batch = Batch::default();
        let payload = Payload { encoding: Encoding(encoding), raw: Bytes::copy_from_slice(&raw) };
        let json = json.map(|json| Json::parse(json.into()).expect("valid"));
        let mut message = Vec::new();
        push_item(&mut message, &payload, json.as_ref());
        batch.record(To::SocketWrite, client, &[&socket.to_le_bytes(), &message]);
        batch.record(To::Broadcast, client, &[&length.to_le_bytes(), &many, &message]);
        batch.record(To::SocketWriteVolatile, client, &[&socket.to_le_bytes(), &message]);
        batch.record(To::BroadcastVolatile, client, &[&length.to_le_bytes(), &many, &message, &message]);
        batch.record(To::PublishMany, client, &[&text(&subject), &message]);
        batch.record(
            To::Consumed,
            client,
            &[&socket.to_le_bytes(), &count.to_le_bytes(), &2_u32.to_le_bytes(), &1_u32.to_le_bytes()],
        );
        batch.record(To::Publish, client, &[&[0; 8], &[0], &text(&subject), &headers, &[encoding], &raw]);
        let headers = Headers::default().with_json(json.clone());
        let subject = Subject::parse(&subject).expect("valid");
        let one = Few::One(Messages::one(payload.clone(), json.clone()));
        let mut two = PackedBuilder::new(&payload, json.as_ref());
        two.push(&payload, json.as_ref());
        let two = two.finish();
        let expected = [
            Command::SocketWrite { sockets: Few::One(socket), batches: one.clone(), volatile: false },
            Command::SocketWrite { sockets: sockets.clone().into(), batches: one.clone(), volatile: false },
            Command::SocketWrite { sockets: Few::One(socket), batches: one.clone(), volatile: true },
            Command::SocketWrite {
                sockets: sockets.into(),
                batches: Few::One(Messages::Packed(two)),
                volatile: true,
            },
            Command::PublishMany { subject: subject.clone(), batches: one },
            Command::Consumed { socket, counts: Consumed { data: count.into(), requests: 2, answers: 1 } },
            Command::Publish(Message { subject, headers, payload }),
        ];
        let (commands, outcome) = read(&batch.0);
        prop_assert_eq!(outcome, Ok(()));
        let expected: Vec<_> = expected.iter().map(|command| (client, format!("{command:?}"))).collect();
        prop_assert_eq!(commands, expected);
    }

    #[test]
    fn a_cut_batch_gives_the_whole_records_before_the_cut(
        count in 0..20_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut batch = Batch::default();
        (0..count).for_each(|_| batch.record(To::ClientConnect, 1, &[]));
        let cut = cut.index(batch.0.len() + 1);
        let (commands, outcome) = read(&batch.0[..cut]);
        prop_assert_eq!(commands.len(), cut / 10);
        prop_assert_eq!(outcome.is_ok(), cut % 10 == 0);
    }

    #[test]
    fn noise_is_an_error_and_never_a_panic(
        records in prop::collection::vec((any::<u8>(), prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..60)), 0..9),
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut batch = Batch::default();
        records.iter().for_each(|(kind, body)| batch.any([kind % 4, kind / 4], 1, &[body]));
        let _ = read(&batch.0);
        let _ = read(&noise);
    }

    #[test]
    fn data_in_a_row_is_one_record_any_other_event_its_own_and_big_payloads_are_beside_it(
        handle in any::<u32>(),
        sizes in prop::collection::vec(prop_oneof![0..100_usize, 32_700..32_900_usize], 1..6),
        total in 0..1_u64 << 53,
        message in any::<String>(),
        undelivered in any::<u32>(),
    ) {
        let mut buffer = EventBuffer::default();
        let payload = |size| Payload { encoding: Encoding::MSGPACK, raw: Bytes::from(vec![7; size]) };
        for size in &sizes {
            let data = Event::Socket(handle, SocketEvent::Data(Messages::one(payload(*size), None)));
            buffer.put(HostEvent::Fabric(1, data));
        }
        buffer.put(HostEvent::Fabric(1, Event::Socket(handle, SocketEvent::Acked { messages: total, bytes: 2 * total })));
        let failure = Some(Failure::new(Code::SocketLost, &message));
        let undelivered = undelivered as usize;
        buffer.put(HostEvent::Fabric(1, Event::Socket(handle, SocketEvent::Closed { failure, undelivered, is_leaving: true, missing: 5 })));
        buffer.put(HostEvent::Fabric(1, Event::Socket(handle, SocketEvent::State(State::Ready))));
        let records = records(&buffer);
        let (mut big, mut came) = (buffer.big.iter(), Vec::new());
        for (kind, of, body) in &records[..records.len() - 3] {
            prop_assert_eq!(*of, handle);
            match kind {
                From::SocketDataMany => came.extend(parts(body)),
                From::SocketData => {
                    prop_assert!(body[..4] == u32::MAX.to_le_bytes() && body[5..9] != [0; 4], "beside the buffer");
                    let Some(Big::Shared(bytes)) = big.next() else { panic!("a payload") };
                    came.push(bytes.len());
                }
                other => prop_assert!(false, "{other:?} is no kind of data"),
            }
        }
        prop_assert_eq!(&came, &sizes);
        // Neighbours that are small share a record.
        let runs = sizes.chunk_by(|a, b| a.max(b) <= &(32 * 1024)).count();
        prop_assert_eq!(records.len(), runs + 3);
        prop_assert!(big.next().is_none());
        let [.., acked, closed, state] = &records[..] else { panic!("three more") };
        let figures = [(total as f64).to_le_bytes(), (2.0 * total as f64).to_le_bytes()].concat();
        prop_assert_eq!((acked.0, &acked.2), (From::SocketAcked, &figures));
        let lasts = [&[3, 0, 0][..], &text("ERR_SOCKET_LOST"), &text(&message), &u32::try_from(undelivered).expect("u32").to_le_bytes(), &[1, 5, 0, 0, 0]];
        prop_assert_eq!((closed.0, &closed.2), (From::SocketState, &lasts.concat()));
        prop_assert_eq!((state.0, state.2[0]), (From::SocketState, 2));
    }
}
