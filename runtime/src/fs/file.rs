//! The open file: how it comes to be, and all but moving bytes.

use super::cursor::Shared;
use super::{FileTimes, Metadata, OpenOptions, Permissions};
use crate::blocking;
use std::fmt;
use std::io::{self, IsTerminal};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// An open file, like [`std::fs::File`]: read, written and moved in by [`Read`](io::Read), [`Write`](io::Write) and
/// [`Seek`](io::Seek), also through `&File`.
///
/// In a coroutine one read or write moves at most 256 KiB, through a buffer of the file's own that is as large as the
/// largest of them so far. `&File`s and clones take turns at the cursor, in the order of their calls. What a cancelled
/// call leaves, see [the module](crate::fs#what-a-cancelled-call-leaves).
///
/// The buffer has no particular alignment, so files that were opened with O_DIRECT are for plain threads and
/// [`blocking`](crate::blocking()).
///
/// # Examples
///
/// ```
/// use dormouse_runtime::fs::File;
/// use dormouse_runtime::run;
/// use std::io::Read;
///
/// let mut text = String::new();
/// run(|| File::open("/proc/self/comm")?.read_to_string(&mut text))?;
/// assert!(text.ends_with('\n'));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    /// std's. A call that nobody waits for any more has it, too.
    pub(super) file: Arc<std::fs::File>,
    /// What its clones share with it.
    pub(super) shared: Arc<Shared>,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::open`].
    ///
    /// # Blocking
    ///
    /// As [`OpenOptions::open`].
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing; creates it, or empties the one there is.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::create`].
    ///
    /// # Blocking
    ///
    /// As [`OpenOptions::open`].
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Creates a file for reading and writing; an error if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::create_new`].
    ///
    /// # Blocking
    ///
    /// As [`OpenOptions::open`].
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// Options to open a file with.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until the device has contents and metadata, those of writes that nobody waits for any more included.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::sync_all`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn sync_all(&self) -> io::Result<()> {
        self.shared.wait_for_writes(&self.file);
        self.call(std::fs::File::sync_all)
    }

    /// As [`File::sync_all`], without metadata that reading does not need.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::sync_data`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn sync_data(&self) -> io::Result<()> {
        self.shared.wait_for_writes(&self.file);
        self.call(std::fs::File::sync_data)
    }

    /// Cuts the file, or extends it with zeroes. The cursor stays.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::set_len`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.shared.wait_for_writes(&self.file);
        self.call(move |file| file.set_len(size))
    }

    /// What the file system knows of it.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::metadata`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.call(std::fs::File::metadata)
    }

    /// A second handle to the same open file, with the same cursor. Never blocks.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<File> {
        let file = self.file.try_clone()?;
        Ok(File { file: Arc::new(file), shared: Arc::clone(&self.shared) })
    }

    /// Changes the permissions.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::set_permissions`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.call(move |file| file.set_permissions(perm))
    }

    /// Changes the times.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::set_times`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.shared.wait_for_writes(&self.file);
        self.call(move |file| file.set_times(times))
    }

    /// Changes the time of the last change.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::set_modified`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Whether it is a terminal, as [`IsTerminal`] says, which cannot be implemented outside std.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Makes a call, by the pool if the caller is a coroutine.
    pub(super) fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&std::fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = Arc::clone(&self.file);
        blocking::run(move || call(&file))?
    }
}

/// As std's: whatever a panic leaves half done, descriptor and turns are whole.
impl UnwindSafe for File {}
impl RefUnwindSafe for File {}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}
