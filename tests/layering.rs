//! The layout of DESIGN.md, section 2, as greps: which room may say what, and which rooms it may import.
//!
//! A *room* is a file of `runtime/src` or `net/src`, or a folder of them together with the file of its name. *Code* is
//! what is left of a file without comments, the text of literals, and what is compiled only for tests.

#[path = "layering/text.rs"]
mod text;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use text::{is_word, without_comments, without_tests};

/// The rooms of the runtime, lowest first: each imports only from those before it.
const RUNTIME: &[&str] = &[
    "atomic",
    "prefetch",
    "sys",
    "fork",
    "lock",
    "once_arc",
    "join_word",
    "counters",
    "roster",
    "stack",
    "coroutine",
    "timer",
    "readiness",
    "pace",
    "linger",
    "spins",
    "long_run",
    "queue_delay",
    "ready_queue",
    "mail",
    "inbox",
    "idle",
    "placement",
    "spawn_queue",
    "remote",
    "source",
    "fleet",
    "poller",
    "slot",
    "slots",
    "trim",
    "overflow",
    "locals",
    "shelf",
    "worker",
    "os_thread",
    "current",
    // The park line: below it nothing blocks, above it nothing knows epoll or stacks.
    "cancel",
    "park",
    "waiter",
    "listed",
    "time",
    "task",
    "wait",
    "budget",
    "loan",
    "passage",
    "block_on",
    "signal",
    "sync",
    "blocking",
    "lease",
    // Its calls of std::fs are made by the pool, on plain threads, or where nothing waits.
    "fs",
    "joining",
    "spawned",
    "crew",
    "runtime",
    "metrics",
    "pressure",
    "thread",
    "pipe",
    "process",
    "io",
    "handle",
    "builder",
    // Compiled for tests and fuzzers only.
    "fuzz",
    "lib",
];

/// The rooms of the sockets, lowest first.
const NET: &[&str] = &[
    "sys",
    "switch",
    "progress",
    "backlog",
    "permit",
    "description",
    "closing",
    "socket",
    "admission",
    "acceptor",
    "resolve",
    "whole",
    "file",
    "tcp",
    "udp",
    "unix",
    "counted",
    "os",
    "stream",
    "buffer",
    "copy",
    "lib",
];

/// The bits of an epoll event.
const EVENT_BITS: &[&str] = &["IN", "OUT", "PRI", "RDHUP", "HUP", "ERR", "ET", "EXCLUSIVE"];

/// The system calls of sockets; a name that starts with one of these is one too.
const SOCKET_CALLS: &[&str] =
    &["socket", "bind", "listen", "accept", "connect", "recv", "send", "shutdown", "getsock", "setsock", "getpeer"];

/// The most lines a file may have.
const LONGEST: usize = 500;

/// A source file, as the rules look at it.
struct Source {
    /// Its path from the root of the workspace.
    path: String,
    /// Its lines.
    lines: Vec<String>,
    /// As many lines, without comments and the text of literals.
    bare: Vec<String>,
    /// As many lines of code: as `bare`, without what is compiled only for tests.
    code: Vec<String>,
}

impl Source {
    fn new(path: String, text: &str) -> Source {
        let bare = without_comments(text);
        let code = if is_test_file(&path) { String::new() } else { without_tests(&bare) };
        let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
        let count = text.lines().count();
        let mut source = Source { path, lines: lines(text), bare: lines(&bare), code: lines(&code) };
        source.bare.resize(count, String::new());
        source.code.resize(count, String::new());
        source
    }

    /// The lines of code with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()))
    }

    /// One line of a failure message.
    fn finding(&self, number: usize, what: &str) -> String {
        format!("{}:{number}: {what}\n      {}", self.path, self.lines[number - 1].trim())
    }
}

fn is_test_file(path: &str) -> bool {
    let names = ["/tests.rs", "/model.rs", "/model_tests.rs", "/models.rs"];
    names.iter().any(|name| path.ends_with(name)) || path.starts_with("runtime/src/fuzz/")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, in the order of their paths.
fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        Source::new(relative, &fs::read_to_string(&path).unwrap())
    };
    let sources: Vec<_> = paths.into_iter().map(read).collect();
    assert!(!sources.is_empty(), "no Rust file below {folder}");
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The two crates whose layout is held here.
fn both() -> Vec<Source> {
    let mut all = sources("runtime/src");
    all.extend(sources("net/src"));
    all
}

