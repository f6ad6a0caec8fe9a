//! Listing a directory.
//!
//! Owns how entries get from the pool to the caller: many at a time, since each way there and back costs more than
//! reading an entry.
//!
//! Invariant 1: entries that were read are with the caller, in order, or ahead in the listing: a cancelled call loses
//! none.

use super::path::with_path;
use super::{FileType, Metadata};
use crate::blocking;
use crate::lease::Home;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many entries one call reads.
const MANY: usize = 256;

/// Iterator over the entries of a directory, like [`std::fs::ReadDir`].
///
/// # Blocking
///
/// `next` parks a coroutine now and then, as [the module](crate::fs#blocking) says.
pub struct ReadDir {
    /// Which, as it was asked for.
    root: PathBuf,
    /// Where more come from.
    home: Arc<Home<Listing>>,
    /// What is there already.
    here: VecDeque<io::Result<DirEntry>>,
}

/// The part of a listing that goes to the pool.
struct Listing {
    /// std's, which does it.
    inner: std::fs::ReadDir,
    /// What was read and not taken (invariant 1).
    ahead: VecDeque<io::Result<DirEntry>>,
}

impl Listing {
    /// Reads up to `MANY` entries; none at the end.
    fn advance(&mut self) {
        while self.ahead.len() < MANY {
            let Some(entry) = self.inner.next() else {
                return;
            };
            let failed = entry.is_err();
            self.ahead.push_back(entry.map(DirEntry::new));
            if failed {
                return;
            }
        }
    }
}

/// Lists a directory.
///
/// # Errors
///
/// Those of [`std::fs::read_dir`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{fs, run};
///
/// let names: Vec<_> = run(|| fs::read_dir("/proc/self"))?.map(|entry| entry.unwrap().file_name()).collect();
/// assert!(names.iter().any(|name| name == "comm"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    let root = path.as_ref().to_owned();
    let inner = with_path(&root, |path| std::fs::read_dir(path))?;
    let home = Home::new(Listing { inner, ahead: VecDeque::new() });
    Ok(ReadDir { root, home, here: VecDeque::new() })
}

impl ReadDir {
    fn fetch(&mut self) -> io::Result<()> {
        let mut lease = self.home.lease();
        if lease.ahead.is_empty() {
            lease = blocking::run(move || {
                lease.advance();
                lease
            })?;
        }
        self.here = std::mem::take(&mut lease.ahead);
        Ok(())
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        if self.here.is_empty()
            && let Err(error) = self.fetch()
        {
            return Some(Err(error));
        }
        self.here.pop_front()
    }
}

/// As std's: whatever a panic leaves half done, the listing is whole.
impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadDir").field(&self.root).finish()
    }
}

/// An entry of a directory, like [`std::fs::DirEntry`].
pub struct DirEntry {
    /// std's; a call that nobody waits for any more may have it, too.
    inner: Arc<std::fs::DirEntry>,
    /// What it is, if that could be told when it was read.
    file_type: Option<FileType>,
}

impl DirEntry {
    /// Pool threads and plain threads: on some file systems its type has to be looked up.
    fn new(inner: std::fs::DirEntry) -> DirEntry {
        let file_type = inner.file_type().ok();
        DirEntry { inner: Arc::new(inner), file_type }
    }

    /// The path that was listed, with the name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// What the file system knows of it; does not follow a symbolic link.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::DirEntry::metadata`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let inner = Arc::clone(&self.inner);
        blocking::run(move || inner.metadata())?
    }

    /// What it is; does not follow a symbolic link. Parks only if that could not be told when the entry was read.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::DirEntry::file_type`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn file_type(&self) -> io::Result<FileType> {
        if let Some(file_type) = self.file_type {
            return Ok(file_type);
        }
        let inner = Arc::clone(&self.inner);
        blocking::run(move || inner.file_type())?
    }

    /// The name, without the path.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.inner.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
