//! Either version of the server as a child process, and a client to talk to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;

use crate::{on_dormouse, on_std, support};

/// What nothing here takes: after that, something hangs.
const BOUND: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Version {
    Std,
    Dormouse,
}

/// A server in a process of its own. Dropped, it is killed.
pub(crate) struct Server {
    pub(crate) version: Version,
    pub(crate) address: SocketAddr,
    process: Child,
    console: Option<ChildStdin>,
    complaints: Option<JoinHandle<String>>,
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    input: BufReader<TcpStream>,
}

/// Has `clients` do what they do with either version, started with `options` besides the address. Then the server has to end
/// by itself when its standard input does, what they return being still there, and each of the `complaints` has to be in its
/// standard error.
///
/// `test` is the calling test: the child executes it again, and becomes the server here.
pub(crate) fn on_both<T>(test: &str, options: &str, complaints: &[&str], clients: impl Fn(&mut Server) -> T) {
    if let Some(part) = support::part(test) {
        serve(&part);
    }
    for version in [Version::Std, Version::Dormouse] {
        eprintln!("on {version:?}");
        let mut server = Server::start(test, version, options);
        let held = clients(&mut server);
        let said = server.end();
        drop(held);
        complaints
            .iter()
            .for_each(|piece| assert!(said.contains(piece), "no {piece:?} in its standard error:\n{said}"));
    }
}

/// In the child: the server of the version that is the first word of `part`.
fn serve(part: &str) -> ! {
    match part.split_whitespace().next() {
        Some("Std") => on_std::serve(on_std::Options::parse_from(part.split_whitespace())).unwrap(),
        _ => on_dormouse::serve(on_dormouse::Options::parse_from(part.split_whitespace())).unwrap(),
    }
    support::end_child();
}

impl Server {
    fn start(test: &str, version: Version, options: &str) -> Server {
        let mut command = support::child_command(test, &format!("{version:?} --addr 127.0.0.1:0 {options}"));
        let mut process = piped(&mut command).spawn().unwrap();
        let console = process.stdin.take();
        let mut stderr = process.stderr.take().unwrap();
        let complaints = thread::spawn(move || {
            let mut said = Vec::new();
            let _ = stderr.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let (ready, address) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            // The test's own name is printed before it, on the same line.
            for line in output.lines().map_while(Result::ok) {
                line.split_once("listening on ").map(|(_, address)| ready.send(address.parse().unwrap()));
            }
        });
        let address = address.recv_timeout(BOUND).expect("the server does not say where it listens");
        Server { version, address, process, console, complaints: Some(complaints) }
    }

    /// A client that has been greeted, and what it is called.
    pub(crate) fn guest(&self) -> (Client, String) {
        let mut client = Client::connect(self.address);
        let greeting = client.line().expect("a greeting");
        let name = greeting.strip_prefix("* you are ").and_then(|rest| rest.split_once(','));
        let (name, _) = name.unwrap_or_else(|| panic!("no greeting: {greeting}"));
        (client, name.to_owned())
    }

    /// A client that has taken a name; the ones in `others` are told so.
    pub(crate) fn named(&self, name: &str, others: &mut [&mut Client]) -> Client {
        let (mut client, guest) = self.guest();
        client.say(&format!("/nick {name}"));
        client.hears(&format!("* {guest} is {name}"));
        others.iter_mut().for_each(|other| other.hears(&format!("* {guest} is {name}")));
        client
    }

    /// Types a line at the server's terminal.
    pub(crate) fn type_in(&mut self, line: &str) {
        writeln!(self.console.as_mut().unwrap(), "{line}").unwrap();
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap().count()
    }

    /// Ends its input, unless it has ended already, and waits until it is gone; what it has complained about.
    fn end(&mut self) -> String {
        self.console = None;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < BOUND, "hung: its input has ended, the server has not");
            thread::sleep(Duration::from_millis(2));
        };
        let said = self.complaints.take().unwrap().join().unwrap();
        assert!(support::is_done(status), "the server ended with {status}:\n{said}");
        said
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Client {
    /// Connects, and reads nothing yet.
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, BOUND).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_write_timeout(Some(BOUND)).unwrap();
        let input = BufReader::with_capacity(256, stream.try_clone().unwrap());
        Client { stream, input }
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.send(&format!("{line}\n"));
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next line, without its end; none at the end of all.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.input.read_line(&mut line).expect("a line, or the end");
        (length > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    #[track_caller]
    pub(crate) fn hears(&mut self, line: &str) {
        assert_eq!(self.line().as_deref(), Some(line));
    }

    #[track_caller]
    pub(crate) fn hears_the_end(&mut self) {
        assert_eq!(self.line(), None);
    }

    /// Whether it is greeted before its connection ends, by whatever way.
    pub(crate) fn is_greeted(&mut self) -> bool {
        self.input.fill_buf().is_ok_and(|greeting| !greeting.is_empty())
    }

    /// Says nothing more.
    pub(crate) fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
}
