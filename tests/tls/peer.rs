//! A server to talk to, and a client that trusts it: `rustls` over std's streams.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use clap::Parser;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::example::{self, Options, Summary};
use crate::served::Served;

pub(crate) type Server = Served<Summary>;
pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

/// The server's certificate and its key.
fn identity() -> &'static CertifiedKey<KeyPair> {
    static IDENTITY: OnceLock<CertifiedKey<KeyPair>> = OnceLock::new();
    IDENTITY.get_or_init(|| generate_simple_self_signed(["localhost".into()]).unwrap())
}

/// A server that the clients here trust.
pub(crate) fn start(arguments: &[&str]) -> Server {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    // ORDERING: Relaxed: each call gets a number of its own, and nothing else is told by it.
    let number = STARTED.fetch_add(1, Relaxed);
    let place = std::env::temp_dir().join(format!("dormouse-tls-{}-{number}", std::process::id()));
    let (cert, key) = (place.with_extension("cert"), place.with_extension("key"));
    std::fs::write(&cert, identity().cert.pem()).unwrap();
    std::fs::write(&key, identity().signing_key.serialize_pem()).unwrap();
    let certificate = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let server = start_with(&[&certificate, arguments].concat());
    // It has read them before it listened.
    std::fs::remove_file(&cert).unwrap();
    std::fs::remove_file(&key).unwrap();
    server
}

pub(crate) fn start_with(arguments: &[&str]) -> Server {
    let options = options(arguments);
    Served::start(move |ready, stop| example::run(&options, ready, stop))
}

pub(crate) fn options(arguments: &[&str]) -> Options {
    let fixed = ["tls", "--addr", "127.0.0.1:0", "--workers", "2"];
    Options::parse_from(fixed.iter().chain(arguments))
}

/// A client that has not said anything yet.
pub(crate) fn client(server: &Server, versions: &[&'static SupportedProtocolVersion], protocols: &[&str]) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(identity().cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config =
        config.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, server.connect())
}

/// A client whose handshake is done.
pub(crate) fn connected(server: &Server) -> Client {
    let mut client = client(server, BOTH, &[]);
    // TLS 1.3 lets a client end its handshake before the server has.
    assert_eq!(echoed(&mut client, b"hello"), b"hello");
    client
}

/// What comes back for these bytes, as many.
pub(crate) fn echoed(client: &mut Client, bytes: &[u8]) -> Vec<u8> {
    client.write_all(bytes).unwrap();
    client.flush().unwrap();
    let mut back = vec![0; bytes.len()];
    client.read_exact(&mut back).unwrap();
    back
}

/// All until the server says that it is all.
pub(crate) fn rest(client: &mut Client) -> Vec<u8> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    rest
}

/// Says that this is all.
pub(crate) fn end(client: &mut Client) {
    client.conn.send_close_notify();
    client.flush().unwrap();
}
