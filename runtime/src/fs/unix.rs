//! What `std::os::unix::fs` adds to `std::fs`. The traits are std's, implemented for the types of [`fs`](crate::fs) as
//! for std's own.

use super::path::{with_path, with_paths};
use crate::blocking;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

pub use std::os::unix::fs::{
    DirBuilderExt, DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chroot,
};

/// Makes a symbolic link.
///
/// # Errors
///
/// Those of [`std::os::unix::fs::symlink`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    with_paths(original.as_ref(), link.as_ref(), |original, link| std::os::unix::fs::symlink(original, link))
}

/// Changes owner and group of a file; follows symbolic links.
///
/// # Errors
///
/// Those of [`std::os::unix::fs::chown`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn chown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    with_path(dir.as_ref(), move |path| std::os::unix::fs::chown(path, uid, gid))
}

/// Changes owner and group of an open file.
///
/// # Errors
///
/// Those of [`std::os::unix::fs::fchown`]; in a coroutine also when there is no descriptor left.
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    if !blocking::in_coroutine() {
        return std::os::unix::fs::fchown(fd, uid, gid);
    }
    let fd = fd.as_fd().try_clone_to_owned()?;
    blocking::run(move || std::os::unix::fs::fchown(fd, uid, gid))?
}

/// Changes owner and group of a file; does not follow a symbolic link.
///
/// # Errors
///
/// Those of [`std::os::unix::fs::lchown`].
///
/// # Blocking
///
/// As [the module](crate::fs#blocking) says.
pub fn lchown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    with_path(dir.as_ref(), move |path| std::os::unix::fs::lchown(path, uid, gid))
}
