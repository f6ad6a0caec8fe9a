//! A client that others wrote: the `redis` crate.

use std::collections::HashMap;

use redis::{Commands, Connection};

use crate::server::Server;
use crate::support::bounded;

fn connect(server: &Server, version: &str) -> Connection {
    let url = format!("redis://{}/0?protocol={version}", server.address);
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

#[test]
fn the_crate_gets_what_it_asks_for() {
    for version in ["resp2", "resp3"] {
        bounded(60, move || {
            let server = Server::start(&[]);
            let mut client = connect(&server, version);
            let () = client.set("text", "value").unwrap();
            assert_eq!(client.get::<_, String>("text").unwrap(), "value");
            assert_eq!(client.get::<_, Option<String>>("none").unwrap(), None);
            assert_eq!(client.incr::<_, _, i64>("number", 5).unwrap(), 5);
            let () = client.hset_multiple("hash", &[("a", 1), ("b", 2)]).unwrap();
            let hash: HashMap<String, i64> = client.hgetall("hash").unwrap();
            assert_eq!(hash, HashMap::from([("a".into(), 1), ("b".into(), 2)]));
            let () = client.rpush("list", &["x", "y"]).unwrap();
            assert_eq!(client.lrange::<_, Vec<String>>("list", 0, -1).unwrap(), ["x", "y"]);
            let popped: (String, String) = client.blpop("list", 1.0).unwrap();
            assert_eq!(popped, ("list".into(), "x".into()));
            assert_eq!(client.sadd::<_, _, i64>("set", &["m", "n"]).unwrap(), 2);
            assert!(client.sismember::<_, _, bool>("set", "m").unwrap());
            let keys: Vec<String> = client.scan().unwrap().map(Result::unwrap).collect();
            assert_eq!(keys.len(), 5);
            let both: (i64, String) = redis::pipe().atomic().incr("number", 1).get("text").query(&mut client).unwrap();
            assert_eq!(both, (6, "value".into()));
            let error = client.lpush::<_, _, i64>("text", "x").unwrap_err();
            assert_eq!(error.code(), Some("WRONGTYPE"));
        });
    }
}