/// Fails with every finding on a line of its own.
#[track_caller]
fn none(rule: &str, findings: &[String]) {
    let mut text = String::new();
    findings.iter().for_each(|finding| write!(text, "\n  {finding}").unwrap());
    assert!(findings.is_empty(), "{rule}:{text}");
}

/// The words of a line, each with the place where it starts.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let starts =
        (0..line.len()).filter(|&at| is_word(line.as_bytes()[at]) && (at == 0 || !is_word(line.as_bytes()[at - 1])));
    starts.map(|at| {
        let length = line.as_bytes()[at..].iter().take_while(|byte| is_word(**byte)).count();
        (at, &line[at..at + length])
    })
}

fn says(line: &str, word: &str) -> bool {
    words(line).any(|(_, found)| found == word)
}

/// Whether `path` is one of `rooms`: a file, or a folder if it ends with a slash.
fn is_in(path: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| path == *room || room.ends_with('/') && path.starts_with(room))
}

/// The places where code outside `rooms` says what `matches`.
fn outside(rooms: &[&str], what: &str, matches: impl Fn(&str) -> bool) -> Vec<String> {
    let all = both();
    let strangers = all.iter().filter(|source| !is_in(&source.path, rooms));
    strangers
        .flat_map(|source| source.code().filter(|(_, line)| matches(line)).map(|(n, _)| source.finding(n, what)))
        .collect()
}

#[test]
fn system_calls_are_made_in_the_sys_rooms() {
    let findings = outside(&["runtime/src/sys/", "net/src/sys/"], "says `libc`", |line| says(line, "libc"));
    none("`libc` belongs into a sys room", &findings);
}

#[test]
fn corosensei_is_known_to_coroutine_and_stack() {
    let rooms = ["runtime/src/coroutine.rs", "runtime/src/stack/"];
    let findings = outside(&rooms, "says `corosensei`", |line| says(line, "corosensei"));
    none("`corosensei` belongs into coroutine.rs or stack/", &findings);
}

#[test]
fn there_is_one_room_with_thread_locals() {
    // thread/local.rs declares the macro of that name.
    let rooms = ["runtime/src/current.rs", "runtime/src/thread/local.rs"];
    let findings = outside(&rooms, "says `thread_local!`", |line| says(line, "thread_local"));
    none("`thread_local!` belongs into current.rs", &findings);
}

#[test]
fn there_is_one_retry_loop() {
    // Locks, of files too, answer with the `WouldBlock` of std's `TryLockError`, which is no error of I/O. Pipes to
    // children have neither modes nor timeouts, and are in the crate below that of sockets.
    let sockets = ["net/src/socket.rs", "net/src/sys/errno.rs"];
    let rooms = [sockets[0], sockets[1], "runtime/src/pipe.rs", "runtime/src/fs/lock.rs", "runtime/src/sync/"];
    let findings = outside(&rooms, "says `WouldBlock`", |line| says(line, "WouldBlock"));
    none("who looks for `WouldBlock` retries, and net/src/socket.rs does that", &findings);
}

#[test]
fn event_bits_stay_with_the_poller() {
    let names_bit = |line: &str| {
        let is_bit = |word: &str| EVENT_BITS.contains(&word) || word.starts_with("EPOLL");
        (says(line, "epoll") || line.contains("EPOLL")) && words(line).any(|(_, word)| is_bit(word))
    };
    let rooms = ["runtime/src/sys/epoll.rs", "runtime/src/poller.rs", "runtime/src/readiness.rs"];
    let mut findings = outside(&rooms, "names an event's bits", names_bit);
    // remote.rs registers the eventfd that interrupts a sleeping poller.
    findings.retain(|finding| !(finding.starts_with("runtime/src/remote.rs:") && says(finding, "eventfd")));
    none("an event's bits are for sys/epoll.rs, poller.rs and readiness.rs", &findings);
}

