//! The TLS server of `examples/tls`, over loopback: that all comes back, how connections end, what clients do wrong, limits
//! of time, and the clients that others wrote.

#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/tls/main.rs"]
mod example;
#[path = "tls/peer.rs"]
mod peer;
mod served;
mod support;

#[path = "tls/echo.rs"]
mod echo;
#[path = "tls/ends.rs"]
mod ends;
#[path = "tls/https.rs"]
mod https;
#[path = "tls/tools.rs"]
mod tools;
#[path = "tls/wrong.rs"]
mod wrong;
