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
    let lend = |_: BorrowedFd<'_>| {
        socket.description.get().unwrap().set_lent();
        Ok(())
    };
    assert!(socket.attempt_switched(lend).unwrap().is_some());
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

/// An attempt is under way, somebody waits to take our flag back, and a third one asks, again and again.
#[test]
fn nobody_takes_our_flag_for_a_wish_while_a_description_is_being_lent() {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
    for _ in 0..50 {
        let (socket, _peer) = pair();
        let (begun, done) = (AtomicU32::new(0), AtomicBool::new(false));
        let ask = || {
            while !done.load(SeqCst) {
                begun.fetch_add(1, SeqCst);
                assert!(socket.patience(Interest::Read).is_ok(), "it is our flag");
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(ask);
            let under_way = |_: BorrowedFd<'_>| {
                let lends = scope.spawn(|| _ = socket.lend());
                while !socket.is_lent() {
                    std::thread::yield_now();
                }
                // One that asks now goes on once there is an answer, which is not before this attempt has ended.
                let before = begun.load(SeqCst);
                for _ in 0..1000 {
                    if begun.load(SeqCst) == before {
                        std::thread::yield_now();
                    }
                }
                Ok(lends)
            };
            socket.attempt_switched(under_way).unwrap().unwrap().join().unwrap();
            done.store(true, SeqCst);
        });
        assert!(!mode::is_nonblocking(socket.fd()).unwrap());
    }
}
