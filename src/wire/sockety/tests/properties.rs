//! What is written is read again, whatever it is.

use bytes::BytesMut;
use proptest::prelude::*;
use uuid::Uuid;

use crate::wire::sockety::*;

fn uuids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

/// As many numbers of each width.
fn sizes(most: u64) -> impl Strategy<Value = u64> {
    (0..=48_u32, any::<u64>()).prop_map(move |(bits, value)| (value & ((1 << bits) - 1)).min(most))
}

fn small_sizes() -> impl Strategy<Value = u32> {
    sizes(u32::MAX.into()).prop_map(|size| u32::try_from(size).unwrap_or(u32::MAX))
}

fn indices() -> impl Strategy<Value = u32> {
    small_sizes().prop_map(|index| index.min(MAX_UINT24))
}

fn any_packet() -> impl Strategy<Value = Packet> {
    prop_oneof![
        (0..MAX_CHANNELS).prop_map(Packet::Channel),
        (any::<bool>(), any::<bool>(), small_sizes())
            .prop_map(|(stream, expects_response, size)| Packet::Message { stream, expects_response, size }),
        (any::<bool>(), any::<bool>(), small_sizes())
            .prop_map(|(stream, expects_response, size)| Packet::Response { stream, expects_response, size }),
        (0..=MAX_FAST_REPLY, uuids()).prop_map(|(code, id)| Packet::FastReply { code, id }),
        small_sizes().prop_map(|size| Packet::Continue { size }),
        small_sizes().prop_map(|size| Packet::Stream { size }),
        small_sizes().prop_map(|size| Packet::Data { size }),
        (indices(), small_sizes()).prop_map(|(index, size)| Packet::File { index, size }),
        indices().prop_map(|index| Packet::FileEnd { index }),
        Just(Packet::StreamEnd),
        Just(Packet::Abort),
        Just(Packet::Heartbeat),
        Just(Packet::GoAway),
    ]
}

proptest! {
    #[test]
    fn a_packet_is_read_as_it_was_written_and_not_before_its_last_byte(packet in any_packet(), after: [u8; 3]) {
        let mut out = BytesMut::new();
        packet.push(&mut out);
        prop_assert!(out.len() <= MAX_HEAD_BYTES);
        for end in 0..out.len() {
            prop_assert_eq!(Packet::decode(&out[..end]), Ok(None));
        }
        let length = out.len();
        out.extend_from_slice(&after);
        prop_assert_eq!(Packet::decode(&out), Ok(Some((packet, length))));
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_not_before_its_last_byte(
        parent in proptest::option::of(uuids()),
        id in uuids(),
        action in proptest::collection::vec(any::<u8>(), 0..300),
        data_size in sizes(MAX_UINT48),
        file_count in indices(),
        files_size in sizes(MAX_UINT48),
    ) {
        let (kind, action) = match parent {
            Some(_) => (Kind::Response, &[][..]),
            None => (Kind::Message, &action[..]),
        };
        let files_size = if file_count == 0 { 0 } else { files_size };
        let header = MessageHeader { parent, id, action, data_size, file_count, files_size };
        let mut out = BytesMut::new();
        header.push(&mut out);
        prop_assert_eq!(out.len(), header.encoded_len());
        for end in 0..out.len() {
            prop_assert_eq!(MessageHeader::decode(kind, &out[..end]), None);
        }
        let length = out.len();
        out.extend_from_slice(&[0; 3]);
        prop_assert_eq!(MessageHeader::decode(kind, &out), Some((header, length)));
    }

    #[test]
    fn a_file_header_is_read_as_it_was_written_and_not_before_its_last_byte(
        name in proptest::collection::vec(any::<u8>(), 0..300),
        size in sizes(MAX_UINT48),
    ) {
        let file = FileHeader { name: &name, size };
        let mut out = BytesMut::new();
        file.push(&mut out);
        prop_assert_eq!(out.len(), file.encoded_len());
        for end in 0..out.len() {
            prop_assert_eq!(FileHeader::decode(&out[..end]), None);
        }
        prop_assert_eq!(FileHeader::decode(&out), Some((file, out.len())));
    }

    #[test]
    fn a_connection_header_is_read_as_it_was_written(channels in 1..=MAX_CHANNELS) {
        let mut out = BytesMut::new();
        Handshake { channels }.push(&mut out);
        prop_assert_eq!(Handshake::decode(&out), Ok(Some((Handshake { channels }, out.len()))));
    }
}
