mod properties;

use bytes::BytesMut;
use uuid::Uuid;

use super::*;

/// `name | hex` a line, from the specification.
const EXAMPLES: &str = include_str!("../../../tests/data/sockety.txt");

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| byte.is_ascii_hexdigit()).collect();
    let digit = |at: usize| char::from(digits[at]).to_digit(16).unwrap_or(0).to_le_bytes()[0];
    (0..digits.len() / 2).map(|at| digit(2 * at) << 4 | digit(2 * at + 1)).collect()
}

fn id(first: u8) -> Uuid {
    let mut bytes = *Uuid::from_u128(0x0011_2233_4455_4677_8899_aabb_ccdd_eeff).as_bytes();
    bytes[0] = first;
    Uuid::from_bytes(bytes)
}

fn examples() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let lines = EXAMPLES.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(" | ").expect("a name and its bytes"))
        .map(|(name, text)| (name, hex(text)))
}

fn pushed(packet: Packet) -> Vec<u8> {
    let mut out = BytesMut::new();
    packet.push(&mut out);
    out.to_vec()
}

/// Packets with their contents.
fn packets(mut bytes: &[u8]) -> Vec<(Packet, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (packet, head) = Packet::decode(bytes).expect("an example").expect("whole");
        for end in 0..head {
            assert_eq!(Packet::decode(&bytes[..end]), Ok(None), "{packet:?} cut at {end}");
        }
        let content = &bytes[head..head + packet.size() as usize];
        found.push((packet, content.to_vec()));
        bytes = &bytes[head + content.len()..];
    }
    found
}

#[test]
fn every_example_is_read_to_its_last_byte_and_written_again_as_it_was() {
    let mut count = 0;
    for (name, bytes) in examples() {
        count += 1;
        let mut again = Vec::new();
        for (packet, content) in packets(&bytes) {
            again.extend(pushed(packet));
            again.extend(&content);
        }
        // Wider than need be, which the reference reads and never writes.
        if !name.starts_with("uint") {
            assert_eq!(again, bytes, "{name}");
        }
    }
    assert_eq!(count, 39);
}

#[test]
fn the_header_of_every_whole_example_is_written_again_as_it_was_and_needs_all_of_its_bytes() {
    let mut count = 0;
    for (name, bytes) in examples() {
        for (packet, content) in packets(&bytes) {
            let kind = match packet {
                Packet::Message { .. } => Kind::Message,
                Packet::Response { .. } => Kind::Response,
                _ => continue,
            };
            let Some((header, mut length)) = MessageHeader::decode(kind, &content) else { continue };
            count += 1;
            assert_eq!(header.encoded_len(), length, "{name}");
            for end in 0..length {
                assert_eq!(MessageHeader::decode(kind, &content[..end]), None, "{name} cut at {end}");
            }
            let mut again = BytesMut::new();
            header.push(&mut again);
            for _ in 0..header.file_count {
                let (file, size) = FileHeader::decode(&content[length..]).expect(name);
                assert_eq!(file.encoded_len(), size, "{name}");
                file.push(&mut again);
                length += size;
            }
            assert_eq!((again.to_vec(), length), (content.clone(), content.len()), "{name}");
        }
    }
    assert_eq!(count, 24);
}

#[test]
fn small_packets_are_what_the_specification_says() {
    let cases = [
        ("0f", Packet::Channel(15)),
        ("1010", Packet::Channel(16)),
        ("1fff", Packet::Channel(4095)),
        ("c003", Packet::File { index: 0, size: 3 }),
        ("c10301", Packet::File { index: 1, size: 3 }),
        ("c103ff", Packet::File { index: 255, size: 3 }),
        ("c2030001", Packet::File { index: 256, size: 3 }),
        ("c203ffff", Packet::File { index: 65_535, size: 3 }),
        ("c303000001", Packet::File { index: 65_536, size: 3 }),
        ("d0", Packet::FileEnd { index: 0 }),
        ("d101", Packet::FileEnd { index: 1 }),
        ("d20001", Packet::FileEnd { index: 256 }),
        ("d3000001", Packet::FileEnd { index: 65_536 }),
        ("70ff", Packet::Stream { size: 255 }),
        ("740001", Packet::Stream { size: 256 }),
        ("74ffff", Packet::Stream { size: 65_535 }),
        ("78000001", Packet::Stream { size: 65_536 }),
        ("e42c01", Packet::Data { size: 300 }),
        ("e8701101", Packet::Data { size: 70_000 }),
        ("ec00001001", Packet::Data { size: 17 << 20 }),
        ("253f01", Packet::Message { stream: false, expects_response: true, size: 319 }),
        ("43e81411223344554677", Packet::Heartbeat),
    ];
    for (text, packet) in &cases[..cases.len() - 1] {
        let bytes = hex(text);
        assert_eq!(Packet::decode(&bytes), Ok(Some((*packet, bytes.len()))), "{text}");
        assert_eq!(pushed(*packet), bytes, "{text}");
    }
    let (text, _) = cases[cases.len() - 1];
    assert_eq!(Packet::decode(&hex(text)), Ok(None), "a fast reply that is not whole");
}

