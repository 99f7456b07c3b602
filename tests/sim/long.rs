//! The long run: seed after seed for so many minutes, and what came of it in figures. `npm run sim --
//! --minutes 30`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::chaos::{number, try_seed};

#[test]
#[ignore = "takes as long as it is told to: npm run sim"]
#[allow(clippy::disallowed_methods)]
fn a_long_run() {
    let minutes = number("SELVEDGE_SIM_MINUTES").unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let mut seed = number("SELVEDGE_SIM_FROM").unwrap_or(1_000_000);
    let stride = number("SELVEDGE_SIM_STRIDE").unwrap_or(1);
    let (mut seeds, mut steps, mut messages, mut rare) = (0_u64, 0, 0, 0);
    let mut harm: BTreeMap<&str, u64> = BTreeMap::new();
    let mut last = Duration::ZERO;
    while Instant::now() < until {
        let world = try_seed(seed);
        seeds += 1;
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
}
