//! Transactions of several clients.

use crate::server::{Client, Server};
use crate::support::bounded;

#[test]
fn what_another_client_changes_fails_the_transaction() {
    bounded(60, || {
        let server = Server::start(&[]);
        let (mut one, mut other) = (server.connect(), server.connect());
        for (change, answer) in [("SET k 2", "+OK\r\n"), ("EXPIRE k 100", ":1\r\n"), ("RENAME k j", "+OK\r\n")] {
            one.ask("SET k 1", "+OK\r\n");
            one.ask("WATCH k", "+OK\r\n");
            other.ask(change, answer);
            one.ask("MULTI", "+OK\r\n");
            one.ask("GET k", "+QUEUED\r\n");
            one.ask("EXEC", "*-1\r\n");
        }
        one.ask("SET k 1", "+OK\r\n");
        one.ask("WATCH k", "+OK\r\n");
        other.ask("GET k", "$1\r\n1\r\n");
        // It had no deadline.
        other.ask("GETEX k PERSIST", "$1\r\n1\r\n");
        one.ask("MULTI", "+OK\r\n");
        one.ask("EXEC", "*0\r\n");
    });
}

#[test]
fn transactions_of_many_are_one_behind_the_other() {
    bounded(100, || {
        let server = Server::start(&[]);
        let address = server.address;
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut client = Client::connect(address);
                    for _ in 0..200 {
                        // Between these two, nobody sees the first alone.
                        client.send(b"MULTI\r\nINCR a\r\nINCR b\r\nEXEC\r\nMGET a b\r\n");
                        client.hears("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
                        let (a, b) = (client.line(), client.line());
                        assert_eq!(a, b);
                        assert_eq!(client.line(), "*2");
                        let values = [client.line(), client.line(), client.line(), client.line()];
                        assert_eq!(values[1], values[3]);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        server.connect().ask("MGET a b", "*2\r\n$3\r\n800\r\n$3\r\n800\r\n");
    });
}
