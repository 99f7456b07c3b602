//! What happened, as lines: hashed always, kept only for who wants to read them.

use std::fmt::Display;
use std::time::Duration;

pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub fn new(keep: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: keep.then(Vec::new) }
    }

    pub fn note(&mut self, at: Duration, line: impl Display) {
        let line = format!("{:>9.3} {line}", at.as_secs_f64());
        // FNV-1a: short, and the same on every machine.
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    /// Two runs are the same if their hashes are.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Prints the end of what was kept; all of it goes to a file, if it is long.
    pub fn print(&self, replay: &str) {
        let Some(lines) = &self.lines else { return };
        if lines.len() > MAX_LINES {
            let file = std::env::temp_dir().join(format!("selvedge-sim-{:016x}.trace", self.hash));
            let kept = std::fs::write(&file, lines.join("\n")).map(|()| file.display().to_string());
            eprintln!("{} lines before these: {kept:?}", lines.len() - MAX_LINES);
        }
        lines.iter().skip(lines.len().saturating_sub(MAX_LINES)).for_each(|line| eprintln!("{line}"));
        eprintln!("replay: {replay}");
    }
}

/// Lines that are printed of a trace.
const MAX_LINES: usize = 300;
