//! What happened, as lines: hashed to compare runs, kept only for who wants to read them.

use std::fmt::Display;
use std::time::Duration;

pub struct Trace {
    keep: Keep,
    hash: u64,
    lines: Vec<String>,
}

/// What becomes of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: they are a third of the time of a run.
    Nothing,
    Hash,
    Lines,
}

impl Keep {
    /// Lines when somebody looks at one seed.
    pub fn when(is_looked_at: bool) -> Self {
        if is_looked_at { Self::Lines } else { Self::Hash }
    }
}

impl Trace {
    pub fn new(keep: Keep) -> Self {
        Self { keep, hash: 0xcbf2_9ce4_8422_2325, lines: Vec::new() }
    }

    pub fn note(&mut self, at: Duration, line: impl Display) {
        if self.keep == Keep::Nothing {
            return;
        }
        let line = format!("{:>9.3} {line}", at.as_secs_f64());
        // FNV-1a: short, and the same on every machine.
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.keep == Keep::Lines {
            self.lines.push(line);
        }
    }

    /// Two runs are the same if their hashes are.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Prints the end of what was kept; all of it goes to a file, if it is long.
    pub fn print(&self, replay: &str) {
        let lines = &self.lines;
        if self.keep != Keep::Lines {
            return;
        }
        if lines.len() > MAX_LINES {
            let file = std::env::temp_dir().join(format!("selvedge-sim-{:016x}.trace", self.hash));
            let kept = std::fs::write(&file, lines.join("\n")).map(|()| file.display().to_string());
            eprintln!("{} lines before these: {kept:?}", lines.len() - MAX_LINES);
        }
        lines.iter().skip(lines.len().saturating_sub(MAX_LINES)).for_each(|line| eprintln!("{line}"));
        eprintln!("replay: {replay}");
    }
}

/// Says how to see a run again, if it ends in a panic: a machine has found something by itself.
pub struct ReplayOfPanic(pub String);

impl Drop for ReplayOfPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

/// Lines that are printed of a trace.
const MAX_LINES: usize = 300;
