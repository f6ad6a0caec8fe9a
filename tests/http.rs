//! The HTTP server of `examples/http`, over loopback: where messages end, what is refused, files, limits of time, and
//! its end.

#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/http/main.rs"]
mod example;
#[path = "http/server.rs"]
mod server;
mod support;

#[path = "http/bodies.rs"]
mod bodies;
#[path = "http/curl.rs"]
mod curl;
#[path = "http/drain.rs"]
mod drain;
#[path = "http/files.rs"]
mod files;
#[path = "http/framing.rs"]
mod framing;
#[path = "http/heads.rs"]
mod heads;
#[path = "http/slow.rs"]
mod slow;
#[path = "http/split.rs"]
mod split;
