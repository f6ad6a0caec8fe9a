//! A server to talk to, and a client that says bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::Parser;
use dormouse::sync::mpsc;

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

    /// Asks it to end, and waits for that.
    pub(crate) fn ended_when_asked(mut self) -> Summary {
        self.stop.send(()).unwrap();
        self.thread.take().unwrap().join().unwrap().unwrap()
    }

    /// Asks it to end, without waiting.
    pub(crate) fn ask_to_end(&self) {
        self.stop.send(()).unwrap();
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
    let fixed = ["resp", "--addr", "127.0.0.1:0", "--workers", "2"];
    Options::parse_from(fixed.iter().chain(arguments))
}

/// The other end of a connection. Each of its reads is bounded.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_write_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The server may have had enough already: what it says tells more.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a command of these words.
    pub(crate) fn say(&mut self, words: &str) {
        let words: Vec<Vec<u8>> = words.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        self.send(&encoded(&words));
    }

    /// Sends a command of these words, and expects this answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, words: &str, answer: &str) {
        self.say(words);
        self.hears(answer);
    }

    /// Expects this to be said next.
    #[track_caller]
    pub(crate) fn hears(&mut self, answer: &str) {
        let mut heard = vec![0; answer.len()];
        self.stream.read_exact(&mut heard).unwrap_or_else(|error| panic!("{error} in place of {answer:?}"));
        assert_eq!(String::from_utf8_lossy(&heard), answer);
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).unwrap()
    }

    /// Whether something is said already.
    pub(crate) fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        peeked.is_ok()
    }

    /// All until the connection ends, however it does.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }
}

/// A command as an array of bulk strings.
pub(crate) fn encoded(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A section of INFO.
pub(crate) fn info(client: &mut Client, section: &str) -> String {
    client.say(&format!("INFO {section}"));
    let length: usize = client.line()[1..].parse().unwrap();
    let mut text = vec![0; length + 2];
    client.stream.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// Waits until so many clients wait for a list.
pub(crate) fn until_blocked(client: &mut Client, count: usize) {
    let line = format!("blocked_clients:{count}\r\n");
    crate::support::eventually(20, &line, || info(client, "clients").contains(&line));
}
