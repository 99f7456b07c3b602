//! Replays the corpus of the fuzzers on stable Rust: what they have once found stays found, and each target
//! still reads what it read.
//!
//! `npm run fuzz` lets the fuzzers look for more.

use std::path::Path;

#[path = "../fuzz/src/harness/mod.rs"]
mod harness;

#[test]
fn every_target_survives_its_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let (mut inputs, mut bytes) = (0, 0);
    for (name, body) in harness::TARGETS {
        let mut files: Vec<_> = std::fs::read_dir(root.join(name))
            .expect("a corpus")
            .map(|file| file.expect("a file").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let data = std::fs::read(&file).expect("an input");
            // Shown when it panics.
            println!("{}", file.display());
            body(&data);
            inputs += 1;
            bytes += data.len();
        }
    }
    println!("{inputs} inputs, {bytes} bytes");
    assert!(bytes < 1_000_000, "keep the corpus small: {bytes} bytes");
}

#[test]
fn noise_of_every_length_is_survived_by_every_target() {
    // Not random: the same on every machine.
    let mut state = 1_u64;
    for length in 0..400 {
        let data: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect();
        harness::TARGETS.iter().for_each(|(_, body)| body(&data));
    }
}
