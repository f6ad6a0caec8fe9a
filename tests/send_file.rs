//! `send_file`: the bytes of any kind of file, from any offset, to streams of any kind; what is refused goes another way, and
//! what cannot go is an error with nothing sent.

#[path = "net_support/mod.rs"]
mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use support::{Channel, Directory, Random, Setting, bounded, expires, fds, in_three_settings, ms, run, settle};

/// One at a time: descriptors are counted.
static COUNTING: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn one_at_a_time() -> std::sync::MutexGuard<'static, ()> {
    COUNTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

fn bytes(count: usize) -> Vec<u8> {
    let mut random = Random(count as u64 | 1);
    (0..count).map(|_| random.below(256) as u8).collect()
}

fn file_of(path: &Path, contents: &[u8]) -> File {
    std::fs::write(path, contents).unwrap();
    File::open(path).unwrap()
}

/// Sends, and gives what was said of it and what arrived.
fn sent(
    setting: Setting,
    stream: impl Into<Sender>,
    mut peer: impl Read + Send + 'static,
    file: &File,
    range: (u64, u64),
) -> (io::Result<u64>, Vec<u8>) {
    let (stream, file) = (stream.into(), file.try_clone().unwrap());
    let sender = setting.server(move || match stream {
        Sender::Tcp(stream) => stream.send_file(&file, range.0, range.1),
        Sender::Unix(stream) => stream.send_file(&file, range.0, range.1),
    });
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    (sender.join(), received)
}

enum Sender {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Sender {
    fn from(stream: TcpStream) -> Sender {
        Sender::Tcp(stream)
    }
}

impl From<UnixStream> for Sender {
    fn from(stream: UnixStream) -> Sender {
        Sender::Unix(stream)
    }
}

#[test]
fn every_range_of_a_file_arrives_on_disk_and_in_memory() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        let disk = Directory::new();
        let memory = format!("/dev/shm/dormouse-{}-{setting:?}", std::process::id());
        for size in [0usize, 1, 4096, 4097, 700_000] {
            let contents = bytes(size);
            for path in [disk.join("file"), memory.clone().into()] {
                let mut file = file_of(&path, &contents);
                file.seek(SeekFrom::Start(7)).unwrap();
                let end = size as u64;
                for range in
                    [(0, u64::MAX), (0, end), (0, end / 2), (end / 2, end), (end, 5), (end + 9, 5), (1 << 50, 5)]
                {
                    let from = size.min(range.0 as usize);
                    let expected = &contents[from..size.min(from.saturating_add(range.1 as usize))];
                    let (one, two) = tcp_pair();
                    let (count, received) = sent(setting, one, two, &file, range);
                    assert_eq!(count.unwrap(), expected.len() as u64, "{path:?} of {size}, {range:?}");
                    assert!(received == expected, "{path:?} of {size}, {range:?}");
                    let (one, two) = UnixStream::pair().unwrap();
                    let (count, received) = sent(setting, one, two, &file, range);
                    assert_eq!(count.unwrap(), expected.len() as u64, "{path:?} of {size}, {range:?}");
                    assert!(received == expected, "{path:?} of {size}, {range:?}");
                }
                assert_eq!(file.stream_position().unwrap(), 7, "the cursor stays");
            }
        }
        std::fs::remove_file(memory).unwrap();
    });
}

#[test]
fn what_sendfile_refuses_is_read_and_written() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        for path in ["/proc/self/status", "/proc/cpuinfo", "/proc/self/limits", "/proc/self/cmdline"] {
            let (file, mut expected) = (File::open(path).unwrap(), Vec::new());
            file.try_clone().unwrap().read_to_end(&mut expected).unwrap();
            let (one, two) = tcp_pair();
            let (count, received) = sent(setting, one, two, &file, (0, u64::MAX));
            assert_eq!(count.unwrap(), received.len() as u64);
            match path {
                // Its figures change.
                "/proc/self/status" => assert_eq!(received[..5], *b"Name:"),
                "/proc/cpuinfo" => assert_eq!(received[..9], expected[..9]),
                _ => assert_eq!(received, expected, "{path}"),
            }
        }
    });
}

#[test]
fn a_stream_that_others_know_sends_too_and_keeps_its_mode() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        let directory = Directory::new();
        let contents = bytes(900_000);
        let file = file_of(&directory.join("file"), &contents);
        for given in [false, true] {
            let (one, mut two) = tcp_pair();
            let stranger = std::net::TcpStream::from(one.as_fd().try_clone_to_owned().unwrap());
            let one = if given { TcpStream::from(std::net::TcpStream::from(one)) } else { one };
            let source = file.try_clone().unwrap();
            let sender = setting.server(move || one.send_file(&source, 3, u64::MAX));
            let mut received = vec![0; contents.len() - 3];
            two.read_exact(&mut received).unwrap();
            assert!(!is_nonblocking(&stranger));
            assert!(received == contents[3..]);
            assert_eq!(sender.join().unwrap(), received.len() as u64);
        }
    });
}

fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    // SAFETY: takes no argument.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

#[test]
fn a_stream_gets_its_mode_back_when_it_is_shown() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        let directory = Directory::new();
        let file = file_of(&directory.join("file"), b"contents");
        let (one, mut two) = tcp_pair();
        let one = setting.server(move || one.send_file(&file, 0, 8).map(|_| one)).join().unwrap();
        two.read_exact(&mut [0; 8]).unwrap();
        let raw = fd_of(&one);
        assert!(is_nonblocking(&raw), "as long as nobody knows");
        one.set_nonblocking(false).unwrap();
        assert!(is_nonblocking(&raw));
        assert!(!is_nonblocking(&one.as_fd()));
        let std = std::net::TcpStream::from(one);
        assert!(!is_nonblocking(&std));
    });
}

