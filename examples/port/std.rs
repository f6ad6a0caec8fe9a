//! A chat server in the classic style: two threads for each client, one that reads and one that writes. Try it with
//! `nc 127.0.0.1 7000`.
//!
//! What a client types goes to all others; `/nick NAME` names it, `/who` lists who is there, `/quit` ends. What is typed
//! at the server's own terminal goes to everybody; the end of that input, or `quit`, ends the server.
//!
//! `std.rs` and `dormouse.rs` are this program twice. They differ in the four imports of the second paragraph.

use clap::Parser;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, Scope};

/// The longest line of a client, in bytes.
const MAX_LINE: u64 = 1024;
/// Bytes that may wait for a client that is slow to take them.
const MAX_WAITING: usize = 1 << 20;
/// Bytes after which no more lines are put into one write.
const BATCH: usize = 8 << 10;

/// A chat server: a thread that reads and a thread that writes for each client
#[derive(Parser)]
pub(crate) struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7000")]
    addr: String,
    /// Clients at once; others wait
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    clients: usize,
    /// Seconds that a client may say nothing
    #[arg(long, value_name = "S", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,
    /// Seconds in which a client has to take some of what is written to it
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,
}

/// What the threads share.
struct Server {
    options: Options,
    room: Mutex<Room>,
    seat_free: Condvar,
}

struct Room {
    open: bool,
    seats_taken: usize,
    guests: usize,
    members: HashMap<usize, Member>,
}

struct Member {
    name: String,
    /// To the client's writer, which ends when this is dropped.
    lines: Sender<Arc<str>>,
    waiting: Arc<AtomicUsize>,
}

/// One of `Options::clients`; free again when dropped.
struct Seat<'a>(&'a Server);

fn main() -> io::Result<()> {
    serve(Options::parse())
}

/// Serves until standard input ends.
pub(crate) fn serve(options: Options) -> io::Result<()> {
    let listener = TcpListener::bind(&options.addr)?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let room = Room { open: true, seats_taken: 0, guests: 0, members: HashMap::new() };
    let server = Server { options, room: Mutex::new(room), seat_free: Condvar::new() };
    thread::scope(|scope| {
        let acceptor = scope.spawn(|| server.accept(scope, &listener));
        let outcome = server.console();
        server.close();
        while !acceptor.is_finished() {
            // It waits for a client, so it is given one.
            let _ = TcpStream::connect_timeout(&address, Duration::from_millis(100));
            thread::sleep(Duration::from_millis(10));
        }
        outcome
    })
}

impl Server {
    fn accept<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, listener: &TcpListener) {
        while let Some(seat) = self.seat() {
            let client = listener.accept().and_then(|(stream, peer)| {
                let name = format!("client {peer}");
                thread::Builder::new().name(name).spawn_scoped(scope, move || self.attend(stream, peer, seat))
            });
            if let Err(error) = client {
                eprintln!("accept: {error}");
                // Out of descriptors or threads: somebody has to leave first.
                thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Waits until there is room for one more client; none when the server ends.
    fn seat(&self) -> Option<Seat<'_>> {
        let room = self.room.lock().unwrap();
        let full = |room: &mut Room| room.open && room.seats_taken >= self.options.clients;
        let mut room = self.seat_free.wait_while(room, full).unwrap();
        room.seats_taken += usize::from(room.open);
        room.open.then(|| Seat(self))
    }

    fn attend(&self, stream: TcpStream, peer: SocketAddr, _seat: Seat) {
        if let Err(error) = self.converse(stream) {
            eprintln!("{peer}: {error}");
        }
    }

    fn converse(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(self.options.idle)))?;
        stream.set_write_timeout(Some(Duration::from_secs(self.options.patience)))?;
        let (output, (lines, written)) = (stream.try_clone()?, mpsc::channel());
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let writer = thread::Builder::new().name("writer".into()).spawn(move || write(&output, &written, &counter))?;
        let id = self.room.lock().unwrap().join(lines, waiting);
        let read = id.map_or(Ok(()), |id| {
            let read = self.read(stream, id);
            self.room.lock().unwrap().leave(id);
            read
        });
        // What others have said before it left is still written.
        read.and(writer.join().expect("a writer does not panic"))
    }

    fn read(&self, stream: TcpStream, id: usize) -> io::Result<()> {
        let mut input = BufReader::with_capacity(MAX_LINE as usize, stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            match length.map_err(|error| timed_out(error, "says nothing"))? as u64 {
                0 => return Ok(()),
                MAX_LINE if !line.ends_with(b"\n") => {
                    return Err(io::Error::new(ErrorKind::InvalidData, "too long a line"));
                }
                _ => {}
            }
            // What a terminal would obey is not passed on.
            let line: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
            if !self.room.lock().unwrap().obey(id, &line) {
                return Ok(());
            }
        }
    }

    /// Passes on what is typed at the server, until that ends.
    fn console(&self) -> io::Result<()> {
        for line in io::stdin().lock().lines() {
            match line?.as_str() {
                "quit" => break,
                line => self.room.lock().unwrap().tell(&format!("* {line}"), None),
            }
        }
        Ok(())
    }

    fn close(&self) {
        let mut room = self.room.lock().unwrap();
        room.tell("* the server ends", None);
        room.open = false;
        room.members.clear();
        self.seat_free.notify_all();
    }
}

