//! The table of `docs/parity.md`: what std documents, beside what the items name.

use super::docs::{self, Entry, Item, Status};
use super::named::Named;
use super::notes::{NOTES, WITHOUT};
use std::fmt::Write as _;
use std::path::Path;

/// The text of the file that proves which types are std's own.
const PROOFS: &str = include_str!("same.rs");

const TCP: &str = include_str!("items/tcp.rs");
const FS: &str = include_str!("items/fs.rs");
const PROCESS: &str = include_str!("items/process.rs");
const UDP: &str = include_str!("items/udp.rs");
const NAMES: &str = include_str!("items/names.rs");
const UNIX: &str = include_str!("items/unix.rs");
const UNIX_DATAGRAM: &str = include_str!("items/unix_datagram.rs");
const THREAD: &str = include_str!("items/thread.rs");
const LOCKS: &str = include_str!("items/locks.rs");
const ONCE: &str = include_str!("items/once.rs");
const MPSC: &str = include_str!("items/mpsc.rs");
const UNSTABLE: &[&str] = &[include_str!("items/unstable.rs"), include_str!("items/unstable_sync.rs")];

/// Modules of which each item is proven to be std's own.
const ALL_OF_STD: &[&str] = &["sync::atomic"];

/// What stands above the table.
const PREFACE: &str = "\
# Parity with std

What std has on Linux for sockets, threads and what they share, files and child processes, and what stands at the same path
of `dormouse`. `s/std::net/dormouse::net/`, and the same for `os::unix`, `thread` (with `thread_local!`), `sync`, `fs` and
`process`, ports a program.

`tests/parity.rs` writes and checks this file, from std's documentation and from `tests/parity/items`, which the compiler
reads once with std's modules and once with ours. Write it anew with
`DORMOUSE_WRITE_PARITY=1 cargo test --test parity`. *Same* means the same signature; *nightly* means unstable in std. What
dormouse has besides is not listed.

`tests/as_std.rs` compares the behaviour of sockets: values, and of errors the kind, the message and the errno; and
`tests/parity.rs` runs programs with both. All of ours differ in this:

* What waits in a coroutine parks it, and is a cancellation point.
* No call fails with `Interrupted`; some of std's do when a signal comes in.
* Errors that std makes itself, without an errno, have its kind and message, but print otherwise by `{:?}`.
";

/// A module whose items are compared.
struct Module {
    /// Its path below std.
    path: &'static str,
    /// Its folder in the documentation.
    folder: &'static str,
    /// What names its stable items.
    items: Named,
}

fn modules() -> [Module; 9] {
    let module = |path, folder, files: &[&str]| Module { path, folder, items: Named::new(files) };
    [
        module("net", "net", &[TCP, UDP, NAMES]),
        module("os::unix::net", "os/unix/net", &[UNIX, UNIX_DATAGRAM]),
        module("os::linux::net", "os/linux/net", &[TCP, UNIX]),
        module("thread", "thread", &[THREAD]),
        module("sync", "sync", &[LOCKS, ONCE, MPSC]),
        module("sync::mpsc", "sync/mpsc", &[MPSC]),
        module("sync::atomic", "sync/atomic", &[]),
        module("fs", "fs", &[FS]),
        module("process", "process", &[PROCESS]),
    ]
}

/// A line of the table.
struct Row {
    item: Item,
    named: bool,
    /// Whether the notes say that we do without it.
    without: bool,
    note: &'static str,
}

/// The whole file, and what is stable in std but named by no item.
pub(crate) fn written(documentation: &Path) -> (String, Vec<String>) {
    let version = docs::version(&docs::page(documentation, "net/index.html"));
    let (mut file, mut missing) = (format!("{PREFACE}\n{}\n", written_from(&version)), Vec::new());
    for module in modules() {
        let folder = documentation.join(module.folder);
        let entries = docs::entries(&docs::page(&folder, "index.html"));
        assert!(!entries.is_empty(), "std::{} lists nothing", module.path);
        write!(file, "\n## `std::{}`\n\n| item | std | dormouse | note |\n|---|---|---|---|\n", module.path).unwrap();
        for entry in &entries {
            missing.extend(write_entry(&mut file, &module, entry));
        }
        for entry in entries.iter().filter(|entry| !is_same(&module, &entry.name)) {
            missing.extend(write_items(&mut file, &module, entry, &docs::page(&folder, &entry.file)));
        }
    }
    (file, missing)
}

/// The line that tells of which std a file is.
pub(crate) fn written_from(version: &str) -> String {
    format!("Written from the documentation of std {version}.")
}

