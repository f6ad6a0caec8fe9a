//! What the server proves with who it is, and how it talks.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::options::Options;

/// What a certificate that is made here is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The certificate, those that vouch for it, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// How all connections are set up.
pub(crate) fn config(options: &Options) -> io::Result<Arc<ServerConfig>> {
    let (chain, key) = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => read(cert, key)?,
        _ => make()?,
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(io::Error::other)?;
    if options.https {
        config.alpn_protocols.push(b"http/1.1".to_vec());
    }
    Ok(Arc::new(config))
}

fn read(cert: &Path, key: &Path) -> io::Result<Identity> {
    let told = |path: &Path, error: pem::Error| io::Error::other(format!("{}: {error}", path.display()));
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|error| told(cert, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| told(key, error))?;
    Ok((chain, key))
}

/// Nobody vouches for it: clients have to be told to trust it, or not to ask.
fn make() -> io::Result<Identity> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(NAMES.map(String::from)).map_err(io::Error::other)?;
    log::info!("no --cert: made a certificate for {}, which nobody vouches for", NAMES.join(", "));
    Ok((vec![cert.der().clone()], PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into()))
}
