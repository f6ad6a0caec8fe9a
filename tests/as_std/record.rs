//! What a case saw, as lines that are equal if the behaviour is.
//!
//! Of an error: its kind, its message and its errno. Its `Debug` is not compared: std makes the errors of its own in a
//! way that is closed to others. Descriptors, ports and the folder of the case become placeholders, and so do the private
//! types in which std's Unix sockets show their descriptor.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A timeout that is to expire.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// A timeout that is not.
pub(crate) const LONG: Duration = Duration::from_secs(5);

/// The case of a part: what it is called, and what it does.
pub(crate) type Case = (&'static str, fn(&mut Record) -> io::Result<()>);

/// What a case saw.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// A line for each call.
    lines: Vec<String>,
    /// The folder of the case, once it needs one.
    folder: Option<PathBuf>,
}

impl Record {
    /// Runs a case; the error that ends it, if any, is its last line.
    pub(crate) fn of(case: fn(&mut Record) -> io::Result<()>) -> Vec<String> {
        let mut record = Record::default();
        let end = case(&mut record);
        record.answer("the end", end);
        std::mem::take(&mut record.lines)
    }

    /// Notes a value.
    pub(crate) fn value(&mut self, what: &str, value: impl Debug) {
        let line = self.normal(&format!("{what}: {value:?}"));
        self.lines.push(line);
    }

    /// Notes a text of several lines, each by itself.
    pub(crate) fn lines_of(&mut self, what: &str, text: &str) {
        for line in text.lines() {
            let line = self.normal(&format!("{what}: {line}"));
            self.lines.push(line);
        }
    }

    /// Notes the answer of a call, and gives it back.
    pub(crate) fn answer<T: Debug>(&mut self, what: &str, answer: io::Result<T>) -> Option<T> {
        let text = match &answer {
            Ok(value) => format!("{what}: {value:?}"),
            Err(error) => format!("{what}: {:?}, {error}, {:?}", error.kind(), error.raw_os_error()),
        };
        let line = self.normal(&text);
        self.lines.push(line);
        answer.ok()
    }

    /// Notes how a call failed; success is noted as such, without its value.
    pub(crate) fn outcome<T>(&mut self, what: &str, answer: io::Result<T>) -> Option<T> {
        let (said, value) = match answer {
            Ok(value) => (Ok(()), Some(value)),
            Err(error) => (Err(error), None),
        };
        self.answer(what, said);
        value
    }

    /// An empty folder of this case, removed at its end.
    pub(crate) fn folder(&mut self) -> &Path {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        self.folder.get_or_insert_with(|| {
            let name = format!("as_std-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir(&folder).unwrap();
            folder
        })
    }

    /// A path in the folder.
    pub(crate) fn path(&mut self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A path in the folder that has `length` bytes.
    pub(crate) fn path_of(&mut self, length: usize) -> PathBuf {
        let taken = self.folder().as_os_str().len() + 1;
        self.path(&"x".repeat(length - taken))
    }

    fn normal(&self, line: &str) -> String {
        let line = match &self.folder {
            Some(folder) => line.replace(folder.to_str().unwrap(), "FOLDER"),
            None => line.to_owned(),
        };
        let line = with_placeholder(&line, "fd: ", 1, |letter| letter.is_ascii_digit());
        // Ports that the kernel chose.
        let line = with_placeholder(&line, ":", 5, |letter| letter.is_ascii_digit());
        with_placeholder(&line, "/", 8, |letter| letter == 'x')
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Replaces what follows each `mark` and `matches`, if it is at least `least` letters.
fn with_placeholder(line: &str, mark: &str, least: usize, matches: fn(char) -> bool) -> String {
    let mut pieces = line.split(mark);
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(matches);
        kept.push_str(mark);
        kept.push_str(if piece.len() - rest.len() < least { piece } else { "_" });
        kept.push_str(if piece.len() - rest.len() < least { "" } else { rest });
    }
    kept
}
