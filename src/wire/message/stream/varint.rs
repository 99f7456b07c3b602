//! Numbers in seven bits a byte, the lowest first, and texts behind their length.

use bytes::{BufMut, BytesMut};

/// The largest number that JavaScript holds exactly.
pub(super) const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Appends a number of at most [`MAX_NUMBER`].
pub(super) fn push_number(out: &mut BytesMut, number: u64) {
    push_numbers(out, [number]);
}

/// Appends numbers, together: each append looks for room.
pub(super) fn push_numbers<const N: usize>(out: &mut BytesMut, numbers: [u64; N]) {
    let (mut bytes, mut length) = ([[0; LONGEST]; N], 0);
    let bytes = bytes.as_flattened_mut();
    for mut number in numbers {
        while number >= 0x80 {
            bytes[length] = number.to_le_bytes()[0] | 0x80;
            length += 1;
            number >>= 7;
        }
        bytes[length] = number.to_le_bytes()[0];
        length += 1;
    }
    out.put_slice(&bytes[..length]);
}

/// Bytes of the longest number.
const LONGEST: usize = 10;

/// Appends a text, cut to `limit` bytes between two characters.
pub(super) fn push_text(out: &mut BytesMut, text: &str, limit: usize) {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    push_number(out, end as u64);
    out.put_slice(&text.as_bytes()[..end]);
}

/// Takes a number from the front of `rest`; `None` if it is cut off, or above [`MAX_NUMBER`].
pub(super) fn split_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..=49).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (number <= MAX_NUMBER).then_some(number);
        }
    }
    None
}

/// Takes a byte from the front of `rest`.
pub(super) fn split_byte(rest: &mut &[u8]) -> Option<u8> {
    let (&byte, after) = rest.split_first()?;
    *rest = after;
    Some(byte)
}

/// Takes a text of at most `limit` bytes from the front of `rest`.
pub(super) fn split_text<'a>(rest: &mut &'a [u8], limit: usize) -> Option<&'a str> {
    let length = usize::try_from(split_number(rest)?).ok().filter(|length| *length <= limit)?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}