/// The line of a type; names it if it is missing.
fn write_entry(file: &mut String, module: &Module, entry: &Entry) -> Option<String> {
    let path = format!("{}::{}", module.path, entry.name);
    let items = if entry.nightly { &Named::new(UNSTABLE) } else { &module.items };
    let ours = match () {
        () if is_same(module, &entry.name) => "std's own",
        () if entry.is_function() && !items.calls(&entry.name) => "no",
        () if items.names_any(&entry.name) => "ours",
        () => "no",
    };
    let std = if entry.nightly { "nightly" } else { "stable" };
    writeln!(file, "| `{}` | {std} | {ours} | {} |", entry.name, note(&path)).unwrap();
    (ours == "no" && !entry.nightly).then(|| format!("std::{path}"))
}

/// The lines of a type's items; gives those that are missing.
fn write_items(file: &mut String, module: &Module, entry: &Entry, page: &str) -> Vec<String> {
    let rows: Vec<_> = docs::items(page).into_iter().map(|item| row(module, entry, item)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let title = format!("std::{}::{}", module.path, entry.name);
    write!(file, "\n### `{title}`\n\n| item | std | dormouse | note |\n|---|---|---|---|\n").unwrap();
    for row in &rows {
        let shown = if row.item.is_implementation() { &row.item.name } else { &row.item.signature };
        let ours = if row.named { "same" } else { "no" };
        writeln!(file, "| `{}` | {} | {ours} | {} |", shown.trim_start_matches("pub "), since(&row.item), row.note)
            .unwrap();
    }
    let expected = |row: &&Row| row.item.status != Status::Nightly && row.named == row.without;
    rows.iter().filter(expected).map(|row| format!("{title}: {}", row.item.signature)).collect()
}

fn row(module: &Module, entry: &Entry, mut item: Item) -> Row {
    if entry.nightly {
        item.status = Status::Nightly;
    }
    let nightly = item.status == Status::Nightly;
    let items = if nightly { &Named::new(UNSTABLE) } else { &module.items };
    let named = items.names(&entry.name, &item.name);
    let path = format!("{}::{}::{}", module.path, entry.name, item.name);
    let without = WITHOUT.iter().any(|(of, _)| *of == path);
    Row { item, named, without, note: note(&path) }
}

/// Whether the type is std's own.
fn is_same(module: &Module, name: &str) -> bool {
    let path = format!("{}::{name}", module.path);
    let proofs = [
        format!("fn(std::{path}) -> dormouse::{path}"),
        format!("fn(std::{path}<"),
        format!("same(std::{path}, dormouse::{path})"),
        format!("impl dormouse::{path} for Own"),
    ];
    ALL_OF_STD.contains(&&*path) || proofs.iter().any(|proof| PROOFS.contains(proof))
}

fn since(item: &Item) -> String {
    let since = match &item.status {
        Status::Stable(since) => since,
        Status::Auto => "auto",
        Status::Nightly => "nightly",
    };
    if item.deprecated { format!("{since}, deprecated") } else { since.to_owned() }
}

fn note(path: &str) -> &'static str {
    NOTES.iter().chain(WITHOUT).find(|(of, _)| *of == path).map_or("", |(_, note)| note)
}

/// What a file says that the items do not: needs no documentation.
pub(crate) fn contradictions(file: &str) -> Vec<String> {
    let unstable = Named::new(UNSTABLE);
    let (mut found, mut rows) = (Vec::new(), 0);
    for module in modules() {
        let start = format!("### `std::{}::", module.path);
        for section in file.split("\n### ").skip(1) {
            let section = format!("### {section}");
            let in_module = section.strip_prefix(&start).and_then(|rest| rest.split_once('`'));
            let Some((name, lines)) = in_module.filter(|(name, _)| !name.contains("::")) else {
                continue;
            };
            for (item, std, ours) in lines.lines().filter_map(cells) {
                rows += 1;
                let items = if std == "nightly" { &unstable } else { &module.items };
                if items.names(name, &name_of(item)) != (ours == "same") {
                    found.push(format!("std::{}::{name}: `{item}` is not {ours:?}", module.path));
                }
            }
        }
    }
    assert!(rows > 500, "the table has only {rows} rows");
    found
}

/// The first cells of a row that is about an item.
fn cells(line: &str) -> Option<(&str, &str, &str)> {
    let (item, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    let mut cells = rest.split(" | ");
    Some((item, cells.next()?, cells.next()?))
}

/// The name of a method by its declaration; that of an implementation is the whole.
fn name_of(item: &str) -> String {
    match item.split_once("fn ") {
        Some((_, rest)) => rest.chars().take_while(|letter| *letter == '_' || letter.is_alphanumeric()).collect(),
        None => item.to_owned(),
    }
}
