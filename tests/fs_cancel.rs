//! What a cancelled call leaves of a file: nothing is lost, nothing is held, nothing is out of order. Each test has a
//! process of its own, whose threads it counts.

mod fs_support;
mod support;

use dormouse::fs::{self, File, OpenOptions};
use dormouse::os::unix::fs::OpenOptionsExt;
use dormouse::thread::yield_now;
use dormouse::{Builder, spawn, spawn_local};
use fs_support::*;
use std::cell::RefCell;
use std::io::{BufWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use support::*;

/// The end of a FIFO, opened for both so that nothing waits for a peer.
fn both_ends(fifo: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(fifo).unwrap()
}

/// A read that waits in the pool, in vain so far, and is given up by its caller.
fn give_up_a_read(file: &Rc<File>) {
    let reader = Rc::clone(file);
    let reads = spawn_local(move || (&*reader).read(&mut [0; 100]));
    eventually(5, "a thread waits in the kernel", || in_the_kernel(libc::SYS_read) > 0);
    reads.cancel();
    assert!(is_cancelled(&reads.join()));
}

/// Threads of the pool that wait in a system call of this number. See proc_pid_syscall(5).
fn in_the_kernel(call: libc::c_long) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let waits = |path: std::path::PathBuf| {
        let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap_or_default();
        read("comm").starts_with("dormouse-block") && read("syscall").split(' ').next() == Some(&call.to_string())
    };
    tasks.filter(|task| waits(task.path())).count()
}

#[test]
fn what_a_cancelled_read_gets_is_there_for_the_next() {
    let ended = child("what_a_cancelled_read_gets_is_there_for_the_next", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            let file = Rc::new(both_ends(&fifo));
            give_up_a_read(&file);
            (&*file).write_all(b"hello").unwrap();
            let mut bytes = [0; 3];
            (&*file).read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"hel");
            // What is kept belongs to the open file, not to the object.
            let mut clone = file.try_clone().unwrap();
            let mut rest = [0; 8];
            assert_eq!(clone.read(&mut rest).unwrap(), 2);
            assert_eq!(&rest[..2], b"lo");
        });
    });
    ended.succeeded();
}

#[test]
fn the_next_reader_waits_for_the_one_that_was_cancelled_and_can_be_cancelled_too() {
    let ended = child("the_next_reader_waits_for_the_one_that_was_cancelled_and_can_be_cancelled_too", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            let file = Rc::new(both_ends(&fifo));
            give_up_a_read(&file);
            for _ in 0..20 {
                let reader = Rc::clone(&file);
                let waits = spawn_local(move || (&*reader).read(&mut [0; 100]));
                yield_now();
                waits.cancel();
                assert!(is_cancelled(&waits.join()));
            }
            assert!(threads() < 10, "no thread for each of them");
            let reader = Rc::clone(&file);
            let waits = spawn_local(move || {
                let mut text = [0; 5];
                (&*reader).read_exact(&mut text).unwrap();
                text
            });
            yield_now();
            (&*file).write_all(b"hello").unwrap();
            assert_eq!(&waits.join().unwrap(), b"hello");
        });
    });
    ended.succeeded();
}

/// On a plain thread, too.
#[test]
fn a_plain_thread_finds_what_a_cancelled_read_got() {
    let ended = child("a_plain_thread_finds_what_a_cancelled_read_got", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        let mut file = run(|| {
            let file = Rc::new(both_ends(&fifo));
            give_up_a_read(&file);
            (&*file).write_all(b"hello").unwrap();
            Rc::into_inner(file).unwrap()
        });
        let mut text = [0; 5];
        file.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
    });
    ended.succeeded();
}

#[test]
fn a_cancelled_write_keeps_its_place() {
    let ended = child("a_cancelled_write_keeps_its_place", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            let file = Rc::new(both_ends(&fifo));
            // SAFETY: asks a descriptor that is open.
            let room = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETPIPE_SZ) } as usize;
            (&*file).write_all(&vec![b'a'; room]).unwrap();
            let writer = Rc::clone(&file);
            let writes = spawn_local(move || (&*writer).write(b"bbb"));
            eventually(5, "a thread waits in the kernel", || in_the_kernel(libc::SYS_write) > 0);
            writes.cancel();
            assert!(is_cancelled(&writes.join()));
            let writer = Rc::clone(&file);
            let after = spawn_local(move || (&*writer).write_all(b"ccc").unwrap());
            let mut all = vec![0; room + 6];
            (&*file).read_exact(&mut all).unwrap();
            after.join().unwrap();
            assert_eq!(&all[room..], b"bbbccc");
        });
    });
    ended.succeeded();
}

#[test]
fn a_cancelled_open_is_closed_when_it_ends() {
    let ended = child("a_cancelled_open_is_closed_when_it_ends", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            let path = fifo.clone();
            let opens = spawn_local(move || File::open(path));
            eventually(5, "a thread waits in the kernel", || in_the_kernel(libc::SYS_openat) > 0);
            opens.cancel();
            assert!(is_cancelled(&opens.join()));
            let mut writer = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
            eventually(5, "nobody reads", || {
                writer.write(b"x").is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
            });
        });
    });
    ended.succeeded();
}