#[test]
fn socket_calls_are_made_in_the_sys_room_of_the_sockets() {
    let is_call = |line: &str| {
        words(line).any(|(at, word)| {
            let names_call = SOCKET_CALLS.iter().any(|call| word.starts_with(call));
            word == "socket2" || word == "SockRef" || names_call && line[..at].ends_with("libc::")
        })
    };
    none("a socket call belongs into net/src/sys", &outside(&["net/src/sys/"], "a socket call", is_call));
}

#[test]
fn the_runtime_does_not_lock_with_std() {
    let locks = ["Mutex", "RwLock", "Condvar"];
    let names_lock = |line: &str| locks.iter().any(|lock| says(line, lock));
    let mut findings = outside(&["net/src/", "runtime/src/sync/"], "a lock of std", names_lock);
    // There the names are those of the locks for users.
    findings.extend(outside(&["net/src/"], "a lock of std", |line| line.contains("std::sync") && names_lock(line)));
    none("the runtime locks with lock.rs: what std calls may be interposed", &findings);
}

/// The room of a file below `folder`.
fn room(path: &str, folder: &str) -> String {
    let name = path.strip_prefix(folder).unwrap().trim_start_matches('/');
    name.split('/').next().unwrap().trim_end_matches(".rs").to_owned()
}

/// How many modules a file is deep: 0 is the root of its crate.
fn depth(path: &str, folder: &str) -> usize {
    let name = path.strip_prefix(folder).unwrap().trim_start_matches('/');
    let slashes = name.matches('/').count();
    if name == "lib.rs" { 0 } else { slashes + usize::from(!name.ends_with("/mod.rs")) }
}

/// The names that code takes from the root of its crate, each with its line.
fn imports(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let text = source.code.join("\n");
    let up = "super::".repeat(depth);
    let mut found = Vec::new();
    let mut take = |at: usize| {
        let number = text[..at].matches('\n').count() + 1;
        names(&text[at..]).into_iter().for_each(|name| found.push((number, name)));
    };
    // After a `$` it is said where a macro is used, not here.
    let starts_word = |at: usize| at == 0 || !is_word(text.as_bytes()[at - 1]) && text.as_bytes()[at - 1] != b'$';
    text.match_indices("crate::").filter(|(at, _)| starts_word(*at)).for_each(|(at, root)| take(at + root.len()));
    if depth > 0 {
        text.match_indices(&up).filter(|(at, _)| starts_word(*at)).for_each(|(at, root)| take(at + root.len()));
    }
    found
}

/// The first names of a path, or of each path of a group in braces.
fn names(rest: &str) -> Vec<String> {
    let first = |path: &str| words(path).next().map(|(_, word)| word.to_owned());
    let Some(group) = rest.strip_prefix('{') else {
        return first(rest).into_iter().collect();
    };
    let (mut nested, mut parts) = (0, vec![String::new()]);
    for letter in group.chars() {
        match letter {
            '}' if nested == 0 => break,
            ',' if nested == 0 => parts.push(String::new()),
            _ => {
                nested += i32::from(letter == '{') - i32::from(letter == '}');
                parts.last_mut().unwrap().push(letter);
            }
        }
    }
    parts.iter().filter_map(|part| first(part)).collect()
}

/// What is wrong with the order of the rooms of a crate.
fn disorder(folder: &str, order: &[&str]) -> Vec<String> {
    let place = |room: &str| order.iter().position(|name| *name == room);
    let (files, mut findings) = (sources(folder), Vec::new());
    for source in &files {
        let room = room(&source.path, folder);
        let Some(own) = place(&room) else {
            findings.push(format!("{}: room `{room}` has no place in the order", source.path));
            continue;
        };
        for (number, name) in imports(source, depth(&source.path, folder)) {
            match place(&name) {
                Some(other) if other <= own => {}
                Some(_) => {
                    findings.push(source.finding(number, &format!("`{room}` imports `{name}`, which is above it")))
                }
                None => findings.push(source.finding(number, &format!("`{room}` imports `{name}`, which is no room"))),
            }
        }
    }
    let has_file = |name: &str| files.iter().any(|source| room(&source.path, folder) == name);
    let gone = order.iter().filter(|name| !has_file(name));
    findings.extend(gone.map(|name| format!("{folder}: room `{name}` of the order has no file")));
    findings
}

