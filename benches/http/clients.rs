//! Clients of this program: a connection that asks, and reads or throws away what comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that are thrown away at a time.
const PIECE: usize = 256 * 1024;

pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time that is not zero");
        Client { stream }
    }

    /// Asks for a path, reads what comes, and gives the length of its body.
    pub(crate) fn get(&mut self, path: &str) -> u64 {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").expect("the server listens");
        let mut answer = BufReader::new(&self.stream);
        let length = read_head(&mut answer);
        discard(&mut answer, length);
        length
    }
}

/// Gives the length of the body.
fn read_head(answer: &mut impl BufRead) -> u64 {
    let (mut line, mut length) = (String::new(), None);
    answer.read_line(&mut line).expect("an answer within the time");
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        answer.read_line(&mut line).expect("an answer within the time");
        assert!(!line.is_empty(), "half a head");
        let field = line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        length = field.map(|(_, value)| value.trim_end().parse().expect("a number")).or(length);
    }
    length.expect("a Content-Length")
}

fn discard(answer: &mut impl Read, length: u64) {
    let (mut piece, mut left) = (vec![0; PIECE], length);
    while left > 0 {
        let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match answer.read(&mut piece[..most]).expect("an answer within the time") {
            0 => panic!("{left} of {length} bytes did not come"),
            count => left -= count as u64,
        }
    }
}
