//! Sockets with paths.

use super::super::net::Shutdown;
use super::super::os::linux::net::SocketAddrExt;
use super::super::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use super::super::thread;
use super::Seen;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let module = module_path!().split("::").nth(1).unwrap_or_default();
        let name = format!("parity-{}-{module}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0)?;
        Ok(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A thread per connection, from a loop over the listener itself.
pub(super) fn echo() -> Seen {
    let folder = Folder::new()?;
    let path = folder.path("echo");
    let listener = UnixListener::bind(&path)?;
    let server = thread::spawn(move || -> io::Result<u64> {
        let mut clients = Vec::new();
        for stream in &listener {
            let stream = stream?;
            clients.push(thread::spawn(move || io::copy(&mut &stream, &mut &stream)));
            if clients.len() == 2 {
                break;
            }
        }
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    let mut seen = Vec::new();
    for name in ["first", "second"] {
        let mut stream = UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        writeln!(stream, "hello from the {name}")?;
        stream.shutdown(Shutdown::Write)?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        seen.push(line);
        seen.push((stream.peer_addr()?.as_pathname() == Some(path.as_path())).to_string());
    }
    seen.push(server.join().unwrap()?.to_string());
    Ok(seen)
}

/// Datagrams between named sockets, and from one without a name.
pub(super) fn datagrams() -> Seen {
    let folder = Folder::new()?;
    let (near, far) = (folder.path("near"), folder.path("far"));
    let one = UnixDatagram::bind(&near)?;
    let other = UnixDatagram::bind(&far)?;
    let answer = thread::spawn(move || -> io::Result<usize> {
        let mut buf = [0; 64];
        let (n, from) = other.recv_from(&mut buf)?;
        let named = other.send_to_addr(&buf[..n], &from)?;
        let (n, from) = other.recv_from(&mut buf)?;
        Ok(named + n + usize::from(from.is_unnamed()))
    });
    one.send_to(b"are you there?", &far)?;
    let mut buf = [0; 64];
    let (n, from) = one.recv_from(&mut buf)?;
    let unnamed = UnixDatagram::unbound()?;
    unnamed.connect(&far)?;
    unnamed.send(b"psst")?;
    let text = String::from_utf8(buf[..n].to_vec())?;
    Ok(vec![text, (from.as_pathname() == Some(Path::new(&far))).to_string(), answer.join().unwrap()?.to_string()])
}

/// Two ends without a path.
pub(super) fn pairs() -> Seen {
    let (mut near, far) = UnixStream::pair()?;
    let (left, right) = UnixDatagram::pair()?;
    let relay = thread::spawn(move || -> io::Result<usize> {
        let mut text = Vec::new();
        { far }.read_to_end(&mut text)?;
        left.send(&text)
    });
    near.write_all(b"through two pairs")?;
    drop(near);
    let mut buf = [0; 64];
    let n = right.recv(&mut buf)?;
    let relayed = relay.join().unwrap()?;
    // The other end went with the thread.
    let closed = right.send(b"x").map_err(|error| error.kind());
    Ok(vec![String::from_utf8(buf[..n].to_vec())?, relayed.to_string(), format!("{closed:?}")])
}

/// Sockets with a path, without a name, and with a name that is no path.
pub(super) fn addresses() -> Seen {
    let folder = Folder::new()?;
    let by_path = SocketAddr::from_pathname(folder.path("listener"))?;
    let listener = UnixListener::bind_addr(&by_path)?;
    let stream = UnixStream::connect_addr(&by_path)?;
    let (_, from) = listener.accept()?;
    let mut seen = vec![format!("{from:?}"), format!("{:?}", stream.local_addr()?)];
    let name = format!("dormouse parity {} {}", std::process::id(), module_path!());
    let abstracted = SocketAddr::from_abstract_name(name.as_bytes())?;
    let service = UnixDatagram::bind_addr(&abstracted)?;
    let client = UnixDatagram::unbound()?;
    client.connect_addr(&abstracted)?;
    client.send(b"by name")?;
    seen.push(service.recv(&mut [0; 16])?.to_string());
    seen.push((client.peer_addr()?.as_abstract_name() == Some(name.as_bytes())).to_string());
    Ok(seen)
}