#[test]
fn no_room_of_the_runtime_imports_upwards() {
    none("a room imports only from those below it", &disorder("runtime/src", RUNTIME));
}

#[test]
fn no_room_of_the_sockets_imports_upwards() {
    none("a room imports only from those below it", &disorder("net/src", NET));
}

#[test]
fn no_file_is_too_long() {
    let folders = ["runtime/src", "net/src", "src", "examples", "benches", "tests"];
    let all = folders.into_iter().flat_map(sources);
    let long = all.filter(|source| source.lines.len() > LONGEST && !is_test_file(&source.path));
    let findings: Vec<_> = long.map(|source| format!("{}:{}", source.path, source.lines.len())).collect();
    none(&format!("a file of more than {LONGEST} lines wants to be two rooms"), &findings);
}

/// The lines of any part of a file, also of tests, that `matches`.
fn anywhere(what: &str, matches: impl Fn(&Source, usize) -> bool) -> Vec<String> {
    let all = both();
    let lines = all.iter().flat_map(|source| (0..source.lines.len()).map(move |index| (source, index)));
    lines.filter(|(source, index)| matches(source, *index)).map(|(s, index)| s.finding(index + 1, what)).collect()
}

#[test]
fn no_static_is_mutable() {
    let findings = anywhere("`static mut`", |source, index| {
        source.bare[index].split_whitespace().collect::<Vec<_>>().join(" ").contains("static mut ")
    });
    none("a `static mut` is a data race in waiting", &findings);
}

#[test]
fn nothing_is_left_to_do() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let findings = anywhere("left to do", |source, index| marks.iter().any(|mark| says(&source.lines[index], mark)));
    none("what is left to do is not left in the code", &findings);
}

/// Whether the statement of this line, or the line itself, has a comment that contains `mark`.
fn is_explained(source: &Source, index: usize, mark: &str) -> bool {
    let is_comment = |index: usize| source.lines[index].trim_start().starts_with("//");
    let mut above = index;
    while above > 0 && !is_comment(above - 1) {
        let line = source.bare[above - 1].trim_end();
        if line.is_empty() || line.ends_with([';', '{', '}']) {
            break;
        }
        above -= 1;
    }
    let comment = (0..above).rev().take_while(|index| is_comment(*index));
    source.lines[index].contains(mark) || comment.into_iter().any(|index| source.lines[index].contains(mark))
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    let findings = anywhere("no `SAFETY:` above", |source, index| {
        let line = &source.bare[index];
        let starts = |after: &str| line.find(after).is_some_and(|at| says(&line[..at + 6], "unsafe"));
        (starts("unsafe {") || starts("unsafe impl")) && !is_explained(source, index, "SAFETY:")
    });
    none("an unsafe block or impl without its reason", &findings);
}

/// The lines of a file's atomic operations: the second ordering of one that may fail belongs to the first.
fn atomic_operations(source: &Source) -> Vec<usize> {
    let text = source.code.join("\n");
    let is_second = |at: usize| {
        let before = text[..at].trim_end_matches("std::sync::atomic::").trim_end().strip_suffix(',');
        before.is_some_and(|first| first.trim_end_matches(char::is_alphabetic).ends_with("Ordering::"))
    };
    let uses = text.match_indices("Ordering::").map(|(at, _)| at);
    uses.filter(|at| !is_second(*at)).map(|at| text[..at].matches('\n').count() + 1).collect()
}

#[test]
fn every_ordering_names_its_partner() {
    let mut findings = Vec::new();
    for source in both() {
        let operations = atomic_operations(&source);
        let comments = source.lines.iter().filter(|line| line.contains("ORDERING:")).count();
        if comments < operations.len() {
            let bare = operations.iter().find(|number| !is_explained(&source, *number - 1, "ORDERING:"));
            let what = format!("{} atomic operations, {comments} comments `ORDERING:`", operations.len());
            findings.push(source.finding(*bare.unwrap_or(&operations[0]), &what));
        }
    }
    none("each atomic operation has an `ORDERING:`, which names its partner", &findings);
}
