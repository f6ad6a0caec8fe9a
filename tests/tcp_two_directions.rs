//! Many waiters on one stream: two directions at once, several of one direction, coroutines and plain threads.
mod tcp_support;

use dormouse::net::{Shutdown, TcpStream};
use dormouse::thread::LocalJoinHandle;
use dormouse::{spawn, spawn_local};
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;
use tcp_support::*;

fn both_directions_at_once(workers: usize) {
    const LEN: usize = 3 << 20;
    run_with(workers, || {
        let (ours, theirs) = own_pair();
        let tasks = [(ours, 1, 2), (theirs, 2, 1)].map(|(stream, sends, receives)| {
            let stream = Arc::new(stream);
            let writer = Arc::clone(&stream);
            let writer = spawn(move || {
                send_pattern(&*writer, sends, LEN, 1 << 20);
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let reader = spawn(move || {
                receive_pattern(&*stream, receives, LEN, 60_000);
                assert_eq!((&*stream).read(&mut [0]).unwrap(), 0);
            });
            [writer, reader]
        });
        tasks.into_iter().flatten().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn reader_and_writer_of_one_stream_on_one_worker() {
    both_directions_at_once(1);
}

#[test]
fn reader_and_writer_of_one_stream_on_two_workers() {
    both_directions_at_once(2);
}

#[test]
fn a_parked_writer_does_not_hold_up_the_reader_nor_the_other_way_round() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Rc::new(ours);
        let filled = fill(&ours);
        let writer = Rc::clone(&ours);
        let writer = spawn_local(move || (&*writer).write_all(&[b'w'; 1 << 20]).unwrap());
        settle();
        for round in 0..10 {
            let reader = Rc::clone(&ours);
            let reader = spawn_local(move || {
                let mut byte = [0];
                (&*reader).read_exact(&mut byte).unwrap();
                byte[0]
            });
            settle();
            peer.write_all(&[round]).unwrap();
            assert_eq!(reader.join().unwrap(), round);
        }
        assert!(!writer.is_finished());
        let reader = Rc::clone(&ours);
        let reader = spawn_local(move || (&*reader).read(&mut [0]).unwrap());
        let drain = std::thread::spawn(move || {
            let mut rest = vec![0; filled + (1 << 20)];
            peer.read_exact(&mut rest).unwrap();
            peer
        });
        writer.join().unwrap();
        assert!(!reader.is_finished());
        drop(drain.join().unwrap());
        assert_eq!(reader.join().unwrap(), 0);
    });
}

/// Who got which byte, first come first.
type Order = Rc<RefCell<Vec<(u8, u8)>>>;

/// Ten parked readers that each take one byte, and the order in which they got which.
fn ten_readers(ours: &Rc<TcpStream>) -> (Vec<LocalJoinHandle<()>>, Order) {
    let order = Rc::new(RefCell::new(Vec::new()));
    let reader = |id: u8| {
        let (ours, order) = (Rc::clone(ours), Rc::clone(&order));
        spawn_local(move || {
            let mut byte = [0];
            (&*ours).read_exact(&mut byte).unwrap();
            order.borrow_mut().push((id, byte[0]));
        })
    };
    let readers = (0..10).map(reader).collect();
    settle();
    (readers, order)
}

fn in_order() -> Vec<(u8, u8)> {
    (0..10).map(|id| (id, id)).collect()
}

#[test]
fn readers_on_one_worker_are_served_in_the_order_they_came() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Rc::new(ours);
        for _ in 0..3 {
            let (readers, order) = ten_readers(&ours);
            for byte in 0..10 {
                peer.write_all(&[byte]).unwrap();
                settle();
                assert_eq!(order.borrow().len(), usize::from(byte) + 1);
            }
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            assert_eq!(*order.borrow(), in_order());
        }
    });
}

/// One edge for all of them: each has to pass on what it leaves.
#[test]
fn one_edge_serves_all_readers_in_order() {
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Rc::new(ours);
        for _ in 0..3 {
            let (readers, order) = ten_readers(&ours);
            peer.write_all(&(0..10).collect::<Vec<u8>>()).unwrap();
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            assert_eq!(*order.borrow(), in_order());
        }
    });
}

#[test]
fn the_end_wakes_all_readers() {
    run_with(1, || {
        let (ours, peer) = pair();
        let ours = Rc::new(ours);
        let reader = |_| {
            let ours = Rc::clone(&ours);
            spawn_local(move || (&*ours).read(&mut [0; 8]).unwrap())
        };
        let readers: Vec<_> = (0..10).map(reader).collect();
        settle();
        drop(peer);
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), 0));
    });
}

/// A woken reader that finds nothing, because somebody was faster, keeps its place. How many yields there are until the
/// poller is looked at is not said; after the right number the first reader is ready, and behind us.
#[test]
fn who_was_woken_in_vain_stays_first() {
    run_with(1, || {
        for yields in 0..=65 {
            let (ours, mut peer) = pair();
            let ours = Rc::new(ours);
            let (readers, order) = ten_readers(&ours);
            peer.write_all(&[0]).unwrap();
            (0..yields).for_each(|_| dormouse::thread::yield_now());
            let stolen =
                socket2::SockRef::from(&*ours).recv_with_flags(&mut [MaybeUninit::uninit()], libc::MSG_DONTWAIT);
            settle();
            assert_eq!(order.borrow().len(), usize::from(stolen.is_err()), "after {yields} yields");
            for byte in u8::from(stolen.is_err())..10 {
                peer.write_all(&[byte]).unwrap();
                settle();
            }
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            assert_eq!(*order.borrow(), in_order(), "after {yields} yields");
        }
    });
}

