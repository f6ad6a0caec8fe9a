//! Listeners: crowds of acceptors, none lost and no connection stranded, cancelled ones, and no descriptors left.
mod tcp_support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::{Builder, spawn, spawn_local, thread};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tcp_support::*;

/// Connects as std does and waits for the acceptor's byte.
fn knock(addr: SocketAddr) {
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

/// Accepts one connection and greets it.
fn greet_one(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"!").unwrap();
}

/// 100 coroutines and 10 threads that accept one connection each; then as many connections, the first half one at a
/// time, so that workers sleep in between. Each acceptor must get one, each connection an answer.
fn a_crowd_accepts(worker_count: usize, own_clones: bool) {
    run_with(worker_count, move || {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let (done, tids) = (Channel::new(), Arc::new(Mutex::new(HashSet::new())));
        let hand_out = || if own_clones { Arc::new(listener.try_clone().unwrap()) } else { Arc::clone(&listener) };
        let workers = workers(worker_count);
        for index in 0..100 {
            let (listener, done, tids) = (hand_out(), Arc::clone(&done), Arc::clone(&tids));
            workers[index % workers.len()].spawn(move || {
                tids.lock().unwrap().insert(gettid());
                greet_one(&listener);
                done.send(());
            });
        }
        for _ in 0..10 {
            let (listener, done, tid) = (hand_out(), Arc::clone(&done), Channel::new());
            let tell = Arc::clone(&tid);
            std::thread::spawn(move || {
                tell.send(gettid());
                greet_one(&listener);
                done.send(());
            });
            wait_blocked_in(tid.recv(), libc::SYS_ppoll);
        }
        workers.iter().for_each(Worker::settle);
        assert_eq!(tids.lock().unwrap().len(), worker_count);
        let (half, go_on) = (Channel::new(), Arc::clone(&done));
        let tell = Arc::clone(&half);
        std::thread::spawn(move || {
            (0..55).for_each(|_| knock(addr));
            tell.send(());
            let burst: Vec<_> = (0..55).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
            burst.into_iter().for_each(|mut stream| stream.read_exact(&mut [0]).unwrap());
        });
        half.recv();
        (0..110).for_each(|_| go_on.recv());
    });
}

#[test]
fn a_hundred_coroutines_and_ten_threads_accept_with_one_worker() {
    a_crowd_accepts(1, false);
}

#[test]
fn a_hundred_coroutines_and_ten_threads_accept_with_two_workers() {
    a_crowd_accepts(2, false);
}

#[test]
fn a_hundred_coroutines_and_ten_threads_accept_from_clones_with_two_workers() {
    a_crowd_accepts(2, true);
}

#[test]
fn acceptors_of_one_worker_are_served_in_the_order_they_came() {
    run_with(1, || {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let order = Arc::new(Mutex::new(Vec::new()));
        let acceptor = |id| {
            let (listener, order) = (Arc::clone(&listener), Arc::clone(&order));
            spawn_local(move || {
                let (_, peer) = listener.accept().unwrap();
                order.lock().unwrap().push((id, peer));
            })
        };
        let acceptors: Vec<_> = (0..10).map(acceptor).collect();
        settle();
        // The first ones one at a time, the others in one burst.
        let mut clients = Vec::new();
        for count in [1, 1, 1, 7] {
            clients.extend((0..count).map(|_| std::net::TcpStream::connect(addr).unwrap()));
            wait_until(|| order.lock().unwrap().len() == clients.len());
        }
        acceptors.into_iter().for_each(|acceptor| acceptor.join().unwrap());
        let expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).enumerate().collect();
        assert_eq!(*order.lock().unwrap(), expected);
    });
}

