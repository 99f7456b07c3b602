//! Transcripts of one end of a socket: what it was given, and what it said, seed by seed. The client of
//! pages is another machine for the same protocol, in TypeScript: `__test__/browser/transcripts.spec.ts`
//! gives it the same and compares what it says.
//!
//! `npm run transcripts` writes `tests/data/socket/transcripts.jsonl` anew; with a file and a number it
//! writes that many others there, of new seeds.

mod application;
mod lines;
mod network;
mod server;
mod story;

use std::fmt::Write;
use std::path::Path;

use story::Story;

const WRITES: &str = "WRITE_TRANSCRIPTS";
const OTHERS: &str = "WRITE_OTHER_TRANSCRIPTS";
const SEEDS: u64 = 220;

fn transcripts(seeds: impl Iterator<Item = u64>) -> String {
    let mut text = String::new();
    for seed in seeds {
        let _ = writeln!(text, "{}", Story::new(seed).tell());
    }
    text
}

#[test]
fn what_the_client_of_pages_is_held_to_is_what_the_engine_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/socket/transcripts.jsonl");
    let text = transcripts(1..=SEEDS);
    if let Ok(wanted) = std::env::var(OTHERS) {
        let (file, seeds) = wanted.rsplit_once(' ').expect("a file and a number");
        let seeds: u64 = seeds.parse().expect("a number");
        std::fs::write(file, transcripts(SEEDS + 1..=SEEDS + seeds)).expect("written");
    }
    if std::env::var_os(WRITES).is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, &text).expect("written");
    }
    let found = std::fs::read_to_string(&path).expect("the transcripts are there");
    let differs = found.lines().zip(text.lines()).position(|(found, told)| found != told);
    assert_eq!(differs, None, "run `npm run transcripts`, and look at what is different");
    assert_eq!(found.len(), text.len(), "run `npm run transcripts`");
}
