//! The servers that are written in Rust, each run by a process of its own. They say first of all where they listen.
//!
//! What they do and do not do is told in `http.rs`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use may_minihttp::{HttpServer, HttpService};

use crate::example;

const BODY: &str = "Hello, World!";

/// Runs a server until the process is killed.
pub(crate) fn serve(name: &str, root: Option<&str>) {
    let outcome = match name {
        "dormouse" => dormouse(root),
        "hyper" => hyper(),
        "may_minihttp" => may_minihttp(),
        _ => panic!("no server is called {name}"),
    };
    outcome.expect(name);
}

fn ready(address: SocketAddr) {
    println!("listening on {address}");
}

fn dormouse(root: Option<&str>) -> io::Result<()> {
    let arguments = ["http", "--addr", "127.0.0.1:0", "--workers", "1"];
    let root = root.into_iter().flat_map(|root| ["--root", root]);
    let options = example::Options::parse_from(arguments.into_iter().chain(root));
    example::until_asked(&options, ready).map(drop)
}

fn hyper() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        ready(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                // A client that goes away is an error.
                let _ = http1::Builder::new()
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(stream), service_fn(hello))
                    .await;
            });
        }
    })
}

async fn hello(_: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let mut response = hyper::Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(
        &mut self,
        _: may_minihttp::Request<'_, '_, '_>,
        response: &mut may_minihttp::Response<'_>,
    ) -> io::Result<()> {
        response.header("Content-Type: text/plain").body(BODY);
        Ok(())
    }
}

fn may_minihttp() -> io::Result<()> {
    // The core was chosen by whoever started this process. The stack is that of its authors' own benchmark.
    may::config().set_workers(1).set_pool_capacity(1_000).set_stack_size(0x1000).set_worker_pin(false);
    // It does not say which port it got.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let server = HttpServer(Hello).start(address)?;
    ready(address);
    server.join().map_err(|_| io::Error::other("it panicked"))
}
