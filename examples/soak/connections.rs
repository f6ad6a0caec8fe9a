//! Connections: one server that echoes for a whole phase, and clients that come and go in every way there is.

use crate::churn::Dice;
use crate::tasks::Shared;
use dormouse::net::{Shutdown, TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use dormouse::spawn;
use dormouse::thread::JoinHandle;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// When a client gives the server up; but see [`hear`].
const PATIENCE: Duration = Duration::from_secs(10);

/// The server.
pub(crate) struct Echo {
    address: SocketAddr,
    accepts: JoinHandle<()>,
}

impl Echo {
    pub(crate) fn listen() -> io::Result<Echo> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let accepts = spawn(move || {
            for stream in listener.incoming().flatten() {
                spawn(move || echo(stream));
            }
        });
        Ok(Echo { address, accepts })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more. Connections end as their clients do.
    pub(crate) fn close(self) {
        self.accepts.cancel();
        let _ = self.accepts.join();
    }
}

/// A client may leave without a word, so any error ends it.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut part = [0; 1024];
    loop {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            length => stream.write_all(&part[..length])?,
        }
    }
}

/// Says something a few times and hears it back; then leaves, in one way or another.
pub(crate) fn client(shared: &Shared, mut dice: Dice) {
    let mut stream = TcpStream::connect(shared.address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut heard = vec![0; 1 + dice.below(4000)];
    for _ in 0..dice.below(6) {
        let said = vec![dice.below(256) as u8; heard.len()];
        stream.write_all(&said).expect("the server reads");
        hear(&mut stream, &mut heard).expect("the server answers");
        assert!(said == heard, "not what was said");
    }
    match dice.below(4) {
        // The rest is in the server's hands.
        0 => {}
        // What was not read makes this a reset.
        1 => drop(stream.write_all(&heard)),
        // Nothing comes: that is told in time.
        2 => {
            stream.set_read_timeout(Some(Duration::from_millis(1))).expect("it is not zero");
            let kind = stream.read(&mut heard).expect_err("nothing was said").kind();
            assert!(matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        }
        _ => {
            stream.shutdown(Shutdown::Write).expect("it is connected");
            assert_eq!(stream.read(&mut heard).expect("the server closes in order"), 0);
        }
    }
}

/// As `read_exact`. A process that was stopped for longer than its patience finds every deadline passed when it goes on: so
/// one is not the last.
fn hear(stream: &mut TcpStream, heard: &mut [u8]) -> io::Result<()> {
    let (mut length, mut excused) = (0, false);
    while length < heard.len() {
        match stream.read(&mut heard[length..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => length += more,
            Err(error) if excused || error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => excused = true,
        }
    }
    Ok(())
}

/// Two that write to each other at once, through halves and clones of a socket.
pub(crate) fn pair(_: &Shared, mut dice: Dice) {
    let (ours, theirs) = UnixStream::pair().expect("descriptors can be had");
    let (count, length) = (1 + dice.below(20), 1 + dice.below(2000));
    let other = spawn(move || {
        let mut clone = theirs.try_clone().expect("descriptors can be had");
        let writes = spawn(move || (0..count).try_for_each(|_| clone.write_all(&vec![1; length])));
        let got = read_all(&theirs, count * length);
        (got, writes.join().is_ok())
    });
    let sent = (0..count).try_for_each(|_| (&ours).write_all(&vec![2; length]));
    let got = read_all(&ours, count * length);
    assert!(sent.is_ok() && got == count * length, "{sent:?}, {got} of {}", count * length);
    assert_eq!(other.join().expect("it only reads"), (count * length, true));
}

/// Reads so much, or what there is.
fn read_all(mut stream: &UnixStream, length: usize) -> usize {
    let (mut part, mut got) = ([0; 512], 0);
    while got < length {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(more) => got += more,
        }
    }
    got
}
