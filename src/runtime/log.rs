//! Logging: off unless `SELVEDGE_LOG` names a filter (as in tracing's `EnvFilter`: `debug`,
//! `selvedge::client=trace`). To standard error, by a thread of its own: a full disk, a reader that has gone,
//! or one that does not read costs lines, and never stops or slows the engine.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Starts the log, once a process. An invalid filter is reported, and nothing is logged.
pub fn start_log() {
    static START: Once = Once::new();
    START.call_once(|| {
        let Some(filter) = std::env::var("SELVEDGE_LOG").ok().filter(|filter| !filter.is_empty()) else {
            return;
        };
        let (lines, waiting) = sync_channel(MAX_WAITING_LINES);
        let log = LineQueue { lines };
        if std::thread::Builder::new()
            .name("selvedge-log".into())
            .spawn(move || write_lines(&waiting))
            .is_err()
        {
            return;
        }
        // An invalid part of a filter is left out with a note: a typo must not stop a program. Not by
        // `parse_lossy`, which panics if standard error cannot be written to.
        let filter = filter.split(',').fold(EnvFilter::default(), |filter, part| match part.parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(error) => {
                let _ = writeln!(&log, "SELVEDGE_LOG: ignoring '{part}': {error}");
                filter
            }
        });
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(log)
            .log_internal_errors(false)
            .with_ansi(false);
        // Fails only when the program that embeds us has a subscriber of its own; then ours is not wanted.
        let _ = subscriber.try_init();
    });
}

/// Lines that wait for the writing thread; more are lost.
struct LineQueue {
    lines: SyncSender<Vec<u8>>,
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(line.to_vec()).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines until the process ends. What cannot be written is lost.
fn write_lines(waiting: &Receiver<Vec<u8>>) {
    for line in waiting {
        let mut stderr = io::stderr();
        let _ = stderr.write_all(&line);
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(stderr, "{lost} lines of the log are lost");
        }
    }
}

static LOST: AtomicU64 = AtomicU64::new(0);
/// Lines, about a megabyte of them: what a burst may be ahead of its reader.
const MAX_WAITING_LINES: usize = 8192;
