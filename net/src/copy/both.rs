//! Two directions at a time, each of which ends by itself, or both by the error of one.

use std::io;
use std::net::Shutdown;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dormouse_runtime::sync::mpsc::{Receiver, TryRecvError, channel};
use dormouse_runtime::{blocking, thread, wait};

use super::direction::Direction;
use crate::stream::{Part, Stream};

/// Moves all that comes from either stream to the other, until both have ended, and says how many bytes went from `a` to `b`
/// and from `b` to `a`: a whole proxy.
///
/// When one stream ends, the other is shut down for writing, and the other direction goes on: a half-closed connection
/// stays one. One direction is moved by the caller, the other by a coroutine on the same worker, or, from a plain
/// thread, by another thread. All that is said at [`copy`](super::copy) holds for both.
///
/// # Errors
///
/// The first error of either direction. It ends both, and both streams are shut down. [`copy`](super::copy) has a list of what may be an
/// error; also when there is no stack, or no thread, for the second direction. How much was copied by then
/// [`copy_bidirectional_counted`] tells.
///
/// # Blocking
///
/// Parks the coroutine, or blocks the plain thread, until both have ended. A cancellation point. On a plain thread, a timeout
/// around it shuts both streams down: nothing else ends the other thread's wait.
///
/// # Panics
///
/// In a coroutine, inside `no_park`.
///
/// # Examples
///
/// ```
/// use dormouse_net as net;
/// use net::os::unix::net::UnixStream;
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
///
/// # fn main() -> std::io::Result<()> {
/// let ((mut client, one), (two, mut server)) = (UnixStream::pair()?, UnixStream::pair()?);
/// let proxy = std::thread::spawn(move || net::copy_bidirectional(&one, &two));
/// client.write_all(b"ping?")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut text = String::new();
/// server.read_to_string(&mut text)?;
/// server.write_all(b"pong")?;
/// drop(server);
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "ping?pong");
/// assert_eq!(proxy.join().unwrap()?, (5, 4));
/// # Ok(())
/// # }
/// ```
pub fn copy_bidirectional<A: Stream + ?Sized, B: Stream + ?Sized>(a: &A, b: &B) -> io::Result<(u64, u64)> {
    let mut counts = (0, 0);
    copy_bidirectional_counted(a, b, &mut counts)?;
    Ok(counts)
}

/// As [`copy_bidirectional`]; the counts grow with each byte that went from `a` to `b` and from `b` to `a`, however this ends.
///
/// # Errors
///
/// Those of [`copy_bidirectional`].
///
/// # Blocking
///
/// As [`copy_bidirectional`].
///
/// # Panics
///
/// As [`copy_bidirectional`].
///
/// # Examples
///
/// ```
/// use dormouse_net as net;
/// use dormouse_runtime::{run, time};
/// use net::os::unix::net::UnixStream;
/// use std::io::Write;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let ((mut client, one), (two, mut server)) = (UnixStream::pair()?, UnixStream::pair()?);
/// client.write_all(b"ping")?;
/// server.write_all(b"no end")?;
/// let mut counts = (0, 0);
/// let both = || net::copy_bidirectional_counted(&one, &two, &mut counts);
/// assert!(run(|| time::timeout(Duration::from_millis(5), both)).is_err());
/// assert_eq!(counts, (4, 6));
/// # Ok(())
/// # }
/// ```
pub fn copy_bidirectional_counted<A: Stream + ?Sized, B: Stream + ?Sized>(
    a: &A,
    b: &B,
    counts: &mut (u64, u64),
) -> io::Result<()> {
    let both = Both { a: a.part(), b: b.part(), error: Mutex::new(None) };
    let (there, back) = (&mut counts.0, &mut counts.1);
    match blocking::in_coroutine() {
        true => thread::scope(|scope| {
            let back = scope.spawn_here(|| both.direct(both.b, both.a, back))?;
            both.direct(both.a, both.b, there);
            back.join().unwrap_or_else(|panic| resume_unwind(panic));
            io::Result::Ok(())
        })?,
        false => both.on_threads(there, back)?,
    }
    match both.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Two streams that are copied to each other.
struct Both<'a> {
    /// One.
    a: Part<'a>,
    /// The other.
    b: Part<'a>,
    /// What went wrong first.
    error: Mutex<Option<io::Error>>,
}

impl Both<'_> {
    /// One direction, and its end.
    fn direct(&self, from: Part<'_>, to: Part<'_>, count: &mut u64) {
        self.note(Direction::new(from, to, count).run().and_then(|()| end(to)));
    }

    /// Both directions, one by the caller and one by another thread; whatever ends the caller's ends the other one.
    fn on_threads(&self, there: &mut u64, back: &mut u64) -> io::Result<()> {
        std::thread::scope(|scope| {
            let (goes_on, ended) = channel();
            let back = move || {
                let _goes_on = goes_on;
                self.direct(self.b, self.a, back);
            };
            let back = std::thread::Builder::new().spawn_scoped(scope, back)?;
            let ends = Ends(self);
            self.direct(self.a, self.b, there);
            self.note(wait_for(&ended));
            std::mem::forget(ends);
            back.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok(())
        })
    }

    /// An error ends both directions.
    fn note(&self, answer: io::Result<()>) {
        if let Err(error) = answer {
            self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.shut_down();
        }
    }

    /// Ends both directions: whoever waits in the other one wakes.
    fn shut_down(&self) {
        for part in [self.a, self.b] {
            // Fails for a connection that is gone already.
            let _ = part.shutdown(Shutdown::Both);
        }
    }
}

/// Waits until the other thread has dropped its end, as long as no timeout strikes.
///
/// That is no wait for the thread itself, which no timeout would end. Inside `as_errors` a receive that one ends answers as the
/// end would, so it is looked at once more, and the pause has the error.
fn wait_for(ended: &Receiver<()>) -> io::Result<()> {
    loop {
        let _ = ended.recv();
        match ended.try_recv() {
            Err(TryRecvError::Empty) => wait::pause(Duration::from_millis(1), None)?,
            _ => return Ok(()),
        }
    }
}

/// Dropped by an unwind, it ends the other thread's direction.
struct Ends<'a>(&'a Both<'a>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// Passes the end on. A connection that is gone needs to hear of none: whoever reads from it does.
fn end(to: Part<'_>) -> io::Result<()> {
    match to.shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        answer => answer,
    }
}
