//! That the table is whole: no call of the `sys` rooms without a row.

use crate::walk::{As, Row, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What cannot fail, or whose failure means nothing, and why.
const WITHOUT_A_ROW: &[(&str, &str)] = &[
    ("__errno_location", "no call of the kernel"),
    ("abort", "does not return"),
    ("clock_gettime", "fails only for a clock that is not there; `faults_clock` steps it"),
    ("getpid", "cannot fail"),
    ("gettid", "cannot fail"),
    ("open", "of a sysctl that only a message names: `at_the_limit_of_mappings_the_error_names_it`"),
    ("pthread_sigmask", "fails only for what is no way to change a mask"),
    ("raise", "before the process ends of it"),
    ("sigaddset", "no call of the kernel"),
    ("sigdelset", "no call of the kernel"),
    ("sigemptyset", "no call of the kernel"),
    ("sigfillset", "no call of the kernel"),
    ("sigismember", "no call of the kernel"),
    ("sigpending", "fails only for a bad pointer"),
    ("sigtimedwait", "fails where there is no signal to be taken, as is usual"),
    ("sysconf", "no call of the kernel"),
    ("tgkill", "fails for a thread that has ended, which is what is asked"),
];

/// What socket2 calls for the rooms, and std for what is started or copied.
const BY_OTHERS: &[&str] = &[
    "accept4",
    "bind",
    "connect",
    "fcntl(DUPFD)",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "pthread_create",
    "setsockopt",
    "shutdown",
    "socket",
    "socketpair",
];

/// The text of each file of a `sys` room, without its tests.
fn rooms() -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders =
        ["runtime/src/sys", "net/src/sys"].map(|room| Path::new(env!("CARGO_MANIFEST_DIR")).join(room)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                texts.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }
    texts
}

/// The name that `text` begins with.
fn name(text: &str) -> &str {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap()
}

/// The calls in the rooms: functions of libc, and numbers for its `syscall`.
fn calls() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in rooms() {
        for (at, start) in text.match_indices("libc::") {
            let called = name(&text[at + start.len()..]);
            let is_function = text[at + start.len() + called.len()..].starts_with('(');
            match called.strip_prefix("SYS_") {
                Some(number) => _ = found.insert(number.to_owned()),
                None if is_function && called != "syscall" => {
                    found.insert(called.to_owned());
                }
                None => {}
            }
        }
    }
    found.extend(BY_OTHERS.iter().map(|call| (*call).to_owned()));
    found
}

/// Panics unless each call has a row, and what is said to have none has none.
pub(crate) fn is_complete(tables: &[(&str, &'static [Row])]) {
    let rows: BTreeSet<&str> = tables.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.call)).collect();
    // A row may be of one kind of a call: `madvise(DONTNEED)`.
    let has_row = |call: &str| rows.iter().any(|row| *row == call || name(row) == call);
    let explained = |call: &str| WITHOUT_A_ROW.iter().any(|(name, _)| *name == call);
    let calls = calls();
    assert!(calls.len() > 50, "only {} calls were found", calls.len());
    let missing: Vec<_> = calls.iter().filter(|call| !has_row(call) && !explained(call)).collect();
    assert!(missing.is_empty(), "calls without a row: {missing:?}");
    let gone: Vec<_> = WITHOUT_A_ROW.iter().filter(|(name, _)| !calls.contains(*name) || has_row(name)).collect();
    assert!(gone.is_empty(), "no such call, or it has a row: {gone:?}");
}

unsafe extern "C" {
    /// The name of an errno; glibc 2.32.
    fn strerrorname_np(errno: libc::c_int) -> *const libc::c_char;
}

fn errno_name(errno: i32) -> String {
    // SAFETY: gives null, or a string that is there for ever.
    let name = unsafe { strerrorname_np(errno) };
    assert!(!name.is_null(), "errno {errno}");
    // SAFETY: as above.
    unsafe { std::ffi::CStr::from_ptr(name) }.to_str().unwrap().to_owned()
}

/// What is seen, in the words of the documentation.
fn words(seen: Seen) -> String {
    match seen {
        Seen::Told => "told".into(),
        Seen::Lasting => "told if it lasts".into(),
        Seen::Retried => "repeated".into(),
        Seen::Waited => "waited for".into(),
        Seen::WaitedOut(kind) => format!("waited for, at last {kind:?}"),
        Seen::Nothing => "not seen".into(),
        Seen::Aborts(_) => "aborts".into(),
        Seen::Panics(_) => "panics".into(),
    }
}

/// The errnos of a row by what is seen of them.
fn told(row: &Row) -> String {
    let mut by_words: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for errno in row.errnos {
        by_words.entry(words(row.seen_of(*errno))).or_default().push(errno_name(*errno));
    }
    let all: Vec<_> = by_words.into_iter().map(|(seen, errnos)| format!("{seen}: {}", errnos.join(", "))).collect();
    all.join("; ")
}

/// Where the table begins in the documentation.
const MARK: &str = "| call | errnos | test |\n|---|---|---|\n";

fn table(tables: &[(&str, &'static [Row])]) -> String {
    let mut text = String::from(MARK);
    for (test, rows) in tables {
        for row in *rows {
            let kinds = match row.runs_as {
                As::Both => "",
                As::Coroutine => ", in a coroutine",
                As::Thread => ", on a plain thread",
            };
            let link = format!("[`{test}`](../tests/faults.rs)");
            text += &format!("| {}{kinds} | {} | {link} |\n", row.call, told(row));
        }
    }
    text
}

/// Panics unless `docs/failures.md` ends with the table.
pub(crate) fn is_told(tables: &[(&str, &'static [Row])]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
    let (kept, table) = (std::fs::read_to_string(&path).unwrap(), table(tables));
    let at = kept.find(MARK).expect("a place for the table");
    if std::env::var_os("DORMOUSE_WRITE_FAILURES").is_some() {
        std::fs::write(&path, kept[..at].to_owned() + &table).unwrap();
    }
    let (kept, mut differing) = (std::fs::read_to_string(&path).unwrap(), Vec::new());
    let lines = kept[at..].lines().map(Some).chain(std::iter::repeat(None));
    for (line, meant) in lines.zip(table.lines()).filter(|(line, meant)| *line != Some(meant)) {
        differing.push(format!("{}\n  instead of\n{meant}", line.unwrap_or("nothing")));
    }
    assert!(differing.is_empty() && kept[at..].len() == table.len(), "it is stale:\n{}", differing.join("\n"));
}
