//! How long the hot paths take, for people: `cargo bench --no-default-features --bench micro [NAME]`.
//! What CI compares is counted and not timed: scripts/instructions.mjs.

mod scenarios;

use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

const MESSAGES: u32 = 1000;

#[divan::bench(args = scenarios::names())]
fn messages(bencher: Bencher<'_, '_>, name: &str) {
    let mut work = scenarios::prepare(name).expect("it is in the list");
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| work(MESSAGES));
}
