//! What the client's end of a connection costs the kernel, so that it can be taken off what both ends cost.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::limits;
use crate::poller::{EDGE, Poller, READABLE};
use crate::procfs;

const PAIRS: usize = 2_000;

/// Kernel bytes of one idle end registered with an epoll: half of what a pair costs, both ends of which are this process'.
///
/// `descriptors` is how many connections' ends there may be at most.
pub(crate) fn kernel_bytes_per_end(descriptors: usize) -> io::Result<f64> {
    let pairs = PAIRS.min(descriptors / 2).min(limits::ports_per_address()?).max(1);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let poller = Poller::new()?;
    let mut ends = Vec::with_capacity(2 * pairs);
    let before = procfs::kernel_bytes()?;
    for _ in 0..pairs {
        ends.push(TcpStream::connect(address)?);
        ends.push(listener.accept()?.0);
    }
    for end in &ends {
        poller.add(end, READABLE | EDGE, 0)?;
    }
    // The kernel frees what a handshake leaves behind a little later.
    thread::sleep(Duration::from_millis(200));
    let per_end = (procfs::kernel_bytes()? - before) / ends.len() as f64;
    for end in &ends {
        socket2::SockRef::from(end).set_linger(Some(Duration::ZERO))?;
    }
    Ok(per_end)
}
