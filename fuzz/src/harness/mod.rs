//! What the fuzzers run, one function a target. `tests/corpus.rs` runs the same functions over the committed
//! corpus, on stable Rust.
//!
//! A function panics when something is wrong, and returns otherwise: on noise, too.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)]

mod broker;
mod client;
mod decoders;
mod endpoint;
mod messages;
mod socket;
mod sockety;

/// One target: its name, which is the name of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("fabric", decoders::fabric),
    ("control", decoders::control),
    ("conat", decoders::conat),
    ("nats", decoders::nats),
    ("engine", decoders::engine),
    ("headers", decoders::headers),
    ("http", decoders::http),
    ("batch", decoders::batch),
    ("chunks", decoders::chunks),
    ("interest", decoders::interest),
    ("acks", socket::acks),
    ("socket", socket::life),
    ("client", client::life),
    ("broker", broker::life),
    ("endpoint", endpoint::life),
    ("sockety", sockety::bytes),
    ("sockety_connection", sockety::life),
];

/// Runs one target.
#[allow(dead_code, reason = "the replay walks over all targets")]
pub fn run(name: &str, data: &[u8]) {
    let (_, body) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    body(data);
}
