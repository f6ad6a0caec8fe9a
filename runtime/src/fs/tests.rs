//! The way by the pool, for files whose reads would else be made at once.

use super::File;
use crate::thread::{spawn_local, yield_now};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A file of ten digits, reads of which wait.
struct Digits(Rc<File>, PathBuf);

impl Digits {
    fn new() -> Digits {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dormouse-digits-{}-{number}", std::process::id()));
        std::fs::write(&path, b"0123456789").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        file.shared.cannot_try();
        Digits(Rc::new(file), path)
    }

    /// Where the cursor is, for whoever asks the kernel.
    fn cursor(&self) -> u64 {
        (&*self.0.file).stream_position().unwrap()
    }
}

impl Drop for Digits {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.1);
    }
}

#[test]
fn reads_by_the_pool_are_as_others() {
    crate::run(|| {
        let digits = Digits::new();
        let (mut file, mut bytes) = (&*digits.0, [0; 4]);
        file.read_exact(&mut bytes).unwrap();
        assert_eq!((&bytes, digits.cursor()), (b"0123", 4));
        file.write_all(b"__").unwrap();
        let mut rest = Vec::new();
        assert_eq!(file.read_to_end(&mut rest).unwrap(), 4);
        assert_eq!((&*rest, file.read(&mut bytes).unwrap()), (&b"6789"[..], 0));
        assert_eq!(std::os::unix::fs::FileExt::read_at(file, &mut bytes, 3).unwrap(), 4);
        assert_eq!(&bytes, b"3__6");
        assert_eq!(file.seek(SeekFrom::End(-1)).unwrap(), 9);
        assert_eq!(file.read(&mut bytes).unwrap(), 1);
    });
}

/// The read has been made, and the caller, who has not heard of it yet, is cancelled.
#[test]
fn a_cancelled_read_did_not_happen() {
    crate::run(|| {
        let (start, mut cancelled) = (Instant::now(), 0);
        while cancelled < 20 {
            let digits = Digits::new();
            let reader = Rc::clone(&digits.0);
            let reads = spawn_local(move || (&*reader).read(&mut [0; 4]));
            yield_now();
            // Without a yield: the worker hears of nothing.
            while digits.cursor() != 4 {
                assert!(start.elapsed() < Duration::from_secs(10), "the pool does not read");
                std::thread::yield_now();
            }
            reads.cancel();
            let Err(payload) = reads.join() else {
                // The pool was so quick that the caller heard of it in the yield.
                continue;
            };
            assert!(payload.is::<crate::Cancelled>());
            cancelled += 1;
            (&*digits.0).write_all(b"__").unwrap();
            assert_eq!(std::fs::read(&digits.1).unwrap(), b"__23456789");
        }
    });
}

/// Wherever it is struck: at any time, the cursor is where it was, or the read was told.
#[test]
fn reads_cancelled_at_random_lose_nothing() {
    crate::run(|| {
        let digits = Digits::new();
        let mut told = Vec::new();
        for round in 0..2000u32 {
            let reader = Rc::clone(&digits.0);
            let reads = spawn_local(move || {
                let mut byte = [0];
                (&*reader).read(&mut byte).map(|count| byte[..count].to_vec())
            });
            yield_now();
            (0..round * 7919 % 300).for_each(|_| std::hint::spin_loop());
            reads.cancel();
            if let Ok(read) = reads.join() {
                told.extend(read.unwrap());
            }
        }
        (&*digits.0).read_to_end(&mut told).unwrap();
        assert_eq!(told, b"0123456789");
    });
}
