//! The baseline above: the same code as `coroutine`, with `std` for `dormouse`. One OS thread per client, each with std's
//! default stack (2 MiB of address space, of which only the pages it touches are resident).

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::failure::{Failure, Shortage};

pub(crate) fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    super::announce(listener.local_addr()?)?;
    for number in 1_usize.. {
        let (client, _) = listener.accept()?;
        // Through the builder, because `spawn` panics where the system refuses the thread.
        let spawned = thread::Builder::new().spawn(move || echo(client));
        spawned.map_err(|error| refused(number, &error))?;
    }
    Ok(())
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

/// For a limit that nobody could foresee; those one can are checked before the start.
fn refused(number: usize, error: &io::Error) -> Failure {
    Failure::Shortage(vec![Shortage {
        limit: format!("some limit of threads: the system refuses number {number} ({error})"),
        need: "a thread for every connection".into(),
        possible: format!("--conns {} at this moment, or --model coroutine,epoll", number - 1),
        raise: "see ulimit -v, ulimit -u, pids.max of the cgroup, sysctl vm.max_map_count kernel.threads-max".into(),
    }])
}
