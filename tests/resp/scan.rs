//! A walk through all keys, while keys come and go.

use std::collections::BTreeSet;

use crate::server::{Client, Server};
use crate::support::{Random, bounded};

#[test]
fn a_walk_meets_all_that_stay() {
    bounded(100, || {
        let server = Server::start(&[]);
        let (mut walks, mut random) = (server.connect(), Random(7));
        for at in 0..1000 {
            walks.ask(&format!("SET stays{at} v"), "+OK\r\n");
            walks.ask(&format!("SET goes{at} v"), "+OK\r\n");
        }
        let (mut cursor, mut met) = ("0".to_owned(), BTreeSet::new());
        loop {
            cursor = step(&mut walks, &cursor, &mut met);
            if cursor == "0" {
                break;
            }
            for _ in 0..30 {
                walks.say(&format!("DEL goes{}", random.below(1000)));
                walks.line();
                walks.say(&format!("SET comes{} v", random.below(1000)));
                walks.line();
            }
        }
        let stay = met.iter().filter(|key| key.starts_with("stays")).count();
        assert_eq!(stay, 1000);
    });
}

/// One SCAN; gives the next cursor.
fn step(client: &mut Client, cursor: &str, met: &mut BTreeSet<String>) -> String {
    client.say(&format!("SCAN {cursor} COUNT 20"));
    assert_eq!(client.line(), "*2");
    client.line();
    let next = client.line();
    let count: usize = client.line()[1..].parse().unwrap();
    for _ in 0..count {
        client.line();
        met.insert(client.line());
    }
    next
}
