//! `std::fs`, and `os::unix::fs`: what Unix adds to it.
#![allow(dead_code, deprecated, trivial_bounds, clippy::type_complexity)]

use super::super::fs::{self, DirBuilder, DirEntry, File, OpenOptions, ReadDir};
use super::super::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};
use super::super::os::unix::fs::{DirBuilderExt, DirEntryExt, FileExt, OpenOptionsExt};
use super::super::os::unix::fs::{chown, chroot, fchown, lchown, symlink};
use super::super::process::Stdio;
use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

fn by_path<P: AsRef<Path>, C: AsRef<[u8]>>(path: fn() -> P, contents: C, perm: Permissions) {
    let _: io::Result<PathBuf> = fs::canonicalize::<P>(path());
    let _: io::Result<()> = fs::create_dir::<P>(path());
    let _: io::Result<()> = fs::create_dir_all::<P>(path());
    let _: io::Result<bool> = fs::exists::<P>(path());
    let _: io::Result<Metadata> = fs::metadata::<P>(path());
    let _: io::Result<Vec<u8>> = fs::read::<P>(path());
    let _: io::Result<ReadDir> = fs::read_dir::<P>(path());
    let _: io::Result<PathBuf> = fs::read_link::<P>(path());
    let _: io::Result<String> = fs::read_to_string::<P>(path());
    let _: io::Result<()> = fs::remove_dir::<P>(path());
    let _: io::Result<()> = fs::remove_dir_all::<P>(path());
    let _: io::Result<()> = fs::remove_file::<P>(path());
    let _: io::Result<()> = fs::set_permissions::<P>(path(), perm);
    let _: io::Result<Metadata> = fs::symlink_metadata::<P>(path());
    let _: io::Result<()> = fs::write::<P, C>(path(), contents);
    let _: io::Result<()> = chown::<P>(path(), None, None);
    let _: io::Result<()> = lchown::<P>(path(), None, None);
    let _: io::Result<()> = chroot::<P>(path());
}

fn by_two_paths<P: AsRef<Path>, Q: AsRef<Path>>(from: fn() -> P, to: fn() -> Q) {
    let _: io::Result<u64> = fs::copy::<P, Q>(from(), to());
    let _: io::Result<()> = fs::hard_link::<P, Q>(from(), to());
    let _: io::Result<()> = fs::rename::<P, Q>(from(), to());
    let _: io::Result<()> = fs::soft_link::<P, Q>(from(), to());
    let _: io::Result<()> = symlink::<P, Q>(from(), to());
}

fn by_descriptor<F: AsFd>(fd: F) -> io::Result<()> {
    fchown::<F>(fd, Some(1), Some(2))
}

fn file_opened<P: AsRef<Path>>(path: fn() -> P) {
    let _: io::Result<File> = File::open::<P>(path());
    let _: io::Result<File> = File::create::<P>(path());
    let _: io::Result<File> = File::create_new::<P>(path());
    let _: io::Result<File> = OpenOptions::open::<P>(&File::options(), path());
    let _: io::Result<()> = DirBuilder::create::<P>(&DirBuilder::new(), path());
}

fn file() {
    let _: fn() -> OpenOptions = File::options;
    let _: fn(&File) -> io::Result<()> = File::sync_all;
    let _: fn(&File) -> io::Result<()> = File::sync_data;
    let _: fn(&File) -> io::Result<()> = File::lock;
    let _: fn(&File) -> io::Result<()> = File::lock_shared;
    let _: fn(&File) -> Result<(), TryLockError> = File::try_lock;
    let _: fn(&File) -> Result<(), TryLockError> = File::try_lock_shared;
    let _: fn(&File) -> io::Result<()> = File::unlock;
    let _: fn(&File, u64) -> io::Result<()> = File::set_len;
    let _: fn(&File) -> io::Result<Metadata> = File::metadata;
    let _: fn(&File) -> io::Result<File> = File::try_clone;
    let _: fn(&File, Permissions) -> io::Result<()> = File::set_permissions;
    let _: fn(&File, FileTimes) -> io::Result<()> = File::set_times;
    let _: fn(&File, SystemTime) -> io::Result<()> = File::set_modified;
    let _: fn(&File, &mut [u8], u64) -> io::Result<usize> = <File as FileExt>::read_at;
    let _: fn(&File, &[u8], u64) -> io::Result<usize> = <File as FileExt>::write_at;
}

fn file_is()
where
    File: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + FileExt,
    OwnedFd: From<File>,
    Stdio: From<File>,
    File: Read + Write + Seek,
    &'static File: Read + Write + Seek,
    File: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn options() {
    let _: fn() -> OpenOptions = OpenOptions::new;
    let _: fn(&mut OpenOptions, bool) -> &mut OpenOptions = OpenOptions::read;
    let _: fn(&mut OpenOptions, bool) -> &mut OpenOptions = OpenOptions::write;
    let _: fn(&mut OpenOptions, bool) -> &mut OpenOptions = OpenOptions::append;
    let _: fn(&mut OpenOptions, bool) -> &mut OpenOptions = OpenOptions::truncate;
    let _: fn(&mut OpenOptions, bool) -> &mut OpenOptions = OpenOptions::create;
    let _: fn(&mut OpenOptions, bool) -> &mut OpenOptions = OpenOptions::create_new;
    let _: fn(&mut OpenOptions, u32) -> &mut OpenOptions = <OpenOptions as OpenOptionsExt>::mode;
    let _: fn(&mut OpenOptions, i32) -> &mut OpenOptions = <OpenOptions as OpenOptionsExt>::custom_flags;
}

fn options_are()
where
    OpenOptions: OpenOptionsExt,
    OpenOptions: Clone + Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn directories() {
    let _: fn() -> DirBuilder = DirBuilder::new;
    let _: fn(&mut DirBuilder, bool) -> &mut DirBuilder = DirBuilder::recursive;
    let _: fn(&mut DirBuilder, u32) -> &mut DirBuilder = <DirBuilder as DirBuilderExt>::mode;
    let _: fn(&DirEntry) -> PathBuf = DirEntry::path;
    let _: fn(&DirEntry) -> io::Result<Metadata> = DirEntry::metadata;
    let _: fn(&DirEntry) -> io::Result<FileType> = DirEntry::file_type;
    let _: fn(&DirEntry) -> OsString = DirEntry::file_name;
    let _: fn(&DirEntry) -> u64 = <DirEntry as DirEntryExt>::ino;
}

fn directories_are()
where
    DirBuilder: DirBuilderExt,
    DirBuilder: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    DirEntry: DirEntryExt,
    DirEntry: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    ReadDir: Iterator<Item = io::Result<DirEntry>>,
    ReadDir: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
