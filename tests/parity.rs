//! Whatever compiles against what std has stable of sockets, threads, locks, files and children compiles against ours, and
//! does the same.
//!
//! `items` names each item with its signature, and compiles with std's modules and with ours. `table` proves by std's
//! documentation that no item is left out, and keeps `docs/parity.md`. `programs` are run with both.
#![allow(clippy::duplicate_mod, reason = "the same text is compiled with other modules around it")]

#[path = "parity/docs.rs"]
mod docs;
#[path = "parity/named.rs"]
mod named;
#[path = "parity/notes.rs"]
mod notes;
#[path = "parity/of_dormouse.rs"]
mod of_dormouse;
#[path = "parity/of_dormouse_on_threads.rs"]
mod of_dormouse_on_threads;
#[path = "parity/of_std.rs"]
mod of_std;
#[path = "parity/same.rs"]
mod same;
mod support;
#[path = "parity/table.rs"]
mod table;

use std::path::{Path, PathBuf};

/// With this set, `docs/parity.md` is written instead of compared.
const WRITE: &str = "DORMOUSE_WRITE_PARITY";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parity.md")
}

/// Fails with every finding on a line of its own.
#[track_caller]
fn none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

/// Needs std's documentation, and says so where that is missing. Of another version of std than the table was written
/// from, only what is stable is asked for.
#[test]
fn the_items_are_all_that_std_has() {
    let Some(documentation) = docs::folder() else { return };
    let (written, mut missing) = table::written(&documentation);
    missing.retain(|item| !notes::IMPOSSIBLE.contains(&item.as_str()));
    none("stable in std, and in no file of tests/parity/items", &missing);
    let lost = notes::NOTES.iter().filter(|(_, note)| !written.contains(&format!(" | {note} |")));
    none("a note of what std does not have", &lost.map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(file(), &written).unwrap();
    }
    let kept = std::fs::read_to_string(file()).unwrap_or_default();
    let version = docs::version(&docs::page(&documentation, "net/index.html"));
    if !kept.contains(&table::written_from(&version)) {
        eprintln!("docs/parity.md is not of std {version}: not compared; write it with {WRITE}=1");
        return;
    }
    let differs = |(_, (ours, theirs)): &(usize, (&str, &str))| ours != theirs;
    let first = kept.lines().chain([""]).zip(written.lines().chain([""])).enumerate().find(differs);
    assert!(kept == written, "docs/parity.md is not what std has now, first at {first:?}: write it with {WRITE}=1");
}

#[test]
fn the_table_says_what_the_items_prove() {
    none("docs/parity.md", &table::contradictions(&std::fs::read_to_string(file()).unwrap()));
}

/// The seconds after which a program counts as hung.
const LIMIT: u64 = 60;

/// Runs each program with std, with ours in coroutines, and with ours on threads: all see the same.
#[test]
fn programs_see_the_same() {
    let ours = of_dormouse::programs::ALL.iter().zip(of_dormouse_on_threads::programs::ALL);
    for ((name, std), ((_, coroutines), (_, threads))) in of_std::programs::ALL.iter().zip(ours) {
        let expected = support::bounded(LIMIT, *std).unwrap_or_else(|error| panic!("{name}, with std: {error}"));
        let in_coroutines = support::bounded(LIMIT, move || dormouse::Builder::new().workers(2).run(*coroutines));
        let answers = [("in coroutines", in_coroutines.unwrap()), ("on threads", support::bounded(LIMIT, *threads))];
        for (place, seen) in answers {
            let seen = seen.unwrap_or_else(|error| panic!("{name}, {place}: {error}"));
            assert_eq!(seen, expected, "{name}, {place}");
        }
    }
}
