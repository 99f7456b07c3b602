//! The long run: seed after seed for so many minutes, or so many of them, and what came of it in figures. One
//! that goes wrong does not end it: all of them are listed. `npm run sim -- --minutes 30`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::chaos::number;
use crate::trace::Keep;
use crate::{chaos, gateways};

/// One seed in so many is a life behind gateways, unless all are to be (`--gateways`).
const GATEWAYS: u64 = 4;
/// How often it says how far it is, in seeds.
const PROGRESS: u64 = 5000;

#[test]
#[ignore = "takes as long as it is told to: npm run sim"]
#[allow(clippy::disallowed_methods)]
fn a_long_run() {
    let minutes = number("SELVEDGE_SIM_MINUTES").unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let mut seed = number("SELVEDGE_SIM_FROM").unwrap_or(1_000_000);
    let stride = number("SELVEDGE_SIM_STRIDE").unwrap_or(1);
    let most = number("SELVEDGE_SIM_SEEDS").unwrap_or(u64::MAX);
    let every = number("SELVEDGE_SIM_GATEWAYS").unwrap_or(GATEWAYS).max(1);
    let (mut seeds, mut steps, mut messages, mut rare) = (0_u64, 0, 0, 0);
    let mut harm: BTreeMap<&str, u64> = BTreeMap::new();
    let mut last = Duration::ZERO;
    let mut wrong = Vec::new();
    while seeds < most && Instant::now() < until {
        let is_gateways = (seed / stride).is_multiple_of(every);
        let world =
            if is_gateways { gateways::live(seed, Keep::Nothing) } else { chaos::live(seed, Keep::Nothing) };
        if let Some(what) = world.wrong.first() {
            let replay = if is_gateways { gateways::replay(seed) } else { chaos::replay(seed) };
            let what: String = what.chars().take(300).collect();
            eprintln!("{what}\n{replay}");
            wrong.push(replay);
        }
        seeds += 1;
        if seeds.is_multiple_of(PROGRESS) {
            eprintln!("{seeds} so far, up to {seed}, {} wrong", wrong.len());
        }
        steps += world.steps;
        messages += world.sides.values().map(|side| side.received).sum::<u64>();
        rare += world.net.rare.taken();
        for (what, count) in &world.net.harm {
            *harm.entry(what).or_default() += count;
        }
        last += world.now - world.start;
        seed += stride;
    }
    let faults: u64 = harm.values().sum();
    println!("{seeds} seeds, {steps} steps, {messages} messages, {} s of virtual time", last.as_secs());
    println!("{faults} faults: {harm:?}; {rare} rare things done at points in the code");
    assert!(wrong.is_empty(), "{} seeds went wrong:\n{}", wrong.len(), wrong.join("\n"));
}
