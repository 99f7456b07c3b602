//! The WebSocket below our protocols, by the cases of the Autobahn test suite: its sections 1 to 7, 9 (short)
//! and 10, under the suite's numbers. What answers is an echo, which exists here only; request, limits and
//! reader are the door's.
//!
//! The door refuses by design, and some cases are sent with that as the right answer:
//! - extensions (12, 13): compression of a stranger's bytes costs memory and time; none is granted;
//! - messages over its payload bound (9.1.5, 9.1.6 and their kin, 8 and 16 MiB): 1009;
//! - a message in more than 4096 fragments (9.3.1 to 9.3.4 and 9.4's): 1008;
//! - more than 1000 control frames, or fragments below 64 bytes, in 25 s (9.7 and 9.8 have none): 1008.
//!
//! Text that is not UTF-8 is refused where a fragment ends, and not within one (6.4.3, 6.4.4: "non-strict").

mod cases;
mod close;
mod doors;
mod echo;
mod utf8;

use echo::{Echo, Reply};

/// What a client sends, and what it hears.
struct Case {
    id: String,
    /// Written one by one, each followed by a flush.
    sent: Vec<Vec<u8>>,
    heard: Vec<Reply>,
}

impl Case {
    fn new(id: impl Into<String>, sent: Vec<Vec<u8>>, heard: Vec<Reply>) -> Self {
        Self { id: id.into(), sent, heard }
    }

    /// All in one piece, with an orderly close behind it.
    fn orderly(id: impl Into<String>, frames: &[Vec<u8>], mut heard: Vec<Reply>) -> Self {
        let mut sent = frames.to_vec();
        sent.push(close(1000));
        heard.push(Reply::Close(Some(1000)));
        Self::new(id, vec![sent.concat()], heard)
    }

    /// All in one piece; the connection fails with `code` behind what is `heard`.
    fn failing(id: impl Into<String>, frames: &[Vec<u8>], mut heard: Vec<Reply>, code: u16) -> Self {
        heard.push(Reply::Close(Some(code)));
        Self::new(id, vec![frames.concat()], heard)
    }

    /// The same, in pieces of `size` bytes.
    fn chopped(self, id: impl Into<String>, size: usize) -> Self {
        let bytes = self.sent.concat();
        Self { id: id.into(), sent: bytes.chunks(size).map(<[u8]>::to_vec).collect(), ..self }
    }
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const PROTOCOL_ERROR: u16 = 1002;
const INVALID_TEXT: u16 = 1007;
const POLICY: u16 = 1008;
const TOO_LARGE: u16 = 1009;

/// A masked frame. `first` is its first byte: FIN, reserved bits, opcode.
fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).expect("short")),
        length @ 126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("short").to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn whole(opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw(FIN | opcode, payload)
}

fn close(code: u16) -> Vec<u8> {
    whole(CLOSE, &code.to_be_bytes())
}

/// `payload` in frames of `size` bytes.
fn fragments(opcode: u8, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size).max(1);
    (0..count)
        .map(|n| {
            let part = &payload[n * size..payload.len().min((n + 1) * size)];
            let opcode = if n == 0 { opcode } else { CONTINUATION };
            raw(if n + 1 == count { FIN | opcode } else { opcode }, part)
        })
        .collect()
}

async fn run(cases: Vec<Case>) {
    let echo = Echo::listen().await;
    for Case { id, sent, heard } in cases {
        assert_eq!(echo.replies(&sent).await, Ok(heard), "case {id}");
    }
}
