//! Ours answer as std's do, to what is right and to what is wrong: the same values, the same errors.
//!
//! Each case runs with std's sockets, files and children on a plain thread, and with ours on a plain thread and in a
//! coroutine; what it saw is compared line by line. A hang fails with a message.
#![allow(clippy::duplicate_mod, reason = "the same text is compiled with other modules around it")]

#[path = "as_std/differences.rs"]
mod differences;
#[path = "as_std/of_dormouse.rs"]
mod of_dormouse;
#[path = "as_std/of_std.rs"]
mod of_std;
#[path = "as_std/record.rs"]
mod record;
mod support;

use differences::DIFFERENCES;
use record::{Case, Record};
use std::sync::{PoisonError, RwLock};

/// The seconds after which a case counts as hung.
const LIMIT: u64 = 30;

/// Held alone by the cases that start children: until a child executes its program it has a copy of every descriptor, and
/// keeps open what a case of another test has closed.
static CHILDREN: RwLock<()> = RwLock::new(());

#[track_caller]
fn same(std: &[Case], ours: &[Case]) {
    let _no_child = CHILDREN.read().unwrap_or_else(PoisonError::into_inner);
    compare(std, ours);
}

#[track_caller]
fn compare(std: &[Case], ours: &[Case]) {
    assert_eq!(std.len(), ours.len());
    let mut differences = Vec::new();
    for ((name, std), (_, ours)) in std.iter().zip(ours) {
        let (std, ours) = (*std, *ours);
        // Shown if the test fails: names the case that hangs.
        println!("{name}");
        let expected = support::bounded(LIMIT, move || Record::of(std));
        assert!(expected.len() > 1, "{name} looks at nothing");
        let on_a_thread = support::bounded(LIMIT, move || Record::of(ours));
        let in_a_coroutine = support::bounded(LIMIT, move || support::run(move || Record::of(ours)));
        for (place, seen) in [("on a thread", on_a_thread), ("in a coroutine", in_a_coroutine)] {
            differences.extend(difference(name, place, &expected, &seen));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Each line in which what was seen differs and should not, or does not and should.
fn difference(case: &str, place: &str, expected: &[String], seen: &[String]) -> Vec<String> {
    let mut known: Vec<_> = DIFFERENCES.iter().filter(|known| known.case == case).map(|known| (known, false)).collect();
    let mut found = Vec::new();
    for (std, ours) in expected.iter().zip(seen).filter(|(std, ours)| std != ours) {
        match known.iter_mut().find(|(known, _)| known.std == std && known.ours == ours) {
            Some((_, seen)) => *seen = true,
            None => found.push(format!("{case}, {place}:\n    std   {std}\n    ours  {ours}")),
        }
    }
    let stale = known.iter().filter(|(_, seen)| !seen);
    found.extend(stale.map(|(known, _)| format!("{case}, {place}: not seen any more: {known:?}")));
    if expected.len() != seen.len() {
        found.push(format!("{case}, {place}: std has {} lines, ours {}", expected.len(), seen.len()));
    }
    found
}

#[test]
fn names_of_peers() {
    same(of_std::cases::names::CASES, of_dormouse::cases::names::CASES);
}

#[test]
fn tcp_connections() {
    same(of_std::cases::tcp::CASES, of_dormouse::cases::tcp::CASES);
}

#[test]
fn tcp_options() {
    same(of_std::cases::tcp_option::CASES, of_dormouse::cases::tcp_option::CASES);
}

#[test]
fn tcp_data() {
    same(of_std::cases::tcp_data::CASES, of_dormouse::cases::tcp_data::CASES);
}

#[test]
fn udp() {
    same(of_std::cases::udp::CASES, of_dormouse::cases::udp::CASES);
}

#[test]
fn unix_streams() {
    same(of_std::cases::unix::CASES, of_dormouse::cases::unix::CASES);
}

#[test]
fn unix_datagrams() {
    same(of_std::cases::datagram::CASES, of_dormouse::cases::datagram::CASES);
}

#[test]
fn files() {
    same(of_std::cases::fs::CASES, of_dormouse::cases::fs::CASES);
}

#[test]
fn children() {
    let _alone = CHILDREN.write().unwrap_or_else(PoisonError::into_inner);
    compare(of_std::cases::process::CASES, of_dormouse::cases::process::CASES);
}

#[test]
fn conversions() {
    same(of_std::cases::conversion::CASES, of_dormouse::cases::conversion::CASES);
}
