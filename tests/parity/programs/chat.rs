//! Servers that answer, and clients that ask.

use super::super::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use super::super::thread;
use super::Seen;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn serve_lines(stream: TcpStream) -> io::Result<usize> {
    let mut count = 0;
    for line in BufReader::new(&stream).lines() {
        writeln!(&stream, "{}", line?.to_uppercase())?;
        count += 1;
    }
    Ok(count)
}

/// A thread per connection, and a reader and a writer on one stream by reference.
pub(super) fn echo_lines() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let server = thread::spawn(move || -> io::Result<Vec<usize>> {
        let mut clients = Vec::new();
        for stream in listener.incoming().take(3) {
            let stream = stream?;
            clients.push(thread::spawn(move || serve_lines(stream)));
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut seen = Vec::new();
    for client in 1..=3 {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        for line in 0..client {
            writeln!(&stream, "line {line} of {client}")?;
        }
        stream.shutdown(Shutdown::Write)?;
        seen.extend(BufReader::new(stream).lines().collect::<io::Result<Vec<_>>>()?);
    }
    seen.push(format!("{:?}", server.join().unwrap()?));
    Ok(seen)
}

/// What guests share: a handle to each other's stream.
type Guests = Arc<Mutex<HashMap<String, Arc<TcpStream>>>>;

fn attend(stream: TcpStream, guests: Guests) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut name = String::new();
    reader.read_line(&mut name)?;
    let name = name.trim().to_owned();
    guests.lock().unwrap().insert(name.clone(), Arc::new(stream));
    for line in reader.lines() {
        let line = line?;
        let Some((to, text)) = line.split_once(' ') else { continue };
        let other = guests.lock().unwrap().get(to).cloned();
        if let Some(other) = other {
            (&*other).write_all(format!("{name}: {text}\n").as_bytes())?;
        }
    }
    Ok(())
}

/// Connections that write to each other's streams.
pub(super) fn a_room_of_guests() -> Seen {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let addr = listener.local_addr()?;
    let guests = Guests::default();
    let room = Arc::clone(&guests);
    let server = thread::spawn(move || -> io::Result<()> {
        let attending: Vec<_> = (0..2)
            .map(|_| {
                let (stream, _) = listener.accept()?;
                let room = Arc::clone(&room);
                Ok(thread::spawn(move || attend(stream, room)))
            })
            .collect::<io::Result<_>>()?;
        attending.into_iter().try_for_each(|guest| guest.join().unwrap())
    });
    let (mut ann, mut bob) = (TcpStream::connect(addr)?, TcpStream::connect(addr)?);
    ann.write_all(b"ann\n")?;
    bob.write_all(b"bob\n")?;
    while guests.lock().unwrap().len() < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    writeln!(ann, "bob hello")?;
    let mut heard = String::new();
    BufReader::new(&bob).read_line(&mut heard)?;
    writeln!(bob, "ann hello yourself")?;
    BufReader::new(&ann).read_line(&mut heard)?;
    drop((ann, bob));
    server.join().unwrap()?;
    Ok(heard.lines().map(String::from).collect())
}

fn answer(mut stream: TcpStream) -> io::Result<String> {
    let mut length = [0; 4];
    stream.peek(&mut length)?;
    stream.read_exact(&mut length)?;
    let mut body = Vec::new();
    Read::by_ref(&mut stream).take(u64::from(u32::from_be_bytes(length))).read_to_end(&mut body)?;
    let mut writer = BufWriter::new(stream);
    writer.write_all(&length)?;
    writer.write_all(&body)?;
    writer.flush()?;
    writer.into_inner()?.shutdown(Shutdown::Both)?;
    String::from_utf8(body).map_err(io::Error::other)
}

/// A length and then as many bytes, both ways.
pub(super) fn request_and_answer() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let server = thread::spawn(move || answer(listener.accept()?.0));
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let request = "how are you?".repeat(1000);
    stream.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let asked = server.join().unwrap()?;
    Ok(vec![asked.len().to_string(), answer.len().to_string(), (answer[4..] == *request.as_bytes()).to_string()])
}

/// Accepts and reads in non-blocking mode, as one does with a loop that does other things, too.
pub(super) fn ask_without_waiting() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let mut seen = vec![format!("{:?}", listener.accept().unwrap_err().kind())];
    let client = thread::spawn(move || TcpStream::connect(addr)?.write_all(b"at last"));
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    };
    stream.set_nonblocking(true)?;
    let mut heard = Vec::new();
    let mut buf = [0; 3];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => heard.extend_from_slice(&buf[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    client.join().unwrap()?;
    seen.push(String::from_utf8(heard)?);
    Ok(seen)
}

/// A service by UDP, with a client that is connected and one that is not.
pub(super) fn questions_by_datagram() -> Seen {
    let service = UdpSocket::bind("127.0.0.1:0")?;
    let addr: SocketAddr = service.local_addr()?;
    let server = thread::spawn(move || -> io::Result<usize> {
        let (mut buf, mut total) = ([0; 512], 0);
        loop {
            let (n, from) = service.recv_from(&mut buf)?;
            if n == 0 {
                return Ok(total);
            }
            total += n;
            buf[..n].reverse();
            service.send_to(&buf[..n], from)?;
        }
    });
    let client = UdpSocket::bind(("127.0.0.1", 0))?;
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.send_to(b"stressed", addr)?;
    let (mut buf, mut seen) = ([0; 512], Vec::new());
    let (n, from) = client.recv_from(&mut buf)?;
    seen.push(format!("{} {}", String::from_utf8_lossy(&buf[..n]), from == addr));
    client.connect(addr)?;
    client.send(b"drawer")?;
    let peeked = client.peek(&mut buf)?;
    let n = client.recv(&mut buf)?;
    seen.push(format!("{} {}", String::from_utf8_lossy(&buf[..n]), peeked == n));
    client.send(&[])?;
    seen.push(server.join().unwrap()?.to_string());
    Ok(seen)
}
