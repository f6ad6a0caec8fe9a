//! Log lines on standard error, with the time: those of this program, and those of the library.

use std::io::{self, Write};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::date::Date;

struct Logger;

/// Lines of level `debug` are written only if `is_verbose`.
pub(crate) fn install(is_verbose: bool) {
    let level = if is_verbose { LevelFilter::Debug } else { LevelFilter::Info };
    // It fails if there is a logger already: then that one does it.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {:5} {}\n", Date::of(SystemTime::now()), record.level(), record.args());
            // As a whole, so that two workers' lines do not mix. Nobody can be told that it fails.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}