#[test]
fn bits_that_mean_nothing_are_ignored_and_a_type_that_does_not_exist_is_not() {
    assert_eq!(Packet::decode(&hex("af")), Ok(Some((Packet::Heartbeat, 1))));
    assert_eq!(Packet::decode(&hex("1001")), Ok(Some((Packet::Channel(1), 2))));
    assert_eq!(Packet::decode(&hex("8c")), Ok(Some((Packet::StreamEnd, 1))));
    for first in 0xf0..=0xff {
        assert_eq!(Packet::decode(&[first]), Err(DecodeError::UnknownPacket));
    }
}

#[test]
fn sizes_of_data_and_files_take_the_widths_of_the_reference() {
    let header = |data_size, file_count, files_size| {
        let mut out = BytesMut::new();
        let header =
            MessageHeader { parent: None, id: id(0), action: b"log", data_size, file_count, files_size };
        header.push(&mut out);
        (out[0], out[21..].to_vec())
    };
    assert_eq!(header(300, 0, 0), (0x80, hex("2c01")));
    assert_eq!(header(70_000, 0, 0), (0xc0, hex("701101000000")));
    assert_eq!(header(17 << 20, 0, 0), (0xc0, hex("000010010000")));
    assert_eq!(header(0, 256, 0), (0x20, hex("00010000")));
    let file = |size, name: &[u8]| {
        let mut out = BytesMut::new();
        FileHeader { name, size }.push(&mut out);
        out.to_vec()
    };
    for (size, flags, total, announced) in [
        (0, 0x10, "0000", "0000016e"),
        (255, 0x10, "ff00", "00ff016e"),
        (256, 0x10, "0001", "040001016e"),
        (65_535, 0x10, "ffff", "04ffff016e"),
        (65_536, 0x14, "000001", "08000001016e"),
        ((1 << 24) - 1, 0x14, "ffffff", "08ffffff016e"),
        (1 << 24, 0x18, "00000001", "0c000000010000016e"),
        (1 << 40, 0x1c, "000000000001", "0c000000000001016e"),
    ] {
        assert_eq!(header(0, 1, size), (flags, [hex("01"), hex(total)].concat()), "{size}");
        assert_eq!(file(size, b"n"), hex(announced), "{size}");
    }
    let name = [b'n'; 300];
    assert_eq!(file(1, &name)[..4], hex("02012c01"));
    let mut out = BytesMut::new();
    let action = [b'a'; 300];
    MessageHeader { parent: None, id: id(0), action: &action, data_size: 0, file_count: 0, files_size: 0 }
        .push(&mut out);
    assert_eq!((out.len(), out[0], &out[17..19]), (319, 0x02, &hex("2c01")[..]));
}

#[test]
fn the_connection_header_has_a_form_for_each_number_of_channels() {
    let forms = [
        (1, "e0"),
        (5, "e105"),
        (255, "e1ff"),
        (256, "e20001"),
        (257, "e20101"),
        (4095, "e2ff0f"),
        (4096, "e3"),
    ];
    for (channels, text) in forms {
        let mut out = BytesMut::new();
        Handshake { channels }.push(&mut out);
        assert_eq!(out, hex(text), "{channels}");
        for end in 0..out.len() {
            assert_eq!(Handshake::decode(&out[..end]), Ok(None));
        }
        out.extend_from_slice(b"\xa0\xa0");
        assert_eq!(Handshake::decode(&out), Ok(Some((Handshake { channels }, out.len() - 2))));
    }
    let read = |text| Handshake::decode(&hex(text)).map(|read| read.map(|(read, _)| read.channels));
    assert_eq!(read("e100"), Ok(Some(256)), "the reference writes 256 like this");
    assert_eq!(read("e2ffff"), Ok(Some(4096)));
    assert_eq!(read("ec"), Ok(Some(1)), "bits 2 and 3 are ignored");
    assert_eq!(read("e20000"), Err(DecodeError::NoChannels));
    assert_eq!(read("16"), Err(DecodeError::InvalidControlByte), "a TLS client");
}
