//! Sockety connections: the specification's examples, its rules one by one, and two ends over a bad network,
//! from a seed.

mod app;
mod endings;
mod examples;
mod rules;
mod sending;
mod windows;
mod world;

use std::time::{Duration, Instant};

use uuid::Uuid;

pub const SECOND: Duration = Duration::from_secs(1);

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |at: usize| char::from(digits[at]).to_digit(16).map_or(0, |digit| digit.to_le_bytes()[0]);
    (0..digits.len() / 2).map(|at| digit(2 * at) << 4 | digit(2 * at + 1)).collect()
}

/// The specification's id with this number.
pub fn id(number: u8) -> Uuid {
    let mut bytes = *Uuid::from_u128(0x0011_2233_4455_4677_8899_aabb_ccdd_eeff).as_bytes();
    bytes[0] = number;
    Uuid::from_bytes(bytes)
}

/// Time starts here.
#[allow(clippy::disallowed_methods)]
pub fn start() -> Instant {
    Instant::now()
}
