//! Files: what std's own calls say, made by the pool's threads or at once.

use crate::pages::*;
use crate::walk::As::{Coroutine, Thread};
use crate::walk::Seen::Nothing;
use crate::walk::{Row, Strike};
use dormouse::fs::File;
use libc::*;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// A file of seven sevens that is gone with its scenario.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Scratch> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dormouse-faults-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, [7; 7])?;
        Ok(Scratch(path))
    }

    fn open(&self) -> io::Result<File> {
        File::options().read(true).write(true).open(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn opens(strike: &Strike) -> io::Result<()> {
    let scratch = Scratch::new()?;
    strike.on(|| scratch.open().map(drop));
    Ok(())
}

fn reads(strike: &Strike) -> io::Result<()> {
    let scratch = Scratch::new()?;
    let mut file = scratch.open()?;
    strike.on(|| {
        let mut bytes = [0; 7];
        file.rewind()?;
        file.read_exact(&mut bytes)?;
        assert_eq!(bytes, [7; 7]);
        Ok(())
    });
    Ok(())
}

fn writes(strike: &Strike) -> io::Result<()> {
    let scratch = Scratch::new()?;
    let mut file = scratch.open()?;
    strike.on(|| {
        file.rewind()?;
        file.write_all(&[8; 7])
    });
    assert_eq!(std::fs::read(&scratch.0)?, [8; 7]);
    Ok(())
}

fn truncates(strike: &Strike) -> io::Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.open()?;
    strike.on(|| file.set_len(3));
    assert_eq!(std::fs::read(&scratch.0)?, [7; 3]);
    Ok(())
}

fn syncs(strike: &Strike) -> io::Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.open()?;
    strike.on(|| file.sync_all());
    Ok(())
}

/// Where the file cannot be read without waiting, the pool reads it.
const BY_THE_POOL: &[i32] = &[EAGAIN, EINTR, EINVAL, EOPNOTSUPP, ENOSYS, ESPIPE, EPERM];

pub(crate) const ROWS: &[Row] = &[
    Row::new("open64", OPEN, opens).everywhere(),
    Row::new("preadv2", PREADV2, reads).only(Coroutine).but(&[(BY_THE_POOL, Nothing)]),
    Row::new("readv", READ, reads).only(Thread),
    Row::new("writev", WRITE, writes).only(Thread),
    Row::new("ftruncate64", FTRUNCATE, truncates).everywhere(),
    Row::new("fsync", FSYNC, syncs).everywhere(),
];
