//! One coroutine per client, in blocking style: what dormouse is for.

use std::io::{self, Read, Write};

use dormouse::net::{TcpListener, TcpStream};
use dormouse::thread;

use crate::options::Options;

pub(crate) fn serve(options: &Options) -> io::Result<()> {
    dormouse::Builder::new().workers(options.workers).stack_size(options.stack).run(accept)?
}

fn accept() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    super::announce(listener.local_addr()?)?;
    loop {
        let (client, _) = listener.accept()?;
        thread::spawn(move || echo(client));
    }
}

fn echo(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..length])?;
    }
}
