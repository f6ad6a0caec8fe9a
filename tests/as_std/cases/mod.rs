//! What is done with std's sockets, files and children and with ours, for whichever modules stand around this one:
//! `fs`, `net`, `os` and `process`.

pub(crate) mod conversion;
pub(crate) mod datagram;
pub(crate) mod fs;
pub(crate) mod names;
pub(crate) mod process;
pub(crate) mod tcp;
pub(crate) mod tcp_data;
pub(crate) mod tcp_option;
pub(crate) mod udp;
pub(crate) mod unix;
