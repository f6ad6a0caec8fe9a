//! From one stream to another, until the end: through a pipe in the kernel where much comes at once, else through a buffer.
//!
//! Owns what is promised of it. `direction` moves the bytes, `both` has two of them at a time. Must never know how waiting works.

mod both;
mod direction;

pub use both::{copy_bidirectional, copy_bidirectional_counted};

use std::io;

use crate::stream::Stream;
use direction::Direction;

/// Moves all that comes from one stream to another, until the end, and says how many bytes that were, as [`std::io::copy`].
///
/// `to` is not shut down. Where much comes at once the bytes stay in the kernel, by splice(2) through a pipe; while nothing
/// comes, a copy in a coroutine holds neither memory nor pipe. Each worker keeps up to 16 empty pipes, 32 descriptors, for the
/// next ones, and gives back within two seconds those that none of its copies needs: a limit of descriptors (RLIMIT_NOFILE)
/// leaves room for these, since whoever else wants one meanwhile is told EMFILE. A copy that gets no pipe uses a buffer.
///
/// From then on the descriptions of both are O_NONBLOCK, which nobody sees: as soon as one is shown to others (`as_fd` and the
/// like), it gets its mode back. Streams that others know already are copied through a buffer.
///
/// What a [`BufReader`](crate::BufReader) has taken from the stream already is no part of it: send its
/// [`buffer`](crate::BufReader::buffer) first.
///
/// # Errors
///
/// Those of reading and writing, a read or write timeout included; each limits one wait, not the whole. How much was copied
/// by then [`copy_counted`] tells.
///
/// # Blocking
///
/// Parks the coroutine, or blocks the plain thread, until the end. A cancellation point: up to 256 KiB that were
/// received but not yet sent are lost then, as they are by an error of the second stream.
///
/// # Examples
///
/// ```
/// use dormouse_net as net;
/// use net::os::unix::net::UnixStream;
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// let ((mut client, one), (two, mut server)) = (UnixStream::pair()?, UnixStream::pair()?);
/// client.write_all(b"by way of a proxy")?;
/// drop(client);
/// assert_eq!(net::copy(&one, &two)?, 17);
/// drop(two);
/// let mut text = String::new();
/// server.read_to_string(&mut text)?;
/// assert_eq!(text, "by way of a proxy");
/// # Ok(())
/// # }
/// ```
pub fn copy<A: Stream + ?Sized, B: Stream + ?Sized>(from: &A, to: &B) -> io::Result<u64> {
    let mut count = 0;
    copy_counted(from, to, &mut count)?;
    Ok(count)
}

/// As [`copy`]; `count` grows with each byte that the second stream takes, and says how many have been, however this ends: by
/// the end of the first stream, an error, a timeout or a cancellation.
///
/// # Errors
///
/// Those of [`copy`].
///
/// # Blocking
///
/// As [`copy`].
///
/// # Examples
///
/// ```
/// use dormouse_net as net;
/// use dormouse_runtime::time;
/// use net::os::unix::net::UnixStream;
/// use std::io::Write;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let ((mut client, one), (two, _server)) = (UnixStream::pair()?, UnixStream::pair()?);
/// client.write_all(b"no end")?;
/// let mut count = 0;
/// let copied = time::timeout(Duration::from_millis(5), || net::copy_counted(&one, &two, &mut count));
/// assert!(copied.is_err());
/// assert_eq!(count, 6);
/// # Ok(())
/// # }
/// ```
pub fn copy_counted<A: Stream + ?Sized, B: Stream + ?Sized>(from: &A, to: &B, count: &mut u64) -> io::Result<()> {
    Direction::new(from.part(), to.part(), count).run()
}
