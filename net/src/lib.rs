//! Blocking-style sockets for `dormouse` coroutines, with the names, signatures and behaviour of [`std::net`] and
//! [`std::os::unix::net`].
//!
//! From a coroutine, a call that would block parks the coroutine and leaves its worker to others; from a plain OS
//! thread it blocks the thread, as std's would.
//!
//! Rooms, lowest first; a file imports only from above its own line:
//!
//! ```text
//! sys/            socket system calls; the only room that knows libc and socket2
//! switch.rs       the O_NONBLOCK flag, where the kernel needs it for what has no MSG_DONTWAIT
//! progress.rs     pure: how slow a peer may be
//! backlog.rs      how many may wait to be accepted, and fewer while somebody wants it
//! permit.rs       one connection's share of its listener's limit
//! description.rs  mode and timeouts of one open description, shared by its socket objects
//! closing.rs      how a descriptor ends: no close blocks a worker, a listener's mode is given back
//! socket.rs       the owned fd and THE retry loop: try, on EWOULDBLOCK wait, retry
//! admission.rs    who gets in while the server has as much to do as it can
//! acceptor.rs     accepting, and what happens when descriptors run out
//! resolve.rs      from what names a peer to the addresses that are tried in turn
//! whole.rs        writing until nothing is left
//! file.rs         sending files, and never waiting for a disk
//! tcp/            TcpListener, TcpStream, and their builders
//! udp/            UdpSocket, batches of datagrams
//! unix/           UnixListener, UnixStream, UnixDatagram, ancillary data
//! counted.rs      read_exact and write_all that can be cut short and gone on with
//! os.rs           the paths under which std has what is not in std::net
//! stream.rs       what all streams have in common, and `bytes`
//! buffer/         buffered reading and writing, with memory that idle connections do not hold
//! copy/           from one stream to another, spliced
//! ```

#![deny(unsafe_code)]

mod acceptor;
mod admission;
mod backlog;
mod buffer;
mod closing;
mod copy;
mod counted;
mod description;
mod file;
pub mod os;
mod permit;
mod progress;
mod resolve;
mod socket;
mod stream;
mod switch;
mod sys;
mod tcp;
mod udp;
mod unix;
mod whole;

pub use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6};

pub use admission::{Admission, AdmissionMetrics, OnOverload};
pub use buffer::{BufReader, BufWriter, IntoInnerError};
pub use copy::{copy, copy_bidirectional, copy_bidirectional_counted, copy_counted};
pub use counted::{ReadCounted, WriteCounted};
pub use progress::MinRate;
pub use resolve::{ToSocketAddrs, lookup_host};
pub use stream::Stream;
pub use tcp::{Incoming, IntoIncoming, TcpListener, TcpListenerBuilder, TcpStream, TcpStreamBuilder};
pub use udp::{Datagram, DatagramMut, UdpSocket};
