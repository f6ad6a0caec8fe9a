//! A large file, fetched again and again by one client that throws it away.

use crate::clients::Client;
use crate::servers::Server;
use crate::tools::Scratch;
use crate::{Options, rounds};

pub(crate) fn ask(options: &Options) {
    let name = format!("file of {} MiB", options.file);
    if !options.asks(&name) {
        return;
    }
    let (root, size) = (Scratch::new(), options.file << 20);
    root.put("large", vec![b'x'; size]);
    let servers = Server::of_files(root.path());
    let fetch = |server: &Server| {
        let length = Client::new(server.address).get("/large");
        assert_eq!(length, size as u64, "{}", server.name);
        length as f64
    };
    servers.iter().for_each(|server| assert!(fetch(server) > 0.0));
    rounds::run(&name, options.rounds, &servers, ("MiB", (1 << 20) as f64), fetch);
}
