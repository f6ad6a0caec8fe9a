//! Crates and readers that know nothing of dormouse, over its streams: they are generic in `Read` and `Write`, and so it is
//! enough that these are as std's.

mod support;

use dormouse::net::{self, TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use support::{bounded, run};
use tungstenite::Message;

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// Starts the other side.
type Starts = fn(Box<dyn FnOnce() + Send>);

/// Runs `body` in a coroutine, and on a plain thread; it starts its other side as one of the same.
fn everywhere(body: fn(Starts)) {
    bounded(60, move || run(|| body(|other| drop(dormouse::spawn(other)))));
    bounded(60, move || body(|other| drop(std::thread::spawn(other))));
}

/// What both sides of a TLS connection need.
fn configurations() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![own.cert.der().clone()], key.into()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

#[test]
fn rustls_owns_a_stream() {
    everywhere(|starts| {
        let (client, server) = tcp();
        let (server_config, client_config) = configurations();
        starts(Box::new(move || {
            let connection = ServerConnection::new(server_config).unwrap();
            let mut stream = StreamOwned::new(connection, server);
            let mut line = String::new();
            let mut reader = std::io::BufReader::new(&mut stream);
            reader.read_line(&mut line).unwrap();
            stream.write_all(line.to_uppercase().as_bytes()).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }));
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(client_config, name).unwrap(), client);
        stream.write_all(b"through tls\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "THROUGH TLS\n");
    });
}

/// A timeout of the stream is an error that leaves the connection as it was.
#[test]
fn rustls_goes_on_after_a_timeout() {
    everywhere(|starts| {
        let (client, server) = tcp();
        let (server_config, client_config) = configurations();
        let (go, goes) = net_channel();
        starts(Box::new(move || {
            let mut stream = StreamOwned::new(ServerConnection::new(server_config).unwrap(), server);
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            (&goes).read_exact(&mut [0]).unwrap();
            stream.write_all(b"late").unwrap();
            stream.flush().unwrap();
        }));
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(client_config, name).unwrap(), client);
        stream.write_all(b"?").unwrap();
        stream.sock.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut answer = [0; 4];
        assert_eq!(stream.read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.sock.set_read_timeout(None).unwrap();
        (&go).write_all(b"!").unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"late");
    });
}

/// Tells the other side to go on, from whatever either is.
fn net_channel() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// Over references, so that the streams stay their owner's: one coroutine could read while another writes.
#[test]
fn tungstenite_borrows_a_stream() {
    everywhere(|starts| {
        let (client, server) = tcp();
        starts(Box::new(move || {
            let mut socket = tungstenite::accept(&server).unwrap();
            loop {
                match socket.read() {
                    Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
                    Ok(_) => {}
                    Err(error) => {
                        return assert!(matches!(error, tungstenite::Error::ConnectionClosed), "{error}");
                    }
                }
            }
        }));
        let (mut socket, response) = tungstenite::client("ws://localhost/", &client).unwrap();
        assert_eq!(response.status(), 101);
        for message in [Message::text("a text"), Message::binary(vec![7; 300_000])] {
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        assert!(client.peer_addr().is_ok(), "it is still the caller's");
    });
}

/// Std's own and ours, on the two directions of one stream.
#[test]
fn buffers_of_either_kind_share_a_stream() {
    everywhere(|starts| {
        let (client, server) = tcp();
        starts(Box::new(move || {
            let server = Arc::new(server);
            let (mut reader, mut writer) = (net::BufReader::new(&server), net::BufWriter::new(Arc::clone(&server)));
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 0 {
                writer.write_all(line.as_bytes()).unwrap();
                line.clear();
                if reader.buffer().is_empty() {
                    writer.flush().unwrap();
                }
            }
            assert_eq!(reader.take(5).read(&mut [0; 9]).unwrap(), 0);
            writer.write_all(b"the end\n").unwrap();
        }));
        let (mut reader, mut writer) = (std::io::BufReader::new(&client), std::io::BufWriter::new(&client));
        for number in 0..1_000 {
            writeln!(writer, "{number}").unwrap();
        }
        writer.flush().unwrap();
        client.shutdown(net::Shutdown::Write).unwrap();
        let lines: Vec<_> = reader.by_ref().lines().map(Result::unwrap).collect();
        assert!(lines.iter().take(1_000).enumerate().all(|(number, line)| *line == number.to_string()));
        assert_eq!(lines[1_000..], ["the end"]);
    });
}
