use super::*;
use std::cell::Cell;

fn pair() -> (Socket, std::os::unix::net::UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    (Socket::data(ours.into()), theirs)
}

#[test]
fn a_socket_is_small() {
    assert!(size_of::<Socket>() <= 24);
}

#[test]
fn retries_after_a_wait_and_after_an_interruption() {
    let (socket, _peer) = pair();
    let answers = Cell::new(0);
    let answer = socket.retry(Interest::Write, |_| {
        answers.set(answers.get() + 1);
        match answers.get() {
            1 | 4 => Err(io::ErrorKind::Interrupted.into()),
            2 | 3 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    });
    assert_eq!(answer.unwrap(), 5);
}

#[test]
fn a_deadline_covers_spurious_wake_ups() {
    let (socket, _peer) = pair();
    let limit = Duration::from_millis(30);
    socket.set_timeout(Interest::Write, Some(limit)).unwrap();
    let start = Instant::now();
    // Writable, so that every wait returns at once, yet the attempt never succeeds.
    let error = socket.retry::<()>(Interest::Write, |_| Err(errno::would_block())).unwrap_err();
    assert_eq!(error.raw_os_error(), errno::would_block().raw_os_error());
    assert!(start.elapsed() >= limit);
}

#[test]
fn pauses_go_on_until_the_attempt_succeeds_or_the_deadline_passes() {
    let (socket, _peer) = pair();
    let (start, tries) = (Instant::now(), Cell::new(0));
    let answer = socket.retry_after_pauses(Interest::Write, |_| {
        tries.set(tries.get() + 1);
        if tries.get() < 4 { Err(errno::would_block()) } else { Ok(tries.get()) }
    });
    assert_eq!(answer.unwrap(), 4);
    assert!(start.elapsed() >= FIRST_PAUSE * (1 + 2 + 4));

    let limit = Duration::from_millis(30);
    socket.set_timeout(Interest::Write, Some(limit)).unwrap();
    let (start, last) = (Instant::now(), Cell::new(Duration::ZERO));
    let error = socket.retry_after_pauses::<()>(Interest::Write, |_| {
        last.set(start.elapsed());
        Err(errno::would_block())
    });
    assert_eq!(error.unwrap_err().raw_os_error(), errno::would_block().raw_os_error());
    assert!(last.get() >= limit, "the last attempt comes after the whole of the time");

    socket.set_nonblocking(true).unwrap();
    tries.set(0);
    let error = socket.retry_after_pauses::<()>(Interest::Write, |_| {
        tries.set(tries.get() + 1);
        Err(errno::would_block())
    });
    assert_eq!((error.unwrap_err().kind(), tries.get()), (io::ErrorKind::WouldBlock, 1));
}

#[test]
fn errors_of_the_attempt_pass_through() {
    let (socket, _peer) = pair();
    let error = socket.retry::<()>(Interest::Read, |_| Err(io::ErrorKind::TimedOut.into())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn only_a_linger_time_is_remembered() {
    let (socket, _peer) = pair();
    socket.set_linger(None).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    assert!(socket.description.get().is_none(), "nothing to remember");
    let clone = socket.try_clone().unwrap();
    assert!(!socket.may_linger());
    clone.set_linger(Some(Duration::from_secs(1))).unwrap();
    assert!(socket.may_linger() && closing::lingers(socket.fd()));
    socket.set_linger(None).unwrap();
    assert!(!closing::lingers(clone.fd()));
    let (foreign, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(Socket::foreign_data(foreign.into()).may_linger(), "others may have set it");
}

#[test]
fn only_sharing_is_remembered_as_sharing() {
    let (socket, _peer) = pair();
    assert!(socket.description.get().is_none());
    socket.set_nonblocking(false).unwrap();
    socket.set_timeout(Interest::Read, None).unwrap();
    assert!(socket.description.get().is_none(), "nothing to remember");
    socket.set_timeout(Interest::Read, Some(Duration::from_secs(1))).unwrap();
    assert!(!socket.description.get().unwrap().shared());
    let clone = socket.try_clone().unwrap();
    assert!(socket.description.get().unwrap().shared());
    assert!(!clone.is_lent());
    clone.lend();
    assert!(socket.is_lent());
}

/// Whoever lends it says so first, and then waits for the attempts under way.
#[test]
fn our_own_flag_is_no_wish_while_a_description_is_being_lent() {
    let (socket, _peer) = pair();
    let is_blocking = || socket.patience(Interest::Read).is_ok();
    let kernel = || mode::is_nonblocking(socket.fd()).unwrap();
    assert_eq!(socket.attempt_switched(|_| Ok(socket.description.get().unwrap().set_lent())).unwrap(), Some(()));
    assert!(kernel() && is_blocking(), "it is our flag");
    socket.set_nonblocking(true).unwrap();
    assert!(!is_blocking());
    socket.set_nonblocking(false).unwrap();
    assert!(kernel() && is_blocking());

    socket.lend();
    assert!(!kernel() && is_blocking());
    mode::set_nonblocking(socket.fd(), true).unwrap();
    assert!(!is_blocking(), "a stranger's wish");
}

#[test]
fn calls_of_any_thread_wait_on_while_a_description_is_being_lent() {
    use std::os::unix::net::UnixStream;
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let socket = Socket::data(ours.into());
    let read = || socket.retry(Interest::Read, |fd| crate::sys::transfer::recv(fd, &mut [0]));
    std::thread::scope(|scope| {
        let under_way = |_: BorrowedFd<'_>| {
            scope.spawn(|| _ = socket.lend());
            while !socket.is_lent() {
                std::thread::yield_now();
            }
            Ok(scope.spawn(read))
        };
        let reader = socket.attempt_switched(under_way).unwrap().unwrap();
        io::Write::write_all(&mut theirs, b"x").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 1);
    });
    assert!(!mode::is_nonblocking(socket.fd()).unwrap());
}
