//! Logging: off unless `SELVEDGE_LOG` names a filter (as in tracing's `EnvFilter`: `debug`,
//! `selvedge::client=trace`). To standard error.

use std::sync::Once;

use tracing_subscriber::EnvFilter;

/// Starts the log, once a process. An invalid filter is reported, and nothing is logged.
pub fn start_log() {
    static START: Once = Once::new();
    START.call_once(|| {
        let Some(filter) = std::env::var("SELVEDGE_LOG").ok().filter(|filter| !filter.is_empty()) else {
            return;
        };
        // An invalid part of a filter is left out with a note on standard error: a typo must not stop a
        // program.
        let filter = EnvFilter::builder().parse_lossy(filter);
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
        // Fails only when the program that embeds us has a subscriber of its own; then ours is not wanted.
        let _ = subscriber.try_init();
    });
}
