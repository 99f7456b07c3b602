//! Joins the pieces of a large message, which come in order, and counts them against what was granted.

use bytes::BytesMut;

use crate::socket::PeerMisbehaved;
use crate::wire::stream::{Beginning, is_valid};
use crate::wire::{Encoding, Item, Json, Payload};

/// At most one message at a time.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    open: Option<Open>,
    claim: Claim,
    is_changed: bool,
    is_raised: bool,
}

/// A message of which there is a part.
#[derive(Debug)]
struct Open {
    encoding: Encoding,
    headers: usize,
    total: usize,
    bytes: BytesMut,
}

/// What one end takes, and wants to take, of large messages. Offsets count the bytes of pieces since the
/// beginning of the socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claim {
    /// How many large messages have begun.
    pub begun: u64,
    /// The bytes of the one that is not whole; 0: there is none.
    pub total: usize,
    /// What has come of it.
    pub came: usize,
    /// The offset of what has come.
    pub received: u64,
    /// The other end has something to send up to this offset.
    pub wanted: u64,
    /// How often it said that it waits.
    pub asked: u64,
    /// Up to which offset it may.
    pub granted: u64,
}

impl Assembly {
    /// Takes the next piece. Returns the message if that was the last one.
    pub(super) fn push(&mut self, piece: Payload, limit: usize) -> Result<Option<Item>, PeerMisbehaved> {
        let bad = PeerMisbehaved::BadItem { encoding: piece.encoding.0 };
        self.is_changed = true;
        if piece.encoding == Encoding::BIG {
            let head = Beginning::decode(&piece.raw).filter(|_| self.open.is_none()).ok_or(bad.clone())?;
            let is_granted = self.claim.received + head.bytes.len() as u64 <= self.claim.granted;
            if head.bytes.len() > FIRST && !is_granted {
                return Err(bad);
            }
            if head.total > limit {
                return Err(PeerMisbehaved::TooLarge { size: head.total, limit });
            }
            let (encoding, headers, total) = (head.encoding, head.headers, head.total);
            self.claim.begun += 1;
            self.claim.total = total;
            self.open = Some(Open { encoding, headers, total, bytes: BytesMut::from(&head.bytes[..]) });
            self.count(head.bytes.len());
            return Ok(None);
        }
        let Some(open) = &mut self.open else { return Err(bad) };
        let length = piece.raw.len();
        let is_granted = self.claim.received + length as u64 <= self.claim.granted;
        if length == 0 || open.bytes.len() + length > open.total || !is_granted {
            return Err(bad);
        }
        if open.bytes.capacity() < open.total {
            // In one go: the memory is the system's until something is written there.
            open.bytes.reserve(open.total - open.bytes.len());
        }
        open.bytes.extend_from_slice(&piece.raw);
        let is_whole = open.bytes.len() == open.total;
        self.count(length);
        if !is_whole {
            return Ok(None);
        }
        (self.claim.total, self.claim.came) = (0, 0);
        let whole = self.open.take().and_then(Open::join);
        whole.map(Some).ok_or(bad)
    }

    fn count(&mut self, length: usize) {
        let Claim { total, came, received, wanted, .. } = &mut self.claim;
        *came += length;
        *received += length as u64;
        *wanted = (*wanted).max(*received + (*total - *came) as u64);
    }

    /// The other end waits, and wants to send up to this offset.
    pub(super) fn handle_wanted(&mut self, offset: u64) {
        self.claim.wanted = self.claim.wanted.max(offset);
        self.claim.asked += 1;
        self.is_changed = true;
    }

    /// Pieces may come up to this offset.
    pub(super) fn grant(&mut self, offset: u64) {
        self.claim.granted = self.claim.granted.max(offset);
        self.is_raised = true;
    }

    /// Returns whether there is a grant that the other end has not been told of.
    pub(super) fn is_raised(&self) -> bool {
        self.is_raised
    }

    /// Returns what the other end is to be told now.
    pub(super) fn take_raised(&mut self) -> Option<u64> {
        std::mem::take(&mut self.is_raised).then_some(self.claim.granted)
    }

    /// Returns how things stand, if that has changed.
    pub(super) fn take_claim(&mut self) -> Option<Claim> {
        std::mem::take(&mut self.is_changed).then_some(self.claim)
    }

    /// Returns whether nobody is to be told anything.
    pub(super) fn rests(&self) -> bool {
        !self.is_raised && !self.is_changed
    }

    /// Returns the bytes that it keeps.
    pub(super) fn bytes(&self) -> usize {
        self.claim.came
    }
}

impl Open {
    fn join(self) -> Option<Item> {
        let mut bytes = self.bytes;
        let json = match self.headers {
            0 => None,
            length => {
                let json = Json::parse(bytes.split_to(length).freeze()).ok()?;
                Some(json.fits_headers().then_some(json)?)
            }
        };
        let payload = Payload { encoding: self.encoding, raw: bytes.freeze() };
        is_valid(payload.encoding, &payload.raw).then_some(Item { payload, json })
    }
}

/// Bytes of a message that may leave unasked, with its first piece.
pub(super) const FIRST: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn item(length: usize) -> Item {
        let json = Some(Json::from_value(&serde_json::json!({ "a": 1 })));
        Item { payload: Payload::msgpack(vec![3; length]), json }
    }

    #[test]
    fn pieces_are_joined_within_what_was_granted() {
        let (mut assembly, whole) = (Assembly::default(), item(100));
        let total = whole.bytes();
        assert_eq!(assembly.push(Beginning::of(&whole, 10), 1000), Ok(None));
        let claim =
            Claim { begun: 1, total, came: 10, received: 10, wanted: total as u64, asked: 0, granted: 0 };
        assert_eq!((assembly.take_claim(), assembly.take_claim()), (Some(claim), None));
        assembly.grant(60);
        assert_eq!((assembly.take_raised(), assembly.take_raised()), (Some(60), None));
        assert_eq!(assembly.push(Beginning::more(&whole, 10, 50), 1000), Ok(None));
        assembly.grant(total as u64);
        assert_eq!(assembly.push(Beginning::more(&whole, 60, total - 60), 1000), Ok(Some(whole)));
        assert_eq!((assembly.bytes(), assembly.claim.received), (0, total as u64));
    }

    #[test]
    fn what_no_rule_allows_is_told() {
        let whole = item(100);
        let refused = |pieces: &[Payload], credit| {
            let mut assembly = Assembly::default();
            assembly.grant(credit);
            let outcomes: Vec<_> = pieces.iter().map(|piece| assembly.push(piece.clone(), 1000)).collect();
            let (last, others) = outcomes.split_last().expect("pieces");
            assert!(last.is_err() && others.iter().all(Result::is_ok), "{outcomes:?}");
        };
        let (head, more) = (Beginning::of(&whole, 10), |from, to| Beginning::more(&whole, from, to - from));
        refused(&[more(0, 10)], 500);
        refused(&[head.clone(), head.clone()], 500);
        refused(&[head.clone(), more(10, 20)], 19);
        refused(&[head.clone(), more(10, 90), more(10, 90)], 500);
        refused(&[head.clone(), Payload { encoding: Encoding::MORE, raw: Default::default() }], 500);
        refused(&[Beginning::of(&item(2000), 10)], 5000);
        let mut spoilt = whole.clone();
        spoilt.payload.encoding = Encoding::REQUEST;
        spoilt.payload.raw = bytes::Bytes::from_static(&[0; 100]);
        refused(&[Beginning::of(&spoilt, 10), Beginning::more(&spoilt, 10, spoilt.bytes() - 10)], 500);
    }
}
