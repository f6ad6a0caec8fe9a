//! Keys that expire, looked for or not.

use crate::server::Server;
use crate::support::{bounded, eventually};

#[test]
fn a_key_expires_in_time_though_nobody_looks_for_it() {
    bounded(60, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.ask("SET late v EX 1000", "+OK\r\n");
        for at in 0..200 {
            client.ask(&format!("SET k{at} v PX 50"), "+OK\r\n");
        }
        // Counts keys, without looking for one.
        eventually(20, "all but one expire", || {
            client.say("DBSIZE");
            client.line() == ":1"
        });
        client.ask("EXISTS late", ":1\r\n");
    });
}

#[test]
fn what_is_watched_and_expires_was_changed() {
    bounded(60, || {
        let server = Server::start(&[]);
        let mut client = server.connect();
        client.ask("SET k v PX 30", "+OK\r\n");
        client.ask("WATCH k", "+OK\r\n");
        client.ask("MULTI", "+OK\r\n");
        let mut other = server.connect();
        eventually(20, "the key expires", || {
            other.say("EXISTS k");
            other.line() == ":0"
        });
        client.ask("EXEC", "*-1\r\n");
    });
}