/// The number that `Debug` shows, which lends nothing.
fn fd_of(stream: &TcpStream) -> i32 {
    let text = format!("{stream:?}");
    text.rsplit("fd: ").next().unwrap().trim_end_matches(" }").parse().unwrap()
}

#[test]
fn what_is_no_readable_file_is_an_error_and_nothing_is_sent() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        let directory = Directory::new();
        let path = directory.join("file");
        std::fs::write(&path, b"contents").unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"in the pipe").unwrap();
        let cases: [(File, u64, i32); 4] = [
            (File::options().write(true).open(&path).unwrap(), 0, libc::EBADF),
            (File::from(OwnedFd::from(reader)), 0, libc::ESPIPE),
            (File::open(directory.path()).unwrap(), 0, libc::EISDIR),
            (File::open(&path).unwrap(), u64::MAX, libc::EINVAL),
        ];
        for (file, offset, errno) in cases {
            let (one, two) = tcp_pair();
            let (answer, received) = sent(setting, one, two, &file, (offset, 8));
            assert_eq!(answer.unwrap_err().raw_os_error(), Some(errno));
            assert!(received.is_empty());
        }
    });
}

#[test]
fn nothing_is_asked_of_a_file_for_no_bytes() {
    let (one, _two) = UnixStream::pair().unwrap();
    assert_eq!(one.send_file(&io::stderr(), 0, 0).unwrap(), 0);
}

#[test]
fn a_peer_that_does_not_read_holds_it_up_until_the_timeout_and_the_count_is_told() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        let directory = Directory::new();
        let contents = bytes(20_000_000);
        let file = file_of(&directory.join("file"), &contents);
        let (one, mut two) = tcp_pair();
        one.set_write_timeout(Some(ms(50))).unwrap();
        let source = file.try_clone().unwrap();
        let told = Channel::new();
        let full = Arc::clone(&told);
        let sender = setting.server(move || {
            let first = one.send_file(&source, 0, u64::MAX).unwrap();
            assert!(0 < first && first < 20_000_000, "{first}");
            // Whatever room the kernel found since.
            let mut total = first;
            while let Ok(more) = one.send_file(&source, total, u64::MAX) {
                total += more;
            }
            expires(ms(50), || one.send_file(&source, total, u64::MAX));
            one.set_write_timeout(None).unwrap();
            full.send(());
            (total, one.send_file(&source, total, u64::MAX).unwrap())
        });
        let reader = setting.client(move || {
            told.recv();
            let mut received = Vec::new();
            two.read_to_end(&mut received).unwrap();
            received
        });
        let (before, after) = sender.join();
        assert_eq!(before + after, 20_000_000);
        assert!(reader.join() == contents);
    });
}

#[test]
fn a_user_who_wants_no_waiting_gets_what_there_is_room_for() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        let directory = Directory::new();
        let file = file_of(&directory.join("file"), &bytes(20_000_000));
        let (one, _two) = tcp_pair();
        one.set_nonblocking(true).unwrap();
        let sender = setting.server(move || {
            let count = one.send_file(&file, 0, u64::MAX).unwrap();
            assert!(0 < count && count < 20_000_000, "{count}");
            let mut last = Ok(0);
            while last.is_ok() {
                last = one.send_file(&file, count, u64::MAX);
            }
            assert_eq!(last.unwrap_err().kind(), ErrorKind::WouldBlock);
        });
        sender.join();
    });
}

#[test]
fn a_reset_in_the_middle_ends_it_with_the_count_and_then_with_the_error() {
    let _alone = one_at_a_time();
    in_three_settings(|setting| {
        let directory = Directory::new();
        let file = file_of(&directory.join("file"), &bytes(20_000_000));
        let (one, mut two) = tcp_pair();
        let sender = setting.server(move || {
            let count = one.send_file(&file, 0, u64::MAX).unwrap();
            assert!((100_000..20_000_000).contains(&count), "{count}");
            one.send_file(&file, count, u64::MAX).unwrap_err().kind()
        });
        two.read_exact(&mut vec![0; 100_000]).unwrap();
        two.set_linger(Some(ms(0))).unwrap();
        drop(two);
        let kind = sender.join();
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
    });
}

#[test]
fn a_cancelled_one_leaves_nothing_open_and_its_stream_usable() {
    let _alone = one_at_a_time();
    bounded(|| {
        let directory = Directory::new();
        let contents = bytes(20_000_000);
        let file = file_of(&directory.join("file"), &contents);
        let before = fds();
        run(|| {
            let (one, mut two) = tcp_pair();
            let clone = one.try_clone().unwrap();
            let source = file.try_clone().unwrap();
            let sender = dormouse::spawn(move || clone.send_file(&source, 0, u64::MAX));
            two.read_exact(&mut vec![0; 1_000_000]).unwrap();
            settle();
            sender.cancel();
            assert!(sender.join().unwrap_err().is::<dormouse::Cancelled>());
            let reader = dormouse::spawn(move || {
                let mut rest = Vec::new();
                two.read_to_end(&mut rest).unwrap();
                rest
            });
            (&one).write_all(b"the end").unwrap();
            drop(one);
            let rest = reader.join().unwrap();
            let (file, end) = rest.split_at(rest.len() - 7);
            assert_eq!(end, b"the end");
            assert!(file == &contents[1_000_000..1_000_000 + file.len()], "in order, as far as it came");
        });
        assert_eq!(fds(), before);
    });
}
