//! What a [`TcpStream`] sends in larger pieces than one buffer: files, lists of buffers, and segments that wait for more.

use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;

use super::TcpStream;
use crate::file;
use crate::sys::option;
use crate::whole;

impl TcpStream {
    /// Sends up to `count` bytes of a file, from `offset` on, and gives how many. The file's cursor is neither used nor
    /// moved. Std has no such function; see sendfile(2).
    ///
    /// Fewer are sent where the file ends before that, or if, after some, an error comes in between, which the next write
    /// meets, or the write timeout passes, which is that of one wait and not of the whole.
    ///
    /// The kernel copies nothing to the program and back. Where it refuses that for the file (/proc, some network and
    /// user-space file systems), or where others know the description of the stream (`as_fd`, a conversion from or to
    /// std's), the bytes go through a buffer. Else the description is O_NONBLOCK from now on, which nobody sees: it gets
    /// its mode back as soon as it is shown to others.
    ///
    /// # Errors
    ///
    /// If nothing was sent: those of a write, and of reading the file: `EBADF` if it is not open for reading, `ESPIPE`
    /// for a pipe, `EISDIR` for a directory, `EINVAL` for an offset above `i64::MAX`, and for a file with O_DIRECT on a disk
    /// whose blocks are larger than 4 KiB. Past the end of the file there is
    /// nothing to send, which is no error.
    ///
    /// # Blocking
    ///
    /// As a write: parks the coroutine, or blocks the plain thread, until there was room for all. A cancellation point; how
    /// much was sent by then [`send_file_counted`](TcpStream::send_file_counted) tells.
    ///
    /// In a coroutine each 1 MiB that is not in memory, or not any more after a wait for room, is first read by a thread of the pool (see
    /// [`blocking`](dormouse_runtime::blocking())), for which it parks. Their first and last bytes decide; a
    /// page between that alone is missing blocks the worker until the disk has answered, and so does any inside `no_park`, or
    /// where the process has no descriptor or thread left for the pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let path = std::env::temp_dir().join(format!("dormouse-send-file-{}", std::process::id()));
    /// std::fs::write(&path, "a file to be sent")?;
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// let (server, _) = listener.accept()?;
    ///
    /// let sent = server.send_file(&std::fs::File::open(&path)?, 2, 100)?;
    /// assert_eq!(sent, 15);
    /// drop(server);
    /// let mut text = String::new();
    /// client.read_to_string(&mut text)?;
    /// assert_eq!(text, "file to be sent");
    /// # std::fs::remove_file(path)
    /// # }
    /// ```
    pub fn send_file<F: AsFd + ?Sized>(&self, file: &F, offset: u64, count: u64) -> io::Result<u64> {
        file::send(self.socket(), file.as_fd(), offset, count)
    }

    /// As [`send_file`](TcpStream::send_file), of what of the `count` bytes from `offset` on comes after the first `sent`: `sent`
    /// grows with each byte that goes, and says how many have, however this ends. Called again with the same, it goes on.
    ///
    /// # Errors
    ///
    /// Those of [`send_file`](TcpStream::send_file), also where some bytes were sent. The end of the file is none: then `sent` is
    /// less than `count`.
    ///
    /// # Blocking
    ///
    /// As [`send_file`](TcpStream::send_file).
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{TcpListener, TcpStream};
    /// use dormouse_runtime::time;
    /// use std::io::Read;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let path = std::env::temp_dir().join(format!("dormouse-send-file-counted-{}", std::process::id()));
    /// std::fs::write(&path, vec![7; 20_000_000])?;
    /// let file = std::fs::File::open(&path)?;
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// let (server, _) = listener.accept()?;
    ///
    /// // Nobody reads.
    /// let (mut sent, soon) = (0, Duration::from_millis(5));
    /// let late = time::timeout(soon, || server.send_file_counted(&file, 0, u64::MAX, &mut sent));
    /// assert!(late.is_err());
    /// drop(server);
    /// assert_eq!(client.read_to_end(&mut Vec::new())? as u64, sent);
    /// # std::fs::remove_file(path)
    /// # }
    /// ```
    pub fn send_file_counted<F: AsFd + ?Sized>(
        &self,
        file: &F,
        offset: u64,
        count: u64,
        sent: &mut u64,
    ) -> io::Result<()> {
        file::send_counted(self.socket(), file.as_fd(), offset, count, sent)
    }

    /// Sends all of the buffers, as [`Write::write_all`] does one. Unstable in std (`write_all_vectored`).
    ///
    /// # Errors
    ///
    /// Those of a write; how much was sent by then is not told, and `bufs` is changed.
    ///
    /// # Blocking
    ///
    /// As [`Write`]. A cancellation point.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{TcpListener, TcpStream};
    /// use std::io::{IoSlice, Read, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// let (server, _) = listener.accept()?;
    /// server.write_all_vectored(&mut [IoSlice::new(b"head "), IoSlice::new(b"body")])?;
    /// let mut text = [0; 9];
    /// client.read_exact(&mut text)?;
    /// assert_eq!(&text, b"head body");
    /// # Ok(())
    /// # }
    /// ```
    pub fn write_all_vectored(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
        whole::write_all_vectored(|bufs| (&*self).write_vectored(bufs), bufs)
    }

    /// Sets TCP_CORK: what is written waits until a segment is full, 200 ms have passed, or this is set to `false`. For a
    /// head that is written before a file is sent. See tcp(7).
    ///
    /// # Errors
    ///
    /// Whatever setsockopt(2) reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_net::{TcpListener, TcpStream};
    /// use std::io::Write;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = TcpStream::connect(listener.local_addr()?)?;
    /// client.set_cork(true)?;
    /// client.write_all(b"head")?;
    /// client.write_all(b"body")?;
    /// client.set_cork(false)?;
    /// assert!(!client.cork()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_cork(&self, cork: bool) -> io::Result<()> {
        option::set_cork(self.socket().fd(), cork)
    }

    /// Returns TCP_CORK.
    ///
    /// # Errors
    ///
    /// Whatever getsockopt(2) reports.
    pub fn cork(&self) -> io::Result<bool> {
        option::cork(self.socket().fd())
    }
}
