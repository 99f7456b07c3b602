//! Committed samples of what goes over the wire: each is read, and written again byte for byte. The samples
//! are the promise that other implementations build on; a change of one is a change of the protocol.

use std::fs;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use selvedge::wire::conat::{ClientCodec, Codec, EnginePacket, Frame, Frames, ServerCodec};
use selvedge::wire::fabric::{self, Decoded, push_ping, push_pong};

#[test]
fn recorded_conat_conversations_are_reproduced() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conat");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the samples") {
        let path = entry.expect("a sample").path();
        let text = fs::read_to_string(&path).expect("utf-8");
        count += replay(&text, &path.display().to_string());
    }
    assert!(count >= 40, "only {count} packets");
}

#[test]
fn recorded_fabric_frames_are_reproduced() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fabric/frames.txt");
    let text = fs::read_to_string(path).expect("utf-8");
    let mut client = fabric::ClientCodec::new(8_000_000).with_extensions(fabric::EXTENSIONS);
    let mut server = fabric::ServerCodec::new(8_000_000);
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (speaker, shown) = line.split_once(' ').expect(line);
        let bytes = if shown.starts_with('{') { control_frame(shown) } else { unhexed(shown) };
        let again = match speaker {
            ">" => frame_again(&mut server, &mut client, &bytes),
            "<" => frame_again(&mut client, &mut server, &bytes),
            _ => panic!("{line}"),
        };
        assert_eq!(again, bytes, "{line}");
        count += 1;
    }
    assert!(count >= 25, "only {count} frames");
}

fn control_frame(text: &str) -> Bytes {
    let length = u32::try_from(text.len() + 1).expect("short");
    [&length.to_le_bytes()[..], &[6], text.as_bytes()].concat().into()
}

/// The frame as `hearer` understands it, and `speaker` would say it.
fn frame_again<H, S>(hearer: &mut H, speaker: &mut S, bytes: &Bytes) -> Bytes
where
    H: fabric::Codec,
    S: fabric::Codec<Out = H::In>,
{
    let length = fabric::frame_length(bytes, hearer.max_frame());
    assert_eq!(length, Ok(Some(bytes.len())));
    let (mut ops, mut out) = (Vec::new(), BytesMut::new());
    match hearer.decode(fabric::Frame::Shared(bytes), &mut ops).expect("well formed") {
        Decoded::Op => {
            let payload = ops.pop().and_then(|op| speaker.encode(op, &mut out));
            out.extend_from_slice(&payload.unwrap_or_default());
        }
        Decoded::Ping => push_ping(&mut out),
        Decoded::Pong => push_pong(&mut out),
        Decoded::Reply(_) | Decoded::Idle => panic!("no sample asks for this"),
    }
    out.freeze()
}

/// Plays both parts: what one says is read by the other, and must come out of the first one's codec again.
fn replay(conversation: &str, name: &str) -> usize {
    let mut client = ClientCodec::new(8_000_000);
    let mut server = ServerCodec::new(8_000_000);
    // What the client's codec says by itself, and the conversation must show next.
    let mut answers = Vec::new();
    let packets = packets(conversation);
    for (speaker, frames) in &packets {
        let sample = format!("{name}: {frames:?}");
        if *speaker == "C" {
            let (ops, said) = heard(&mut server, frames, &sample);
            assert!(said.is_empty() && ops.len() == 1, "{sample}");
            let mut again = std::mem::take(&mut answers);
            again.extend(ops.into_iter().flat_map(|op| written(&mut client, op)));
            assert_eq!(&again, frames, "{name}");
        } else {
            let (ops, said) = heard(&mut client, frames, &sample);
            assert_eq!(ops.len(), 1, "{sample}");
            answers = said;
            let again: Vec<_> = ops.into_iter().flat_map(|op| written(&mut server, op)).collect();
            assert_eq!(&again, frames, "{name}");
        }
    }
    packets.len()
}

/// The speaker and the frames of each packet: a text line, and the binary lines that follow it.
fn packets(conversation: &str) -> Vec<(&str, Vec<String>)> {
    let mut packets: Vec<(&str, Vec<String>)> = Vec::new();
    for line in conversation.lines().filter(|line| !line.starts_with('#')) {
        let (speaker, frame) = line.split_once(' ').expect(line);
        match packets.last_mut() {
            Some((_, frames)) if frame.starts_with('<') => frames.push(frame.to_owned()),
            _ => packets.push((speaker, vec![frame.to_owned()])),
        }
    }
    packets
}

fn heard<C: Codec>(codec: &mut C, frames: &[String], sample: &str) -> (Vec<C::In>, Vec<String>) {
    let (mut ops, mut answers) = (Vec::new(), Frames::default());
    for frame in frames {
        let outcome = match frame.strip_prefix('<').and_then(|frame| frame.strip_suffix('>')) {
            Some(hex) => codec.handle_binary(unhexed(hex), &mut ops, &mut answers),
            None => {
                let Ok(EnginePacket::Message(packet)) = EnginePacket::parse(frame) else {
                    panic!("{sample}")
                };
                codec.handle_text(packet, &mut ops, &mut answers)
            }
        };
        outcome.expect(sample);
    }
    (ops, shown(&mut answers))
}

fn written<C: Codec>(codec: &mut C, op: C::Out) -> Vec<String> {
    let mut frames = Frames::default();
    codec.encode(op, &mut frames);
    shown(&mut frames)
}

fn shown(frames: &mut Frames) -> Vec<String> {
    std::iter::from_fn(|| frames.pop())
        .map(|frame| match frame {
            Frame::Text(text) => String::from_utf8(text.to_vec()).expect("utf-8"),
            Frame::Binary(bytes) => {
                format!("<{}>", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
        })
        .collect()
}

fn unhexed(hex: &str) -> Bytes {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect(hex);
    (0..hex.len()).step_by(2).map(byte).collect()
}
