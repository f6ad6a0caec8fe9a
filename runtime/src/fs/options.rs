//! How a file is opened.

use super::path::with_path;
use super::{File, unix};
use std::fmt;
use std::io;
use std::path::Path;

/// What a file is opened for, and how, like [`std::fs::OpenOptions`].
///
/// # Examples
///
/// ```
/// use dormouse_runtime::fs::OpenOptions;
/// use dormouse_runtime::run;
///
/// let file = run(|| OpenOptions::new().read(true).open("/dev/null"))?;
/// # drop(file);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct OpenOptions {
    /// std's, which does it.
    inner: std::fs::OpenOptions,
}

impl OpenOptions {
    /// Nothing is chosen yet.
    #[allow(clippy::new_without_default, reason = "std's has none")]
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions { inner: std::fs::OpenOptions::new() }
    }

    /// Whether it can be read.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.inner.read(read);
        self
    }

    /// Whether it can be written.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.inner.write(write);
        self
    }

    /// Whether each write goes to the end.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.inner.append(append);
        self
    }

    /// Whether it is emptied first.
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.inner.truncate(truncate);
        self
    }

    /// Whether it is created if there is none.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.inner.create(create);
        self
    }

    /// Whether it is created, and it is an error if there is one.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.inner.create_new(create_new);
        self
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::OpenOptions::open`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says. The open of a FIFO waits for a peer, and keeps its thread of the pool
    /// meanwhile, also when its caller was cancelled.
    pub fn open<P: AsRef<Path>>(&self, path: P) -> io::Result<File> {
        let options = self.inner.clone();
        with_path(path.as_ref(), move |path| {
            let file = File::from(options.open(path)?);
            // Here the question may block.
            file.shared.is_seekable(&file.file);
            Ok(file)
        })
    }
}

impl unix::OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.inner.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.inner.custom_flags(flags);
        self
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
