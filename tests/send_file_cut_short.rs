//! `send_file` that is cut short, or has to change its way in between: no byte twice, none left out, and the count is right.

mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use dormouse::{spawn, time};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use support::{Random, bounded, eventually, run};

const SOON: Duration = Duration::from_millis(5);

/// More than the kernel's buffers hold.
const MUCH: usize = 16 << 20;

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

fn bytes(count: usize) -> Vec<u8> {
    let mut random = Random(7);
    (0..count).map(|_| random.below(256) as u8).collect()
}

/// A file that no one else can name.
fn file(name: &str, contents: &[u8]) -> File {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(contents).unwrap();
    file
}

/// Runs `body` as a coroutine, and on a plain thread.
fn everywhere(body: fn()) {
    bounded(60, move || run(body));
    bounded(60, body);
}

/// Bytes that wait to be read.
fn queued(stream: &TcpStream) -> i32 {
    use std::os::fd::AsRawFd;
    let mut count = 0;
    // SAFETY: writes one int.
    unsafe { libc::ioctl(stream.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    count
}

/// A stranger is shown the stream while its peer takes nothing: what is left goes another way.
#[test]
fn a_stream_lent_in_the_middle_gets_the_whole_file() {
    fn body(starts: fn(Box<dyn FnOnce() + Send>)) {
        let contents = Arc::new(bytes(MUCH));
        let (ours, mut theirs) = tcp();
        let ours = Arc::new(ours);
        let (told, tells) = std::sync::mpsc::channel();
        starts(Box::new({
            let (ours, file) = (Arc::clone(&ours), file("lent", &contents));
            move || told.send(ours.send_file(&file, 0, u64::MAX)).unwrap()
        }));
        let mut last = -1;
        eventually(10, "nothing moves", || {
            dormouse::thread::sleep(Duration::from_millis(10));
            let now = queued(&theirs);
            now > 0 && std::mem::replace(&mut last, now) == now
        });
        let _lent = ours.as_fd();
        let mut received = vec![0; MUCH];
        theirs.read_exact(&mut received).unwrap();
        assert!(received == *contents);
        let mut count = None;
        eventually(10, "it is told", || {
            count = tells.try_recv().ok();
            count.is_some()
        });
        assert_eq!(count.unwrap().unwrap(), MUCH as u64);
    }
    bounded(60, || run(|| body(|f| drop(spawn(f)))));
    bounded(60, || body(|f| drop(std::thread::spawn(f))));
}

#[test]
fn a_count_is_right_however_it_ends_and_it_goes_on_from_there() {
    everywhere(|| {
        let contents = bytes(MUCH);
        let file = file("counted", &contents);
        let (ours, mut theirs) = tcp();
        let (offset, mut sent) = (3, 0);
        let all = MUCH as u64 - offset;
        for _ in 0..3 {
            assert!(time::timeout(SOON, || ours.send_file_counted(&file, offset, u64::MAX, &mut sent)).is_err());
            assert!((1..all).contains(&sent));
        }
        ours.set_write_timeout(Some(SOON)).unwrap();
        let error = ours.send_file_counted(&file, offset, u64::MAX, &mut sent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        ours.set_write_timeout(None).unwrap();
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).unwrap();
            received
        });
        ours.send_file_counted(&file, offset, all - 9, &mut sent).unwrap();
        assert_eq!(sent, all - 9);
        // Past the end.
        ours.send_file_counted(&file, offset, u64::MAX, &mut sent).unwrap();
        assert_eq!(sent, all);
        ours.send_file_counted(&file, offset, 5, &mut sent).unwrap();
        ours.send_file_counted(&file, offset, u64::MAX, &mut sent).unwrap();
        assert_eq!(sent, all);
        drop(ours);
        assert!(reader.join().unwrap() == contents[offset as usize..]);
    });
}

/// The same by way of a buffer.
#[test]
fn a_count_is_right_where_bytes_go_through_a_buffer() {
    everywhere(|| {
        let contents = bytes(MUCH);
        let file = file("buffered", &contents);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let _lent = ours.as_fd();
        let mut sent = 0;
        for _ in 0..3 {
            assert!(time::timeout(SOON, || ours.send_file_counted(&file, 0, u64::MAX, &mut sent)).is_err());
        }
        assert!((1..MUCH as u64).contains(&sent));
        let first = sent as usize;
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).unwrap();
            received
        });
        assert_eq!(ours.send_file(&file, sent, u64::MAX).unwrap() as usize, MUCH - first);
        drop(ours);
        assert!(reader.join().unwrap() == contents);
    });
}

#[test]
fn an_error_is_told_beside_the_count() {
    everywhere(|| {
        let file = file("reset", &bytes(MUCH));
        let (ours, theirs) = tcp();
        let mut sent = 0;
        assert!(time::timeout(SOON, || ours.send_file_counted(&file, 0, u64::MAX, &mut sent)).is_err());
        theirs.set_linger(Some(Duration::ZERO)).unwrap();
        drop(theirs);
        let before = sent;
        let error = ours.send_file_counted(&file, 0, u64::MAX, &mut sent).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
        assert_eq!(sent, before);
    });
}
