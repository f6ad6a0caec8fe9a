//! Files leave their worker to others while they wait, and several coroutines may use one file. That they answer as
//! std's do is for `as_std.rs`.

mod fs_support;
mod support;

use dormouse::fs::{self, File, OpenOptions};
use dormouse::os::unix::fs::FileExt;
use dormouse::thread::{no_park, yield_now};
use dormouse::{Builder, spawn, spawn_local};
use fs_support::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use support::*;

#[test]
fn an_open_that_waits_for_a_peer_leaves_the_worker_to_others() {
    bounded(20, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            let path = fifo.clone();
            let reads = spawn_local(move || File::open(path)?.read_to_string(&mut String::new()));
            (0..100).for_each(|_| yield_now());
            assert!(!reads.is_finished());
            OpenOptions::new().write(true).open(&fifo).unwrap().write_all(b"hello").unwrap();
            assert_eq!(reads.join().unwrap().unwrap(), 5);
        });
    });
}

#[test]
fn a_read_that_waits_leaves_the_worker_and_the_writers_of_its_file_to_others() {
    bounded(20, || {
        let folder = Folder::new();
        let fifo = folder.fifo();
        run(|| {
            let file = Rc::new(OpenOptions::new().read(true).write(true).open(fifo).unwrap());
            let reader = Rc::clone(&file);
            let reads = spawn_local(move || {
                let mut bytes = [0; 8];
                let count = (&*reader).read(&mut bytes).unwrap();
                bytes[..count].to_vec()
            });
            (0..100).for_each(|_| yield_now());
            assert!(!reads.is_finished());
            (&*file).write_all(b"hello").unwrap();
            assert_eq!(reads.join().unwrap(), b"hello");
        });
    });
}

#[test]
fn many_coroutines_write_and_read_files_of_their_own() {
    bounded(60, || {
        let folder = Arc::new(Folder::new());
        let of_all = Arc::clone(&folder);
        let all = Builder::new().workers(2).run(move || {
            let each = |n: usize| {
                let path = of_all.join(format!("{n}"));
                spawn(move || {
                    let text = format!("{n}\n").repeat(1000 + n);
                    fs::write(&path, &text).unwrap();
                    let lines = BufReader::new(File::open(&path).unwrap()).lines();
                    let sum: usize = lines.map(|line| line.unwrap().parse::<usize>().unwrap()).sum();
                    assert_eq!(sum, n * (1000 + n));
                    fs::metadata(&path).unwrap().len()
                })
            };
            let handles: Vec<_> = (0..100).map(each).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>()
        });
        let on_disk = std::fs::read_dir(&**folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert_eq!(all.unwrap(), on_disk.sum::<u64>());
    });
}

/// From coroutines of two workers and from a thread: every record is read by one of them, whole.
#[test]
fn readers_of_one_file_take_turns() {
    bounded(60, || {
        let folder = Folder::new();
        let path = folder.join("records");
        std::fs::write(&path, (0..20_000u32).flat_map(u32::to_ne_bytes).collect::<Vec<_>>()).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let read_all = |file: Arc<File>| {
            let (mut seen, mut record) = (Vec::new(), [0; 4]);
            while (&*file).read(&mut record).unwrap() == 4 {
                seen.push(u32::from_ne_bytes(record));
            }
            seen
        };
        let shared = Arc::clone(&file);
        let thread = std::thread::spawn(move || read_all(shared));
        let seen = Builder::new().workers(2).run(move || {
            let handles: Vec<_> = (0..4).map(|_| Arc::clone(&file)).map(|file| spawn(move || read_all(file))).collect();
            handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
        });
        let mut all = seen.unwrap();
        all.extend(thread.join().unwrap());
        assert_eq!(all.len(), 20_000);
        assert_eq!(BTreeSet::from_iter(all).len(), 20_000);
    });
}

#[test]
fn appends_of_several_are_whole() {
    bounded(60, || {
        let folder = Folder::new();
        let path = folder.join("log");
        let file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        run(|| {
            let file = Arc::new(file);
            let append = |n: u32| {
                let file = Arc::clone(&file);
                spawn(move || (0..50).for_each(|_| (&*file).write_all(format!("line of {n}\n").as_bytes()).unwrap()))
            };
            let handles: Vec<_> = (0..8).map(append).collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 400);
        (0..8).for_each(|n| assert_eq!(text.lines().filter(|line| *line == format!("line of {n}")).count(), 50));
    });
}

#[test]
fn large_pieces_arrive_whole() {
    bounded(60, || {
        let folder = Folder::new();
        let path = folder.join("large");
        run(|| {
            let bytes: Vec<u8> = (0..3_000_001u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            assert!(fs::read(&path).unwrap() == bytes);
            let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let mut read = vec![0; bytes.len()];
            file.read_exact(&mut read).unwrap();
            assert!(read == bytes);
            file.rewind().unwrap();
            file.write_all(&bytes[1..]).unwrap();
            file.read_exact_at(&mut read[1..], 0).unwrap();
            assert!(read[1..] == bytes[1..]);
            file.write_all_at(&bytes, 1).unwrap();
            assert!(std::fs::read(&path).unwrap()[1..] == bytes);
        });
    });
}

#[test]
fn a_lock_is_waited_for_by_parking() {
    bounded(20, || {
        let folder = Folder::new();
        let path = folder.join("lock");
        let held = std::fs::File::create(&path).unwrap();
        held.lock().unwrap();
        run(|| {
            let waits = spawn_local(move || {
                let file = File::open(path)?;
                file.lock().map(|()| file)
            });
            (0..100).for_each(|_| yield_now());
            assert!(!waits.is_finished());
            held.unlock().unwrap();
            let file = waits.join().unwrap().unwrap();
            assert!(held.try_lock().is_err());
            file.unlock().unwrap();
            held.try_lock().unwrap();
        });
    });
}

#[test]
fn a_file_becomes_a_descriptor_and_comes_back() {
    bounded(20, || {
        let folder = Folder::new();
        let path = folder.join("file");
        std::fs::write(&path, b"abcdef").unwrap();
        run(|| {
            let mut file = File::open(&path).unwrap();
            file.read_exact(&mut [0; 2]).unwrap();
            let number = file.as_raw_fd();
            let fd = OwnedFd::from(file);
            assert_eq!(fd.as_raw_fd(), number);
            let mut file = std::fs::File::from(File::from(fd));
            file.read_exact(&mut [0; 2]).unwrap();
            // SAFETY: given away the line before.
            let mut file = unsafe { File::from_raw_fd(File::from(file).into_raw_fd()) };
            let mut rest = String::new();
            file.read_to_string(&mut rest).unwrap();
            assert_eq!((rest.as_str(), file.as_raw_fd()), ("ef", number));
        });
    });
}

#[test]
fn no_park_forbids_what_goes_to_the_pool() {
    bounded(20, || {
        run(|| {
            let caught = catch_unwind(|| no_park(|| fs::read("/proc/self/comm"))).unwrap_err();
            assert_eq!(message(&*caught), "parked inside no_park");
            let file = File::open("/proc/self/comm").unwrap();
            // The turn comes back, too.
            let _ = catch_unwind(AssertUnwindSafe(|| no_park(|| (&file).read_to_end(&mut Vec::new()))));
            let mut text = String::new();
            (&file).rewind().unwrap();
            (&file).read_to_string(&mut text).unwrap();
            assert!(text.ends_with('\n'));
        });
    });
}
