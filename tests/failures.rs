//! `docs/failures.md` tells of every failure, and each row names tests that are there.

use std::path::Path;

/// What must have a row, each by how it begins or what is in it.
const NAMED: &[&str] = &[
    "EMFILE",
    "ENFILE",
    "ECONNABORTED",
    "ENOBUFS",
    "ENOMEM from mmap",
    "ENOSPC from epoll",
    "EINTR",
    "vm.max_map_count is reached, with guards by mprotect",
    "epoll_create fails at the start",
    "no thread can be started",
    "the wall clock is stepped",
    "SIGPIPE",
    "SIGSEGV that is not ours",
    "a panic in a Drop during a cancellation",
    "a panic payload whose Drop panics",
    "a spawn inside a destructor of a thread-local",
    "the runtime is used inside a call that a signal interrupted",
    "a coroutine that never yields, at shutdown",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of both tables, each as its cells.
fn rows() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/failures.md")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let (heads, rows): (Vec<_>, Vec<_>) = lines.map(cells).partition(|cells| cells[2].starts_with("test"));
    assert_eq!(heads.len(), 2, "two tables");
    rows
}

/// The tests that a cell names, each with its file as it is seen from `docs`.
fn links(cell: &str) -> Vec<(&str, &str)> {
    let parts = cell.split("[`").skip(1);
    let link = |part: &'_ str| -> Option<(usize, usize)> { Some((part.find("`](")?, part.find(')')?)) };
    let whole = |part| link(part).unwrap_or_else(|| panic!("no link: {part}"));
    parts.map(|part| (part, whole(part))).map(|(part, (name, end))| (&part[..name], &part[name + 3..end])).collect()
}

/// Whether this file has a test of this name.
fn has_test(file: &str, name: &str) -> bool {
    let text = std::fs::read_to_string(root().join("docs").join(file)).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("fn {name}()")));
    at.is_some_and(|at| {
        lines[..at].iter().rev().take_while(|line| line.starts_with('#')).any(|line| *line == "#[test]")
    })
}

#[test]
fn each_row_names_a_test_that_is_there() {
    let (rows, mut findings) = (rows(), Vec::new());
    assert!(rows.len() > 100, "only {} rows", rows.len());
    for row in &rows {
        assert_eq!(row.len(), 3, "{row:?}");
        let links = links(&row[2]);
        if links.is_empty() {
            findings.push(format!("{}: no test", row[0]));
        }
        let gone = links.iter().filter(|(name, file)| !has_test(file, name));
        findings.extend(gone.map(|(name, file)| format!("{}: no test {name} in {file}", row[0])));
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn each_failure_that_must_be_told_of_has_a_row() {
    let rows = rows();
    let missing: Vec<_> = NAMED.iter().filter(|name| !rows.iter().any(|row| row[0].starts_with(**name))).collect();
    assert!(missing.is_empty(), "no row: {missing:?}");
}

#[test]
fn a_test_that_is_not_there_is_found_out() {
    assert!(has_test("../tests/failures.rs", "a_test_that_is_not_there_is_found_out"));
    assert!(!has_test("../tests/failures.rs", "root"), "no test");
    assert!(!has_test("../tests/failures.rs", "a_test"));
    assert!(!has_test("../tests/nowhere.rs", "a_test"));
    let cell = "[`one`](../a.rs), and [`other`](../b.rs)";
    assert_eq!(links(cell), [("one", "../a.rs"), ("other", "../b.rs")]);
    assert!(links("nothing").is_empty());
}
