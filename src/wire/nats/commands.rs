//! What a client says.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::frame::LINE_END;

/// Where commands go.
pub trait Sink {
    /// Returns where small pieces are appended.
    fn gather(&mut self) -> &mut BytesMut;
    /// Appends a large piece as it is.
    fn push(&mut self, bytes: Bytes);
}

impl Sink for BytesMut {
    fn gather(&mut self) -> &mut BytesMut {
        self
    }

    fn push(&mut self, bytes: Bytes) {
        self.extend_from_slice(&bytes);
    }
}

/// What [`push_connect`] begins with. An HTTP server refuses it at once, and a server of NATS waits for the
/// rest.
pub const CONNECT_START: &str = "CONNECT {";

/// What a client shows to be let in. No part of it gets into a text.
#[derive(Clone, Default, Serialize)]
pub struct SignIn {
    /// A token.
    #[serde(rename = "auth_token", skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password to it.
    #[serde(rename = "pass", skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A user that an account vouches for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<String>,
    /// The public key of a user without a JWT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey: Option<String>,
    /// The server's nonce, signed with the user's key.
    #[serde(rename = "sig", skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

#[derive(Serialize)]
struct Connect<'a> {
    verbose: bool,
    pedantic: bool,
    tls_required: bool,
    lang: &'static str,
    version: &'static str,
    protocol: u8,
    echo: bool,
    headers: bool,
    no_responders: bool,
    #[serde(flatten)]
    sign_in: &'a SignIn,
}

/// Appends the answer to `INFO`: who this is, what it knows, and whether it wants to hear what it publishes.
/// Then a `PING`, whose answer means that it may come in.
pub fn push_connect(out: &mut BytesMut, is_tls: bool, echo: bool, sign_in: &SignIn) {
    let connect = Connect {
        verbose: false,
        pedantic: false,
        tls_required: is_tls,
        lang: "selvedge",
        version: env!("CARGO_PKG_VERSION"),
        protocol: 1,
        echo,
        headers: true,
        no_responders: true,
        sign_in,
    };
    out.put_slice(b"CONNECT ");
    out.put_slice(serde_json::to_string(&connect).unwrap_or_default().as_bytes());
    out.put_slice(LINE_END);
    push_ping(out);
}

/// Appends a ping.
pub(super) fn push_ping(out: &mut BytesMut) {
    out.put_slice(b"PING\r\n");
}

/// Appends the answer to a ping.
pub fn push_pong(out: &mut BytesMut) {
    out.put_slice(b"PONG\r\n");
}

/// Appends a subscription.
pub(super) fn push_sub(out: &mut BytesMut, pattern: &str, queue: Option<&str>, sid: u64) {
    push_all(out, &["SUB ", pattern, " ", queue.unwrap_or(""), if queue.is_some() { " " } else { "" }]);
    push_number(out, sid);
    out.put_slice(LINE_END);
}

/// Appends the end of a subscription.
pub(super) fn push_unsub(out: &mut BytesMut, sid: u64) {
    out.put_slice(b"UNSUB ");
    push_number(out, sid);
    out.put_slice(LINE_END);
}

/// Appends a message without headers, up to its payload: after that an end of line follows.
pub(super) fn push_pub(out: &mut BytesMut, subject: &str, reply: Option<&str>, bytes: usize) {
    push_all(out, &["PUB ", subject, " "]);
    push_reply(out, reply);
    push_number(out, bytes as u64);
    out.put_slice(LINE_END);
}

/// The line of a message with headers whose sizes are not known yet.
pub(super) struct OpenMessage {
    sizes: usize,
    headers: usize,
}

impl OpenMessage {
    /// Appends the line, with room for its sizes; the header block follows.
    pub(super) fn begin(out: &mut BytesMut, subject: &str, reply: Option<&str>) -> Self {
        push_all(out, &["HPUB ", subject, " "]);
        push_reply(out, reply);
        let sizes = out.len();
        out.put_slice(SIZES);
        out.put_slice(LINE_END);
        Self { sizes, headers: out.len() }
    }

    /// Fills in the sizes: the header block ends at `payload`, and `more` follows what is in `out`.
    pub(super) fn finish(self, out: &mut BytesMut, payload: usize, more: usize) {
        let (headers, total) = (payload - self.headers, out.len() - self.headers + more);
        let sizes = &mut out[self.sizes..self.sizes + SIZES.len()];
        fill(&mut sizes[..SIZE_DIGITS], headers);
        fill(&mut sizes[SIZE_DIGITS + 1..], total);
    }
}

fn fill(digits: &mut [u8], mut number: usize) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn push_reply(out: &mut BytesMut, reply: Option<&str>) {
    if let Some(reply) = reply {
        push_all(out, &[reply, " "]);
    }
}

fn push_all(out: &mut BytesMut, parts: &[&str]) {
    parts.iter().for_each(|part| out.put_slice(part.as_bytes()));
}

fn push_number(out: &mut BytesMut, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

/// Leading zeros are allowed, and nine digits are the most that a server reads.
const SIZES: &[u8] = b"000000000 000000000";
const SIZE_DIGITS: usize = 9;
