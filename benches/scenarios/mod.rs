//! The hot paths, piece by piece and whole: each is prepared once, and then does its work for as many
//! messages as asked. No I/O, no clock, no chance: the same work every time.

mod path;
mod routing;
mod sockets;
mod wires;

/// Does the work of so many messages.
pub type Work = Box<dyn FnMut(u32)>;

/// Bytes of every payload.
pub const PAYLOAD_BYTES: usize = 64;

/// Makes the work of a scenario.
type Scenario = (&'static str, fn() -> Work);

const SCENARIOS: [Scenario; 17] = [
    ("fabric-wire", wires::fabric),
    ("conat-wire", wires::conat),
    ("match", routing::matches),
    ("route-1", || routing::route(1)),
    ("route-100000", || routing::route(100_000)),
    ("socket", sockets::socket),
    ("path-memory", path::memory),
    ("path-fabric-wire", path::fabric),
    ("path-watched", path::watched),
    ("path-conat-wire", path::conat),
    ("path-without-stream", path::without_stream),
    ("path-echo-1", || path::echo(1)),
    ("path-echo-64", || path::echo(64)),
    ("path-ask-1", || path::ask(1)),
    ("path-ask-64", || path::ask(64)),
    ("path-requests", path::requests),
    ("idle-sockets", path::idle),
];

/// Returns what there is.
pub fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|(name, _)| *name).collect()
}

/// `None` when there is no such scenario.
pub fn prepare(name: &str) -> Option<Work> {
    SCENARIOS.iter().find(|(known, _)| *known == name).map(|(_, make)| make())
}
