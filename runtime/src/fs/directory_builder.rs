//! Making directories.

use super::path::with_path;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// How directories are made, like [`std::fs::DirBuilder`].
///
/// # Examples
///
/// ```
/// use dormouse_runtime::fs::{self, DirBuilder};
///
/// let path = std::env::temp_dir().join(format!("dormouse-{}/inner", std::process::id()));
/// dormouse_runtime::run(|| DirBuilder::new().recursive(true).create(&path))?;
/// assert!(fs::metadata(&path)?.is_dir());
/// # fs::remove_dir_all(path.parent().unwrap())?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DirBuilder {
    /// Whether those above it are made, too.
    recursive: bool,
    /// The permissions, before the umask.
    mode: Option<u32>,
}

impl DirBuilder {
    /// One directory, for all to read, write and enter, as far as the umask allows.
    #[allow(clippy::new_without_default, reason = "std's has none")]
    #[must_use]
    pub fn new() -> DirBuilder {
        DirBuilder { recursive: false, mode: None }
    }

    /// Whether those above it are made, too; then it is no error if there is one.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.recursive = recursive;
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::DirBuilder::create`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let builder = self.build();
        with_path(path.as_ref(), move |path| builder.create(path))
    }

    fn build(&self) -> std::fs::DirBuilder {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.recursive);
        if let Some(mode) = self.mode {
            builder.mode(mode);
        }
        builder
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = Some(mode);
        self
    }
}

/// Makes a directory.
///
/// # Errors
///
/// Those of [`std::fs::create_dir`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    DirBuilder::new().create(path)
}

/// Makes a directory, and those above it that are missing.
///
/// # Errors
///
/// Those of [`std::fs::create_dir_all`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}