impl Room {
    /// Takes somebody in, who is told so; none when the server ends.
    fn join(&mut self, lines: Sender<Arc<str>>, waiting: Arc<AtomicUsize>) -> Option<usize> {
        self.guests += 1;
        let name = format!("guest{}", self.guests);
        let greeting = format!("* you are {name}, and may say /nick NAME, /who, /quit");
        self.open.then(|| self.members.insert(self.guests, Member { name, lines, waiting }))?;
        self.answer(self.guests, &greeting);
        Some(self.guests)
    }

    /// Guests come and go unannounced.
    fn leave(&mut self, id: usize) {
        if let Some(member) = self.members.remove(&id).filter(|member| !member.name.starts_with("guest")) {
            self.tell(&format!("* {} has left", member.name), None);
        }
    }

    /// Does what a client says; false if it is not to say more.
    fn obey(&mut self, id: usize, line: &str) -> bool {
        let Some(member) = self.members.get(&id) else { return false };
        match line.split_once(' ').unwrap_or((line, "")) {
            ("/quit", _) => return false,
            ("/who", _) => {
                let mut names: Vec<_> = self.members.values().map(|member| member.name.as_str()).collect();
                names.sort_unstable();
                self.answer(id, &format!("* {}", names.join(" ")));
            }
            ("/nick", name) => self.rename(id, name.trim()),
            (command, _) if command.starts_with('/') => self.answer(id, "* there are only /nick NAME, /who, /quit"),
            _ => self.tell(&format!("{}: {line}", member.name), Some(id)),
        }
        true
    }

    fn rename(&mut self, id: usize, name: &str) {
        let proper = (1..=20).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !proper || name.starts_with("guest") {
            self.answer(id, "* a name has 1 to 20 letters and digits, and does not begin with guest");
        } else if self.members.values().any(|member| member.name == name) {
            self.answer(id, &format!("* {name} is taken"));
        } else if let Some(member) = self.members.get_mut(&id) {
            let old = std::mem::replace(&mut member.name, name.into());
            self.tell(&format!("* {old} is {name}"), None);
        }
    }

    fn answer(&self, id: usize, text: &str) {
        self.members[&id].take(&format!("{text}\n").into());
    }

    /// Tells everybody, but for one. Who cannot keep up is out.
    fn tell(&mut self, text: &str, but: Option<usize>) {
        let line = format!("{text}\n").into();
        let slow: Vec<_> = self.members.extract_if(|id, member| Some(*id) != but && !member.take(&line)).collect();
        for (_, member) in slow {
            self.tell(&format!("* {} cannot keep up", member.name), None);
        }
    }
}

impl Member {
    /// Has a line written, without waiting for that; false if too much waits already.
    fn take(&self, line: &Arc<str>) -> bool {
        let waiting = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        // An error is a client that is about to leave.
        let _ = self.lines.send(Arc::clone(line));
        waiting < MAX_WAITING
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.room.lock().unwrap().seats_taken -= 1;
        self.0.seat_free.notify_one();
    }
}

/// Writes what is to be said to a client, until nobody can say more; then its reader ends, too.
fn write(mut stream: &TcpStream, lines: &Receiver<Arc<str>>, waiting: &AtomicUsize) -> io::Result<()> {
    let written = lines.iter().try_for_each(|line| {
        let mut batch = line.to_string();
        while batch.len() < BATCH
            && let Ok(line) = lines.try_recv()
        {
            batch.push_str(&line);
        }
        waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        stream.write_all(batch.as_bytes())
    });
    // An error is a client that has ended the connection itself.
    let _ = stream.shutdown(Shutdown::Both);
    written.map_err(|error| timed_out(error, "takes nothing"))
}

/// A call that is out of time says that it would block.
fn timed_out(error: io::Error, what: &str) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { io::Error::new(ErrorKind::TimedOut, what) } else { error }
}
