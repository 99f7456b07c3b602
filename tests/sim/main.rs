//! Whole systems of endpoints, sockets and a broker on virtual time, from a seed: reliability.md, section 2.
//!
//! `npm run sim` runs it for longer (`--minutes 30`), and replays a seed with its trace (`--seed n`). It sets
//! `SELVEDGE_SIM_MINUTES` and `SELVEDGE_SIM_SEED`; `SELVEDGE_SIM_SEEDS` is how many seeds the standing tests
//! try, and at most so many are tried by the long run.

mod app;
mod asks;
mod big;
mod chaos;
mod cloud;
mod connects;
mod dice;
mod ends;
mod events;
mod failover;
mod fences;
mod gaps;
mod gateways;
mod groups;
mod hostile;
mod interest;
mod invariants;
mod long;
mod many;
mod memory;
mod narrow;
mod net;
mod outages;
mod points;
mod process;
mod requests;
mod socket;
mod sockety;
mod trace;
mod transcripts;
mod ttl;
mod turns;
mod windows;
mod world;
