//! Where the replies to a client's requests arrive.

use std::fmt::Write;

use crate::base::Entropy;
use crate::subject::{Pattern, Subject};
use crate::wire::{Reassembly, Subscription, SubscriptionClass};

/// Names a request on this client; with a secret of its own part of the subject that its answer comes to.
pub(super) type RequestId = u64;

/// One pattern for all replies: `<prefix>.<random>.*`, of which the last token is the request's id with a
/// secret of its own: whoever has answered one request cannot guess where the answer to another goes.
#[derive(Debug)]
pub(super) struct Inbox {
    name: String,
    pattern: Pattern,
    /// For requests to come.
    secrets: Vec<u64>,
    /// Joins chunked replies.
    pub(super) replies: Reassembly,
}

impl Inbox {
    /// Returns an inbox that no other client has.
    pub(super) fn new(prefix: &str, entropy: &mut dyn Entropy) -> Self {
        let name = format!("{prefix}.{}", entropy.id());
        let pattern = Pattern::parse(&format!("{name}.*"))
            .unwrap_or_else(|_| Pattern::parse("_INBOX.invalid.*").expect("a literal pattern is valid"));
        Self { name, pattern, secrets: Vec::new(), replies: Reassembly::default() }
    }

    /// Returns what the subjects of all replies begin with.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the pattern to subscribe to.
    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Returns the subject for the reply to a request.
    pub(super) fn reply_subject(&self, id: RequestId, secret: u64) -> Option<Subject> {
        let mut text = String::with_capacity(self.name.len() + REQUEST_ID_LENGTH);
        write!(text, "{}.{id}", self.name).ok()?;
        push_secret(&mut text, secret);
        Subject::parse(&text).ok()
    }

    /// Returns 64 random bits. They come from a supply, because a look into the operating system's source
    /// takes longer than a request.
    pub(super) fn next_secret(&mut self, entropy: &mut dyn Entropy) -> u64 {
        if self.secrets.is_empty() {
            self.secrets.resize(SECRETS, 0);
            entropy.fill(&mut self.secrets);
        }
        self.secrets.pop().unwrap_or_default()
    }

    /// Returns its subscription, which this connection shares with no other.
    pub(super) fn subscription(&self, entropy: &mut dyn Entropy) -> Subscription {
        Subscription {
            pattern: self.pattern.as_str().into(),
            queue: Some(entropy.id().into()),
            class: SubscriptionClass::Direct,
            exclusive: None,
        }
    }
}

/// Reads the last token of a reply's subject: the request's id, and its secret.
pub(super) fn parse_reply_token(token: &str) -> Option<(RequestId, u64)> {
    let (id, secret) = token.split_at_checked(token.len().checked_sub(SECRET_DIGITS)?)?;
    let (id, mut number) = (id.strip_suffix('-')?, 0_u128);
    for byte in secret.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        number = number << 6 | u128::from(digit);
    }
    Some((id.parse().ok()?, u64::try_from(number).ok()?))
}

/// Appends a hyphen, and the secret in the digits of base64url: short, because every subject on its way is
/// looked at.
fn push_secret(text: &mut String, secret: u64) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    text.push('-');
    for place in (0..SECRET_DIGITS).rev() {
        text.push(char::from(DIGITS[(secret >> (6 * place) & 63) as usize]));
    }
}

/// Digits of 64 bits, six in each.
const SECRET_DIGITS: usize = 11;
/// A dot, the digits of the largest id, a hyphen, and the secret.
const REQUEST_ID_LENGTH: usize = 22 + SECRET_DIGITS;
/// Secrets that are made at once.
const SECRETS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_as_it_was_written_and_nothing_else_does() {
        for secret in [0, 1, 63, 64, u64::MAX, 0x0123_4567_89ab_cdef] {
            let mut token = String::from("17");
            push_secret(&mut token, secret);
            assert_eq!(parse_reply_token(&token), Some((17, secret)), "{token}");
        }
        let most = "17-P__________";
        assert_eq!(parse_reply_token(most), Some((17, u64::MAX)));
        for token in [
            "",
            "17",
            "17-",
            "-AAAAAAAAAAA",
            "17-AAAAAAAAAA",
            "17AAAAAAAAAAA",
            "17-Q__________",
            "17-AAAAAAAAAA*",
            "17-ééééé1",
        ] {
            assert_eq!(parse_reply_token(token), None, "{token}");
        }
    }
}
