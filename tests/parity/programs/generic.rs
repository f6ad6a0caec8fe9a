//! Code that is generic over sockets and over what names them.

use super::super::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use super::super::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use super::super::os::unix::net::UnixStream;
use super::super::thread;
use super::Seen;
use socket2::{Domain, Socket, Type};
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::time::Duration;
use std::{iter, option, slice};

/// Whatever can be read and written.
trait Stream: Read + Write + Debug + Send {}
impl<T: Read + Write + Debug + Send> Stream for T {}

fn say(stream: &mut (impl Write + ?Sized), words: &[&str]) -> io::Result<()> {
    words.iter().try_for_each(|word| stream.write_all(word.as_bytes()))
}

/// Streams of two families, as trait objects.
pub(super) fn any_stream() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (unix, unix_peer) = UnixStream::pair()?;
    let tcp = TcpStream::connect(listener.local_addr()?)?;
    let ends: Vec<(Box<dyn Stream>, Box<dyn Stream>)> =
        vec![(Box::new(tcp), Box::new(listener.accept()?.0)), (Box::new(unix), Box::new(unix_peer))];
    let mut seen = Vec::new();
    for (mut near, mut far) in ends {
        let said = thread::spawn(move || say(&mut *near, &["to ", "whom ", "it may concern"]));
        let mut heard = String::new();
        far.read_to_string(&mut heard)?;
        said.join().unwrap()?;
        seen.push(heard);
    }
    Ok(seen)
}

/// As a library has it that takes whatever std takes.
fn knock<A>(addr: A, timeout: Option<Duration>) -> io::Result<SocketAddr>
where
    A: ToSocketAddrs,
{
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "nobody to knock at");
    for addr in addr.to_socket_addrs()? {
        let stream = match timeout {
            Some(timeout) => TcpStream::connect_timeout(&addr, timeout),
            None => TcpStream::connect(addr),
        };
        match stream {
            Ok(stream) => return stream.peer_addr(),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A name that stands for several addresses.
struct Service<'a> {
    replicas: &'a [SocketAddr],
}

impl<'a> ToSocketAddrs for Service<'a> {
    type Iter = iter::Copied<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.replicas.iter().copied())
    }
}

/// Names of all types that std takes, by value and by reference.
#[allow(clippy::needless_borrows_for_generic_args, reason = "whether it takes references is the question")]
pub(super) fn whatever_names_a_peer() -> Seen {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let port = addr.port();
    let text = addr.to_string();
    let v4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let knocks = [
        knock(addr, None),
        knock(&addr, Some(Duration::from_secs(10))),
        knock(&&addr, None),
        knock(v4, None),
        knock((Ipv4Addr::LOCALHOST, port), None),
        knock((IpAddr::V4(Ipv4Addr::LOCALHOST), port), None),
        knock(("127.0.0.1", port), None),
        knock(("127.0.0.1".to_owned(), port), None),
        knock(text.as_str(), None),
        knock(&text, None),
        knock(text.clone(), None),
        knock(&[addr][..], None),
        knock(&vec![addr][..], None),
        knock(("localhost", port), None),
    ];
    let mut seen: Vec<_> = knocks.into_iter().map(|peer| Ok((peer? == addr).to_string())).collect::<io::Result<_>>()?;
    let none: &[SocketAddr] = &[];
    seen.push(format!("{:?}", knock(none, None).unwrap_err().kind()));
    let v6: option::IntoIter<SocketAddr> = (Ipv6Addr::LOCALHOST, 80).to_socket_addrs()?;
    seen.push(format!("{:?}", v6.collect::<Vec<_>>()));
    Ok(seen)
}

/// An address that refuses as long as the socket lives: bound, but not listening.
fn refused() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let addr = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((socket, addr))
}

/// A name of one's own, for each kind of socket that takes one: the first replica is not there.
pub(super) fn a_service_of_ones_own() -> Seen {
    let (_refuses, gone) = refused()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let there = listener.local_addr()?;
    let service = Service { replicas: &[gone, there] };
    let stream = TcpStream::connect(&service)?;
    let mut seen = vec![(stream.peer_addr()? == there).to_string()];
    seen.push((knock(service, None)? == there).to_string());
    let any = Service { replicas: &["127.0.0.1:0".parse()?] };
    let (one, other) = (UdpSocket::bind(&any)?, UdpSocket::bind(&any)?);
    let sent = one.send_to(b"hi", Service { replicas: &[other.local_addr()?] })?;
    other.connect(Service { replicas: &[one.local_addr()?] })?;
    seen.push(format!("{sent} {}", other.recv(&mut [0; 8])?));
    Ok(seen)
}

fn peer_of(text: &str) -> Result<SocketAddr, AddrParseError> {
    text.parse()
}

fn visit(text: &str) -> Result<TcpStream, Box<dyn std::error::Error + Send + Sync>> {
    let addr = peer_of(text)?;
    let port = addr.port().checked_sub(1).ok_or("no such port")?;
    Ok(TcpStream::connect((addr.ip(), port + 1))?)
}

/// Errors of several types, by one `?`.
pub(super) fn errors_by_question_mark() -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let mut seen = vec![visit(&addr.to_string())?.peer_addr()?.ip().to_string()];
    let (_refuses, gone) = refused()?;
    for text in ["localhost", "127.0.0.1:0", &gone.to_string()] {
        seen.push(visit(text).unwrap_err().to_string());
    }
    Ok(seen)
}