fn a_storm(worker_count: usize) {
    run_with(worker_count, move || {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let accepted = Arc::new(AtomicUsize::new(0));
        let workers = workers(worker_count);
        for index in 0..20 {
            let (listener, accepted) = (Arc::clone(&listener), Arc::clone(&accepted));
            workers[index % workers.len()].spawn(move || {
                for stream in listener.incoming() {
                    stream.unwrap().write_all(b"!").unwrap();
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(move || (0..400).for_each(|_| knock(addr)))).collect();
        wait_until(|| threads.iter().all(|thread| thread.is_finished()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        wait_until(|| accepted.load(Ordering::Relaxed) == 1600);
    });
}

#[test]
fn every_connection_of_a_storm_is_answered_with_one_worker() {
    a_storm(1);
}

#[test]
fn every_connection_of_a_storm_is_answered_with_two_workers() {
    a_storm(2);
}

/// Acceptors come and go, by cancellation and by timeout, while connections come in; each connection is answered by
/// whoever is left, and no later connection helps a stranded one.
fn a_storm_of_leavers(own_clones: bool) {
    run_with(2, move || {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        // Makes accepts expire now and then.
        socket2::SockRef::from(&listener.as_fd()).set_read_timeout(Some(Duration::from_millis(3))).unwrap();
        let hand_out = || if own_clones { Arc::new(listener.try_clone().unwrap()) } else { Arc::clone(&listener) };
        let workers = workers(2);
        let finished = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            let finished = Arc::clone(&finished);
            std::thread::spawn(move || {
                (0..250).for_each(|_| knock(addr));
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut random = Random(11);
        while finished.load(Ordering::Relaxed) < 2 {
            let acceptor = |index: usize, times: usize| {
                let listener = hand_out();
                workers[index % 2].spawn(move || {
                    for _ in 0..times {
                        match listener.accept() {
                            Ok((mut stream, _)) => stream.write_all(b"!").unwrap(),
                            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                        }
                    }
                })
            };
            let leavers: Vec<_> = (0..6).map(|index| acceptor(index, 100)).collect();
            let stayers: Vec<_> = (0..2).map(|index| acceptor(index, 2)).collect();
            thread::sleep(Duration::from_micros(random.below(1500)));
            leavers.iter().for_each(Task::cancel);
            stayers.into_iter().for_each(Task::join);
        }
    });
}

#[test]
fn acceptors_that_are_cancelled_or_time_out_strand_nobody() {
    a_storm_of_leavers(false);
}

#[test]
fn acceptors_of_clones_that_are_cancelled_or_time_out_strand_nobody() {
    a_storm_of_leavers(true);
}

#[test]
fn an_acceptor_that_is_cancelled_in_the_same_turn_leaves_the_connection_to_the_next() {
    run_with(1, || {
        for yields in [0, 1, 2, 3, 63, 64, 65, 66] {
            let (listener, addr) = listener();
            let listener = Arc::new(listener);
            let acceptor = |_| {
                let listener = Arc::clone(&listener);
                spawn_local(move || greet_one(&listener))
            };
            let acceptors: Vec<_> = (0..3).map(acceptor).collect();
            settle();
            let mut client = std::net::TcpStream::connect(addr).unwrap();
            (0..yields).for_each(|_| thread::yield_now());
            acceptors[0].cancel();
            settle();
            // By now somebody must have answered.
            client.set_nonblocking(true).unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn a_clone_dropped_while_others_wait_on_the_original() {
    run_with(2, || {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let workers = workers(2);
        for round in 0..20 {
            let clone = listener.try_clone().unwrap();
            let waiting = Arc::clone(&listener);
            let acceptor = workers[round % 2].spawn(move || greet_one(&waiting));
            workers[round % 2].settle();
            // Parks on the clone, is cancelled, and drops it.
            let leaver = workers[(round + 1) % 2].spawn(move || greet_one(&clone));
            workers[(round + 1) % 2].settle();
            leaver.cancel();
            workers[(round + 1) % 2].settle();
            let client = std::thread::spawn(move || knock(addr));
            acceptor.join();
            client.join().unwrap();
        }
    });
}

#[test]
fn a_listener_closed_refuses_and_its_address_is_free() {
    bounded(|| {
        run(|| {
            let (listener, addr) = listener();
            let listener = Arc::new(listener);
            let acceptor = {
                let listener = Arc::clone(&listener);
                spawn_local(move || greet_one(&listener))
            };
            settle();
            acceptor.cancel();
            assert!(acceptor.join().is_err());
            drop(Arc::into_inner(listener).unwrap());
            assert!(std::net::TcpStream::connect(addr).is_err());
            let again = TcpListener::bind(addr).unwrap();
            let acceptor = spawn_local(move || greet_one(&again));
            settle();
            let mut client = TcpStream::connect(addr).unwrap();
            client.read_exact(&mut [0]).unwrap();
            acceptor.join().unwrap();
        });
    });
}

/// Lowers RLIMIT_NOFILE of this process to so many descriptors more than there are.
fn leave_descriptors(more: usize) {
    let limit = (fds() + more) as libc::rlim_t;
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: reads one rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// Context switches and microseconds of CPU so far; needs no descriptor.
fn usage() -> (i64, i64) {
    // SAFETY: all its fields are integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: writes one rusage.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    let micros = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
    (usage.ru_nvcsw + usage.ru_nivcsw, micros(usage.ru_utime) + micros(usage.ru_stime))
}

fn serve_with_few_descriptors(workers: usize) {
    let (listener, addr) = listener();
    leave_descriptors(40);
    println!("listening {addr}");
    let errors = Arc::new(AtomicU64::new(0));
    let body = move || {
        let seen = Arc::clone(&errors);
        let listener = Arc::new(listener);
        for _ in 0..workers {
            let (listener, errors) = (Arc::clone(&listener), Arc::clone(&errors));
            spawn(move || {
                for stream in listener.incoming() {
                    match stream {
                        Ok(stream) => drop(spawn(move || echo(&stream))),
                        Err(error) => {
                            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                            errors.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        wait_until(|| seen.load(Ordering::Relaxed) > 0);
        println!("exhausted");
        // The waiting itself must not count.
        let (start, before) = (seen.load(Ordering::Relaxed), usage());
        thread::sleep(Duration::from_millis(1000));
        let (switches, micros) = (usage().0 - before.0, usage().1 - before.1);
        println!("measured {} {switches} {micros}", seen.load(Ordering::Relaxed) - start);
        let _ = done_reading();
    };
    Builder::new().workers(workers).run(body).unwrap();
}

/// Parks until the parent closes our standard input, which a plain thread waits for.
fn done_reading() -> std::io::Result<()> {
    let done = Channel::new();
    let tell = Arc::clone(&done);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        tell.send(());
    });
    done.recv();
    Ok(())
}

fn few_descriptors(name: &str, workers: usize) {
    if is_kid(name) {
        return serve_with_few_descriptors(workers);
    }
    let name = name.to_owned();
    bounded(move || {
        let mut kid = Kid::start(&name);
        let addr: SocketAddr = kid.line("listening ").parse().unwrap();
        let mut clients: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(addr).unwrap()).collect();
        kid.line("exhausted");
        let figures: Vec<u64> = kid.line("measured ").split(' ').map(|word| word.parse().unwrap()).collect();
        let [errors, switches, micros] = figures[..] else { panic!("{figures:?}") };
        // 5 + 10 + 20 + 40 + 80 ms, then every 100 ms.
        assert!((1..=40).contains(&errors), "{errors} errors in a second");
        assert!(switches < 400, "{switches} context switches in a second");
        assert!(micros < 300_000, "{micros} us of CPU in a second");
        // Those that are served make room for those that wait, until all were.
        for client in &mut clients {
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            client.write_all(b"hello").unwrap();
        }
        let start = Instant::now();
        while !clients.is_empty() {
            let mut client = clients.remove(0);
            client.read_exact(&mut [0; 5]).unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(8));
        kid.finish();
    });
}

#[test]
fn without_descriptors_one_worker_backs_off_and_serves_on() {
    few_descriptors("without_descriptors_one_worker_backs_off_and_serves_on", 1);
}

#[test]
fn without_descriptors_two_workers_back_off_and_serve_on() {
    few_descriptors("without_descriptors_two_workers_back_off_and_serve_on", 2);
}

/// The one who is woken for a connection and fails leaves it in the queue: the others must hear of it, since epoll
/// told nobody else.
#[test]
fn an_acceptor_that_fails_leaves_the_connection_to_another_worker() {
    const NAME: &str = "an_acceptor_that_fails_leaves_the_connection_to_another_worker";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(2, || {
        let (listener, addr) = listener();
        let listener = Arc::new(listener);
        let workers = workers(2);
        // One descriptor for the client, none for the server.
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let failed = Channel::new();
        for worker in &workers {
            let (listener, failed) = (Arc::clone(&listener), Arc::clone(&failed));
            worker.spawn(move || {
                let error = listener.accept().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                failed.send(());
            });
            worker.settle();
        }
        // Only now: accept(2) wants a descriptor before it looks for a connection.
        leave_descriptors(0);
        let mut spare: Vec<std::fs::File> = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            spare.push(file);
        }
        // Both workers sleep now, as far as we can tell: ours for lack of anything else to do.
        let connecting = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            client.connect(&addr.into()).unwrap();
            client
        });
        failed.recv();
        failed.recv();
        drop(spare);
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"!").unwrap();
        drop(connecting.join().unwrap());
    });
}

/// Where it may not park, it does not pause either.
#[test]
fn without_descriptors_accept_fails_inside_no_park() {
    const NAME: &str = "without_descriptors_accept_fails_inside_no_park";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    run_with(1, || {
        let (listener, addr) = listener();
        let _client = TcpStream::connect(addr).unwrap();
        leave_descriptors(0);
        let mut spare: Vec<std::fs::File> = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            spare.push(file);
        }
        let error = thread::no_park(|| listener.accept()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        drop(spare);
        thread::no_park(|| listener.accept()).unwrap();
    });
}
