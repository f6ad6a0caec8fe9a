//! A server to talk to, and a client that trusts it: `rustls` over std's streams.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use clap::Parser;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::example::{self, Options, Summary};
use crate::served::Served;

pub(crate) type Server = Served<Summary>;
pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

/// A certificate, as the client trusts it and as the server reads it.
struct Identity {
    der: CertificateDer<'static>,
    cert: PathBuf,
    key: PathBuf,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("dormouse-tls-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".into()]).unwrap();
        let made = Identity { der: cert.der().clone(), cert: directory.join("cert"), key: directory.join("key") };
        std::fs::write(&made.cert, cert.pem()).unwrap();
        std::fs::write(&made.key, signing_key.serialize_pem()).unwrap();
        made
    })
}

/// A server that the clients here trust.
pub(crate) fn start(arguments: &[&str]) -> Server {
    let Identity { cert, key, .. } = identity();
    let certificate = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
    start_with(&[&certificate, arguments].concat())
}

pub(crate) fn start_with(arguments: &[&str]) -> Server {
    let fixed = ["tls", "--addr", "127.0.0.1:0", "--workers", "2"];
    let options = Options::parse_from(fixed.iter().chain(arguments));
    Served::start(move |ready, stop| example::run(&options, ready, stop))
}

/// A client that has not said anything yet.
pub(crate) fn client(server: &Server, versions: &[&'static SupportedProtocolVersion], protocols: &[&str]) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(identity().der.clone()).unwrap();
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
