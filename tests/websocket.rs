//! The WebSocket server of `examples/websocket`, over loopback: what comes back, rooms, those who read slowly or are silent,
//! what is no frame, closes, and the server's end.

#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/websocket/main.rs"]
mod example;
#[path = "websocket/peer.rs"]
mod peer;
mod served;
mod support;

#[path = "websocket/closes.rs"]
mod closes;
#[path = "websocket/drain.rs"]
mod drain;
#[path = "websocket/echo.rs"]
mod echo;
#[path = "websocket/heads.rs"]
mod heads;
#[path = "websocket/rooms.rs"]
mod rooms;
#[path = "websocket/slow.rs"]
mod slow;
