//! Two thousand clients at once: as many threads as that on `std`, a few on dormouse.

use crate::server::{Client, Version, on_both};
use crate::support;

const CLIENTS: usize = 2000;

#[test]
fn thousands_talk_at_once() {
    // Two descriptors for each in the server, as many here.
    support::limit(libc::RLIMIT_NOFILE, 3 * CLIENTS as u64);
    on_both("many::thousands_talk_at_once", "", &[], |server| {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.guest().0).collect();
        let threads = server.threads();
        match server.version {
            Version::Std => assert!(threads >= 2 * CLIENTS, "{threads} threads"),
            // Besides the workers, the main thread and one or two of the test's own.
            Version::Dormouse => assert!(threads <= workers() + 4, "{threads} threads"),
        }
        let (first, others) = clients.split_first_mut().unwrap();
        first.say("hello");
        others.iter_mut().for_each(|other| other.hears("guest1: hello"));
        server.type_in("quit");
        for client in &mut clients {
            client.hears("* the server ends");
            client.hears_the_end();
        }
    });
}

fn workers() -> usize {
    std::thread::available_parallelism().unwrap().get()
}
