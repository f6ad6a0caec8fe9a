//! Every system call of the runtime, and every errno that its man page documents, once and for as long as it lasts: what the
//! user sees of it, and that nothing hangs, spins or stays behind.
//!
//! `seam` makes calls fail, `pages` says with what, `walk` how it is done. The others are the scenarios and the table: a row
//! for each call in each scenario. The last test holds that no call of the `sys` rooms is without a row.

#[path = "faults/complete.rs"]
mod complete;
#[path = "faults/files.rs"]
mod files;
#[path = "faults/pages.rs"]
mod pages;
#[path = "faults/seam.rs"]
mod seam;
#[path = "faults/sockets.rs"]
mod sockets;
#[path = "faults/start.rs"]
mod start;
mod support;
#[path = "faults/tcp.rs"]
mod tcp;
#[path = "faults/transfers.rs"]
mod transfers;
#[path = "faults/walk.rs"]
mod walk;
#[path = "faults/work.rs"]
mod work;

use walk::walk;

fn rows_of(test: &str) -> &'static [walk::Row] {
    TABLES.iter().find(|(name, _)| *name == test).unwrap().1
}

#[test]
fn at_the_start() {
    walk("at_the_start", rows_of("at_the_start"));
}

#[test]
fn of_waits_and_wakes() {
    walk("of_waits_and_wakes", rows_of("of_waits_and_wakes"));
}

#[test]
fn of_stacks() {
    walk("of_stacks", rows_of("of_stacks"));
}

#[test]
fn of_threads_and_children() {
    walk("of_threads_and_children", rows_of("of_threads_and_children"));
}

#[test]
fn of_files() {
    walk("of_files", rows_of("of_files"));
}

#[test]
fn of_tcp() {
    walk("of_tcp", rows_of("of_tcp"));
}

#[test]
fn of_udp() {
    walk("of_udp", rows_of("of_udp"));
}

#[test]
fn of_unix_sockets() {
    walk("of_unix_sockets", rows_of("of_unix_sockets"));
}

#[test]
fn of_transfers() {
    walk("of_transfers", rows_of("of_transfers"));
}

/// The rows of each test.
const TABLES: &[(&str, &[walk::Row])] = &[
    ("at_the_start", start::ROWS),
    ("of_waits_and_wakes", work::WAITING),
    ("of_stacks", work::STACKS),
    ("of_threads_and_children", work::HELPERS),
    ("of_files", files::ROWS),
    ("of_tcp", tcp::ROWS),
    ("of_udp", sockets::UDP),
    ("of_unix_sockets", sockets::UNIX),
    ("of_transfers", transfers::ROWS),
];

#[test]
fn no_call_is_left_out() {
    complete::is_complete(TABLES);
}

/// `DORMOUSE_WRITE_FAILURES=1` writes it instead.
#[test]
fn the_documentation_tells_of_every_call() {
    complete::is_told(TABLES);
}
