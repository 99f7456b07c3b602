//! Whole systems of endpoints, sockets and a broker on virtual time, from a seed: reliability.md, section 2.
//!
//! `SELVEDGE_SIM_SEEDS=n` sets how many seeds the standing tests try; `SELVEDGE_SIM_SEED=n` replays one and prints its trace.

mod app;
mod chaos;
mod dice;
mod events;
mod failover;
mod hostile;
mod invariants;
mod net;
mod socket;
mod trace;
mod windows;
mod world;
