//! The memory of clients that were answered once, and are silent since.

use std::time::Duration;

use crate::Options;
use crate::clients::Client;
use crate::servers::Server;

/// How long servers have to give back what they do not need.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn ask(options: &Options) {
    let name = format!("idle, {} connections that were answered once", options.idle);
    if !options.asks(&name) {
        return;
    }
    println!("{name}:");
    for server in Server::of_text() {
        // What all of them share, the first one has it made.
        Client::new(server.address).get("/");
        let before = server.memory();
        let clients: Vec<Client> = (0..options.idle).map(|_| greeted(&server)).collect();
        std::thread::sleep(if options.test { Duration::ZERO } else { REST });
        let each = (server.memory() - before) / clients.len() as f64;
        println!("  {:<14}{each:>10.0} resident bytes each", server.name);
    }
}

fn greeted(server: &Server) -> Client {
    let mut client = Client::new(server.address);
    assert_eq!(client.get("/"), 13, "{}", server.name);
    client
}
