//! The server of `examples/resp`, over loopback: its protocol, beside Redis itself where that is installed, what waits,
//! what is bounded, and its end.

#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/resp/main.rs"]
mod example;
#[path = "resp/server.rs"]
mod server;
mod support;

#[path = "resp/blocking.rs"]
mod blocking;
#[path = "resp/crate_client.rs"]
mod crate_client;
#[path = "resp/differential.rs"]
mod differential;
#[path = "resp/drain.rs"]
mod drain;
#[path = "resp/expiry.rs"]
mod expiry;
#[path = "resp/limits.rs"]
mod limits;
#[path = "resp/listening.rs"]
mod listening;
#[path = "resp/scan.rs"]
mod scan;
#[path = "resp/split.rs"]
mod split;
#[path = "resp/transactions.rs"]
mod transactions;