#[test]
fn a_cancelled_wait_for_a_lock_leaves_it_free() {
    let ended = child("a_cancelled_wait_for_a_lock_leaves_it_free", 60, || {
        let folder = Folder::new();
        let path = folder.join("lock");
        let held = std::fs::File::create(&path).unwrap();
        run(|| {
            let file = Rc::new(File::open(&path).unwrap());
            for round in 0..50 {
                held.lock().unwrap();
                let waiter = Rc::clone(&file);
                let waits = spawn_local(move || waiter.lock());
                (0..round % 7).for_each(|_| yield_now());
                waits.cancel();
                held.unlock().unwrap();
                let joined = waits.join();
                assert!(is_cancelled(&joined));
                eventually(5, "nobody has it", || held.try_lock().is_ok());
                held.unlock().unwrap();
            }
        });
    });
    ended.succeeded();
}

#[test]
fn a_call_that_had_not_begun_is_not_made_and_the_turn_comes_back() {
    let ended = child("a_call_that_had_not_begun_is_not_made_and_the_turn_comes_back", 60, || {
        let folder = Folder::new();
        let path = folder.join("file");
        std::fs::write(&path, b"before").unwrap();
        for n in 0..100 {
            std::fs::write(folder.join(format!("entry{n}")), b"").unwrap();
        }
        run(|| {
            let file = Rc::new(OpenOptions::new().append(true).open(&path).unwrap());
            let listing = Rc::new(RefCell::new(fs::read_dir(&*folder).unwrap()));
            let open = occupy_the_pool();
            let (writer, lister, removed) = (Rc::clone(&file), Rc::clone(&listing), path.clone());
            let all = [
                spawn_local(move || drop((&*writer).write(b"never"))),
                spawn_local(move || drop(lister.borrow_mut().next())),
                spawn_local(move || drop(fs::remove_file(removed))),
            ];
            (0..10).for_each(|_| yield_now());
            all.iter().for_each(|waits| waits.cancel());
            all.into_iter().for_each(|waits| assert!(is_cancelled(&waits.join())));
            drop(open);
            (&*file).write_all(b" after").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "before after");
            assert_eq!(listing.borrow_mut().by_ref().count(), 101);
        });
    });
    ended.succeeded();
}

#[test]
fn a_file_in_the_hands_of_a_cancelled_call_can_be_given_away() {
    let ended = child("a_file_in_the_hands_of_a_cancelled_call_can_be_given_away", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            let file = Rc::new(both_ends(&fifo));
            give_up_a_read(&file);
            let fd = OwnedFd::from(Rc::into_inner(file).unwrap());
            let mut duplicate = std::fs::File::from(fd);
            duplicate.write_all(b"x").unwrap();
        });
    });
    ended.succeeded();
}

/// The end of a runtime leaks a coroutine for which the pool reads: the turn is the next one's, with what was read.
#[test]
fn what_is_read_for_a_leaked_coroutine_is_there_for_the_next() {
    let ended = child("what_is_read_for_a_leaked_coroutine_is_there_for_the_next", 30, || {
        let folder = Folder::new();
        let file = Arc::new(both_ends(&folder.fifo()));
        let leaked = Arc::clone(&file);
        let grace = Duration::from_millis(20);
        let whole = Builder::new().workers(1).shutdown_timeout(grace).run(|| {
            let reads = spawn_local(move || {
                // Nothing throws it out of a read in an unwind.
                let _on_drop = OnDrop(move || drop((&*leaked).read(&mut [0; 100])));
                dormouse::thread::park();
            });
            yield_now();
            reads.cancel();
            eventually(5, "a thread waits in the kernel", || in_the_kernel(libc::SYS_read) > 0);
        });
        whole.unwrap();
        (&*file).write_all(b"to whom it may concern").unwrap();
        let mut bytes = [0; 100];
        let count = (&*file).read(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"to whom it may concern");
    });
    ended.succeeded();
}

/// What a Drop writes while its coroutine unwinds is written.
#[test]
fn a_buffer_is_flushed_by_the_unwind() {
    let ended = child("a_buffer_is_flushed_by_the_unwind", 60, || {
        let folder = Folder::new();
        let path = folder.join("log");
        run(|| {
            let file = File::create(&path).unwrap();
            let logs = spawn_local(move || {
                let mut log = BufWriter::new(file);
                log.write_all(b"before the end").unwrap();
                dormouse::thread::park();
            });
            yield_now();
            logs.cancel();
            assert!(is_cancelled(&logs.join()));
            assert_eq!(fs::read_to_string(&path).unwrap(), "before the end");
        });
    });
    ended.succeeded();
}

#[test]
fn the_end_of_a_runtime_does_not_wait_for_a_file() {
    let ended = child("the_end_of_a_runtime_does_not_wait_for_a_file", 60, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        Builder::new()
            .workers(2)
            .shutdown_timeout(Duration::from_secs(600))
            .run(|| {
                let path = fifo.clone();
                drop(spawn(move || File::open(path)));
                let file = both_ends(&fifo);
                drop(spawn(move || (&file).read(&mut [0; 10])));
                eventually(5, "a thread waits in the kernel", || in_the_kernel(libc::SYS_read) > 0);
            })
            .unwrap();
    });
    ended.succeeded();
}
