//! A server to talk to, and what a client makes of what it says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::RawFd;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use dormouse::sync::mpsc;
use socket2::{Domain, Socket, Type};

use crate::example::{self, Options, Summary};

/// What nothing here takes: after that, something hangs.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A server on a thread of its own. Dropped, it is asked to end, and waited for.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<std::io::Result<Summary>>>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Server {
        let options = options(arguments);
        let (stop, stopped) = mpsc::channel();
        let (ready, address) = channel();
        let thread = thread::spawn(move || {
            example::run(
                &options,
                |address| ready.send(address).unwrap(),
                || {
                    // An error is a test that has ended.
                    let _ = stopped.recv();
                    Ok(())
                },
            )
        });
        let address = address.recv_timeout(BOUND).expect("the server does not start");
        Server { address, stop, thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// All that comes back for these bytes, if nothing else is sent.
    pub(crate) fn say(&self, bytes: &[u8]) -> Vec<u8> {
        let mut client = self.connect();
        client.send(bytes);
        client.end();
        client.rest()
    }

    /// The responses to requests with these methods.
    pub(crate) fn ask(&self, bytes: &[u8], methods: &[&str]) -> Vec<Response> {
        responses(&self.say(bytes), methods)
    }

    /// The response to one request.
    pub(crate) fn ask_one(&self, bytes: &[u8]) -> Response {
        let method = bytes.split(|byte| *byte == b' ').next().unwrap();
        let mut all = self.ask(bytes, &[str::from_utf8(method).unwrap()]);
        assert_eq!(all.len(), 1, "to {}: {all:?}", bytes.escape_ascii());
        all.remove(0)
    }

    /// Asks it to end, without waiting.
    pub(crate) fn ask_to_end(&self) {
        self.stop.send(()).unwrap();
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn ended_when_asked(self) -> Summary {
        self.ask_to_end();
        self.ended()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Summary {
        self.thread.take().unwrap().join().unwrap().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn options(arguments: &[&str]) -> Options {
    let fixed = ["http", "--addr", "127.0.0.1:0", "--workers", "2"];
    Options::parse_from(fixed.iter().chain(arguments))
}

/// The other end of a connection. Each of its reads is bounded.
pub(crate) struct Client {
    stream: TcpStream,
    /// The server's descriptor, which is one of this process.
    server: Option<RawFd>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::on(TcpStream::connect(address).unwrap())
    }

    fn on(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_write_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, server: None }
    }

    /// One that takes only a few bytes which it does not read.
    pub(crate) fn connect_small(address: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::on(socket.into())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The server may have had enough already: what it says tells more.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends bytes, and waits until the server has read them: what comes then comes as another fragment.
    pub(crate) fn send_apart(&mut self, bytes: &[u8]) {
        self.send(bytes);
        let start = Instant::now();
        while !self.is_read() {
            assert!(start.elapsed() < BOUND, "the server does not read");
            thread::yield_now();
        }
    }

    /// Whether there is something to be read.
    pub(crate) fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        peeked.is_ok()
    }

    /// Sends until the server has closed its end; gives how many bytes there was room for.
    pub(crate) fn send_until_closed(&mut self) -> usize {
        let (piece, mut sent) = (vec![b'x'; 64 * 1024], 0);
        while let Ok(count) = self.stream.write(&piece) {
            sent += count;
        }
        sent
    }

    /// Sends what is left of a body of `x`, of which so much was sent, while reading all of it.
    pub(crate) fn echo(&mut self, length: usize, sent: usize) {
        let mut writer = self.stream.try_clone().unwrap();
        let writes = thread::spawn(move || writer.write_all(&vec![b'x'; length - sent]).unwrap());
        assert!(self.exactly(length).iter().all(|byte| *byte == b'x'));
        writes.join().unwrap();
    }

    pub(crate) fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next bytes, so many of them.
    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next bytes up to the empty line behind a head.
    pub(crate) fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.extend(self.exactly(1));
        }
        String::from_utf8(bytes).unwrap()
    }

    /// All until the server ends the connection, which it must not do by a reset.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("{error} after {}", bytes.escape_ascii()));
        bytes
    }

    /// All until the connection ends, however it does.
    pub(crate) fn remains(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// Waits until the server, which was found, has closed its end.
    pub(crate) fn until_closed(&mut self) {
        let start = Instant::now();
        while self.server_end().is_some() {
            assert!(start.elapsed() < BOUND, "the server does not close");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the server, which was found, has ended what it sends, or all of it.
    pub(crate) fn until_parted(&mut self) {
        let start = Instant::now();
        while self.server_end().is_some_and(|fd| state(fd) == ESTABLISHED) {
            assert!(start.elapsed() < BOUND, "the server does not end the connection");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the connection was accepted.
    pub(crate) fn find_server(&mut self) {
        let start = Instant::now();
        while self.server.is_none() {
            assert!(start.elapsed() < BOUND, "the server does not accept");
            self.server = self.server_end();
        }
    }

    fn server_end(&self) -> Option<RawFd> {
        let own = self.stream.local_addr().unwrap();
        match self.server {
            Some(fd) => (peer(fd) == Some(own)).then_some(fd),
            None => (3..4096).find(|fd| peer(*fd) == Some(own)),
        }
    }

    /// Whether the server has read all, or has gone.
    fn is_read(&mut self) -> bool {
        if self.server.is_none() {
            self.server = self.server_end();
        }
        let Some(fd) = self.server else {
            return false;
        };
        let mut unread = 0;
        // SAFETY: writes one int; the descriptor may be any, or none.
        let asked = unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut unread) };
        asked < 0 || unread == 0 || peer(fd) != Some(self.stream.local_addr().unwrap())
    }
}

/// Of tcp(7): neither end has said that it is done.
const ESTABLISHED: u8 = 1;

/// The state of a TCP socket.
fn state(fd: RawFd) -> u8 {
    // SAFETY: all zeros are a valid value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&info) as libc::socklen_t;
    let place = (&raw mut info).cast();
    // SAFETY: writes up to `length` bytes of `info`; the descriptor may be any, or none.
    unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length) };
    info.tcpi_state
}

