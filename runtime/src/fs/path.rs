//! What is called by path. Each call is one of std's, made by the pool.

use super::buffer::LARGEST;
use super::{File, Metadata, Permissions};
use crate::blocking;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Makes `call`, by the pool if the caller is a coroutine.
pub(super) fn with_path<T: Send + 'static>(
    path: &Path,
    call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if !blocking::in_coroutine() {
        return call(path);
    }
    let path = path.to_owned();
    blocking::run(move || call(&path))?
}

/// As [`with_path`], for two.
pub(super) fn with_paths<T: Send + 'static>(
    first: &Path,
    second: &Path,
    call: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let second = second.to_owned();
    with_path(first, move |first| call(first, &second))
}

/// Reads a whole file.
///
/// # Errors
///
/// Those of [`std::fs::read`].
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
/// let name = run(|| fs::read("/proc/self/comm"))?;
/// assert!(!name.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    with_path(path.as_ref(), |path| std::fs::read(path))
}

/// Reads a whole file of UTF-8.
///
/// # Errors
///
/// Those of [`std::fs::read_to_string`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    with_path(path.as_ref(), |path| std::fs::read_to_string(path))
}

/// Removes a file from its directory.
///
/// # Errors
///
/// Those of [`std::fs::remove_file`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::remove_file(path))
}

/// What the file system knows of a file; follows symbolic links.
///
/// # Errors
///
/// Those of [`std::fs::metadata`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    with_path(path.as_ref(), |path| std::fs::metadata(path))
}

/// What the file system knows of a file; does not follow a symbolic link.
///
/// # Errors
///
/// Those of [`std::fs::symlink_metadata`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    with_path(path.as_ref(), |path| std::fs::symlink_metadata(path))
}

/// Where a symbolic link leads.
///
/// # Errors
///
/// Those of [`std::fs::read_link`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    with_path(path.as_ref(), |path| std::fs::read_link(path))
}

/// The absolute path without symbolic links.
///
/// # Errors
///
/// Those of [`std::fs::canonicalize`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    with_path(path.as_ref(), |path| std::fs::canonicalize(path))
}

/// Removes an empty directory.
///
/// # Errors
///
/// Those of [`std::fs::remove_dir`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::remove_dir(path))
}

/// Removes a directory with all there is in it. One call of the pool, however much that is.
///
/// # Errors
///
/// Those of [`std::fs::remove_dir_all`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path.as_ref(), |path| std::fs::remove_dir_all(path))
}

/// Whether there is such a file; an error if that cannot be told.
///
/// # Errors
///
/// Those of [`std::fs::exists`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    with_path(path.as_ref(), |path| std::fs::exists(path))
}

/// Gives a file another name.
///
/// # Errors
///
/// Those of [`std::fs::rename`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    with_paths(from.as_ref(), to.as_ref(), |from, to| std::fs::rename(from, to))
}

/// Copies contents and permissions of a file; gives the number of bytes. One call of the pool, however much that is.
///
/// # Errors
///
/// Those of [`std::fs::copy`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    with_paths(from.as_ref(), to.as_ref(), |from, to| std::fs::copy(from, to))
}

/// Gives a file a further name.
///
/// # Errors
///
/// Those of [`std::fs::hard_link`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    with_paths(original.as_ref(), link.as_ref(), |original, link| std::fs::hard_link(original, link))
}

/// Makes a symbolic link.
///
/// # Errors
///
/// Those of [`std::fs::soft_link`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
#[deprecated(since = "0.1.0", note = "replaced by `dormouse::os::unix::fs::symlink`, as std's is by its own")]
pub fn soft_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    super::unix::symlink(original, link)
}

/// Changes the permissions of a file; follows symbolic links.
///
/// # Errors
///
/// Those of [`std::fs::set_permissions`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    with_path(path.as_ref(), move |path| std::fs::set_permissions(path, perm))
}

/// Makes `contents` the whole of a file, which is created if need be. Up to 256 KiB by one call of the pool; more go
/// piece by piece, so that a cancelled coroutine can leave a file that was written in part.
///
/// # Errors
///
/// Those of [`std::fs::write`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    if !blocking::in_coroutine() {
        return std::fs::write(path, contents);
    }
    if contents.len() > LARGEST {
        return File::create(path)?.write_all(contents);
    }
    let contents = contents.to_vec();
    with_path(path, move |path| std::fs::write(path, contents))
}