#[test]
fn a_cancelled_reader_leaves_what_there_is_to_the_next() {
    run_with(1, || {
        for yields in [0, 1, 2, 3, 63, 64, 65, 66, 128] {
            let (ours, mut peer) = pair();
            let ours = Rc::new(ours);
            let (readers, order) = ten_readers(&ours);
            peer.write_all(&[0, 1, 2]).unwrap();
            (0..yields).for_each(|_| dormouse::thread::yield_now());
            readers[0].cancel();
            readers[5].cancel();
            settle();
            let got: Vec<u8> = order.borrow().iter().map(|&(_, byte)| byte).collect();
            assert_eq!(got, [0, 1, 2], "after {yields} yields");
            peer.write_all(&[3, 4, 5, 6, 7, 8, 9]).unwrap();
            settle();
            assert!(readers.iter().all(|reader| reader.is_finished()), "after {yields} yields");
        }
    });
}

#[test]
fn several_writers_of_a_full_stream_all_go_on() {
    const EACH: usize = 300_000;
    run_with(1, || {
        let (ours, mut peer) = pair();
        let ours = Rc::new(ours);
        let filled = fill(&ours);
        let writer = |letter: u8| {
            let ours = Rc::clone(&ours);
            spawn_local(move || (&*ours).write_all(&vec![letter; EACH]).unwrap())
        };
        let writers: Vec<_> = (b'0'..b'8').map(writer).collect();
        settle();
        let counts = Channel::new();
        let answer = Arc::clone(&counts);
        std::thread::spawn(move || {
            let (mut counts, mut left, mut buf) = ([0; 256], filled + 8 * EACH, vec![0; 50_000]);
            while left > 0 {
                let n = peer.read(&mut buf).unwrap();
                assert_ne!(n, 0);
                buf[..n].iter().for_each(|&letter| counts[usize::from(letter)] += 1);
                left -= n;
            }
            answer.send(counts);
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let counts = counts.recv();
        assert!((b'0'..b'8').all(|letter| counts[usize::from(letter)] == EACH));
    });
}

#[test]
fn a_reset_wakes_readers_and_writers_alike() {
    run_with(1, || {
        let (ours, peer) = pair();
        let ours = Rc::new(ours);
        fill(&ours);
        let reader = |_| {
            let ours = Rc::clone(&ours);
            spawn_local(move || (&*ours).read(&mut [0; 8]))
        };
        let writer = |_| {
            let ours = Rc::clone(&ours);
            spawn_local(move || (&*ours).write_all(&[0; 1 << 20]))
        };
        let readers: Vec<_> = (0..3).map(reader).collect();
        let writers: Vec<_> = (0..3).map(writer).collect();
        settle();
        reset(peer);
        let mut resets = 0;
        for reader in readers {
            match reader.join().unwrap() {
                Ok(n) => assert_eq!(n, 0),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    resets += 1;
                }
            }
        }
        for writer in writers {
            match writer.join().unwrap().unwrap_err().kind() {
                ErrorKind::BrokenPipe => {}
                kind => {
                    assert_eq!(kind, ErrorKind::ConnectionReset);
                    resets += 1;
                }
            }
        }
        assert_eq!(resets, 1, "the kernel reports a reset once");
    });
}

/// Coroutines of two workers and plain threads, all waiting for a byte of one stream.
fn crowd(workers: &[Worker], stream: &Arc<TcpStream>, got: &Arc<Channel<u8>>) {
    let one = |stream: Arc<TcpStream>, got: Arc<Channel<u8>>| {
        move || {
            let mut byte = [0];
            (&*stream).read_exact(&mut byte).unwrap();
            got.send(byte[0]);
        }
    };
    for _ in 0..5 {
        for worker in workers {
            worker.spawn(one(Arc::clone(stream), Arc::clone(got)));
        }
        let (tid, of) = (Channel::new(), one(Arc::clone(stream), Arc::clone(got)));
        let tell = Arc::clone(&tid);
        std::thread::spawn(move || {
            tell.send(gettid());
            of();
        });
        wait_blocked_in(tid.recv(), libc::SYS_ppoll);
    }
    workers.iter().for_each(Worker::settle);
}

#[test]
fn coroutines_of_two_workers_and_threads_on_one_stream_byte_by_byte() {
    run_with(2, || {
        let workers = workers(2);
        for _ in 0..5 {
            let (ours, mut peer) = pair();
            let (ours, got) = (Arc::new(ours), Channel::new());
            crowd(&workers, &ours, &got);
            for byte in 0..15 {
                peer.write_all(&[byte]).unwrap();
                assert_eq!(got.recv(), byte);
            }
        }
    });
}

#[test]
fn coroutines_of_two_workers_and_threads_on_one_stream_all_at_once() {
    run_with(2, || {
        let workers = workers(2);
        for _ in 0..10 {
            let (ours, mut peer) = pair();
            let (ours, got) = (Arc::new(ours), Channel::new());
            crowd(&workers, &ours, &got);
            peer.write_all(&(0..15).collect::<Vec<u8>>()).unwrap();
            let mut all: Vec<u8> = (0..15).map(|_| got.recv()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..15).collect::<Vec<u8>>());
        }
    });
}

#[test]
fn a_thread_reads_what_a_coroutine_writes_on_one_stream() {
    const LEN: usize = 2 << 20;
    bounded(|| {
        run(|| {
            let (ours, theirs) = own_pair();
            spawn(move || echo(&theirs));
            let ours = Arc::new(ours);
            let (reader, done) = (Arc::clone(&ours), Channel::new());
            let answer = Arc::clone(&done);
            std::thread::spawn(move || {
                receive_pattern(&*reader, 4, LEN, 50_000);
                answer.send(());
            });
            send_pattern(&*ours, 4, LEN, 100_000);
            done.recv();
        });
    });
}
