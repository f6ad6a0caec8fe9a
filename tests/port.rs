//! The chat server of `examples/port`, in both versions, over loopback: what clients say and hear, how each of them
//! may end, the server's own end, and 2,000 of them at once.

#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/port/dormouse.rs"]
mod on_dormouse;
#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/port/std.rs"]
mod on_std;
#[path = "port/server.rs"]
mod server;
mod support;

#[path = "port/ends.rs"]
mod ends;
#[path = "port/imports.rs"]
mod imports;
#[path = "port/many.rs"]
mod many;
#[path = "port/talk.rs"]
mod talk;
