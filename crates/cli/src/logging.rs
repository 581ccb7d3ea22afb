//! Logs go to standard error; what commands print goes to standard output.

use crate::config::LogFormat;
use std::io::Write as _;
use tracing_subscriber::EnvFilter;

/// The PostgreSQL client logs every statement with its parameters at `debug`, and those hold what
/// people sent: whatever the filter says, its parts go no lower than this.
const NEVER_LOWER: [&str; 3] =
    ["tokio_postgres=info", "tokio_postgres::query=info", "tokio_postgres::prepare=info"];

/// Starts the log. A filter that cannot be read falls back to `info`.
pub(crate) fn start(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let bounds = NEVER_LOWER.iter().filter_map(|bound| bound.parse().ok());
    let filter = bounds.fold(filter, EnvFilter::add_directive);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
}

/// One line on standard output. A closed pipe is no reason to fail.
pub(crate) fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// One line on standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