/// The peer's address, of an IPv4 socket.
fn peer(fd: RawFd) -> Option<SocketAddr> {
    // SAFETY: all zeros are a valid value.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: writes up to `length` bytes of `address`; the descriptor may be any, or none.
    let asked = unsafe { libc::getpeername(fd, (&raw mut address).cast(), &raw mut length) };
    let is_one = asked == 0 && address.sin_family == libc::AF_INET as libc::sa_family_t;
    let ip = std::net::Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
    is_one.then(|| SocketAddr::from((ip, u16::from_be(address.sin_port))))
}

/// What a client understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, without the date.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(other, _)| other == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice");
        value
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Response {
        assert_eq!(self.status, status, "{self:?} {}", self.body.escape_ascii());
        self
    }

    pub(crate) fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

/// Splits what a server said into responses; panics unless they are whole and nothing else.
#[track_caller]
pub(crate) fn responses(mut bytes: &[u8], methods: &[&str]) -> Vec<Response> {
    let (mut all, mut methods) = (Vec::new(), methods.iter());
    while !bytes.is_empty() {
        let length = find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {}", bytes.escape_ascii())) + 4;
        let mut response = head(str::from_utf8(&bytes[..length]).unwrap());
        bytes = &bytes[length..];
        // One that is not final belongs to the next one.
        if response.status != 100 {
            let is_head = methods.next().is_some_and(|method| *method == "HEAD");
            let has_body = !is_head && response.status != 304;
            bytes = if has_body { body(&mut response, bytes) } else { bytes };
        }
        all.push(response);
    }
    all
}

fn head(text: &str) -> Response {
    let mut lines = text.trim_end().split("\r\n");
    let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").unwrap();
    let fields = lines.map(|line| line.split_once(": ").unwrap());
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let (dates, fields): (Vec<_>, Vec<_>) = fields.partition(|(name, _)| name == "date");
    let status = status.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(dates.len(), usize::from(status != 100), "each final response has one date: {text}");
    Response { status, fields, body: Vec::new() }
}

#[track_caller]
fn body<'a>(response: &mut Response, bytes: &'a [u8]) -> &'a [u8] {
    if response.field("transfer-encoding") == Some("chunked") {
        assert_eq!(response.field("content-length"), None);
        return chunks(&mut response.body, bytes);
    }
    let Some(length) = response.field("content-length") else {
        assert!(response.closes());
        response.body = bytes.to_vec();
        return &[];
    };
    let length: usize = length.parse().unwrap();
    assert!(length <= bytes.len(), "cut short: {} of {length} bytes", bytes.len());
    response.body = bytes[..length].to_vec();
    &bytes[length..]
}

#[track_caller]
fn chunks<'a>(body: &mut Vec<u8>, mut bytes: &'a [u8]) -> &'a [u8] {
    loop {
        let line = find(bytes, b"\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        let data = &bytes[line + 2..];
        assert!(data.len() >= size + 2, "a chunk that is cut short");
        assert_eq!(&data[size..size + 2], b"\r\n");
        body.extend_from_slice(&data[..size]);
        bytes = &data[size + 2..];
        if size == 0 {
            return bytes;
        }
    }
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
