//! A TCP echo server in plain blocking style: one coroutine per client.
use clap::Parser;
use dormouse::net::{TcpListener, TcpStream};
use std::io::{Read, Result, Write};

#[derive(Parser)]
struct Options {
    #[arg(long, default_value = "127.0.0.1:7000")]
    addr: String,
    #[arg(long, default_value_t = 1)]
    workers: usize,
    #[arg(long, default_value = "64K", value_parser = |s: &str| s.trim_end_matches('K').parse::<usize>())]
    stack: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = dormouse::Builder::new().workers(options.workers);
    runtime.stack_size(options.stack * 1024).run(|| {
        let listener = TcpListener::bind(&options.addr)?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            match listener.accept() {
                Ok((client, _)) => drop(dormouse::spawn(move || echo(client))),
                Err(error) => eprintln!("accept: {error}"),
            }
        }
    })?
}

fn echo(mut client: TcpStream) -> Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    loop {
        match client.read(&mut buffer)? {
            0 => return Ok(()),
            n => client.write_all(&buffer[..n])?,
        }
    }
}
