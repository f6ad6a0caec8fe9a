//! What `std::os::unix::process` adds to `std::process`.

#![allow(unsafe_code)]

use super::Command;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;

pub use std::os::unix::process::{ExitStatusExt, parent_id};

/// What Unix adds to [`Command`], like [`std::os::unix::process::CommandExt`], which cannot be implemented outside std.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::process::Command;
/// use dormouse_runtime::process::unix::CommandExt;
///
/// let output = Command::new("sh").arg0("another").args(["-c", "echo $0"]).output()?;
/// assert_eq!(output.stdout, b"another\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait CommandExt {
    /// Sets the user of the child, and drops all groups if this process is root's.
    fn uid(&mut self, id: u32) -> &mut Command;

    /// Sets the group of the child.
    fn gid(&mut self, id: u32) -> &mut Command;

    /// Has `f` called in the child before the program begins.
    ///
    /// # Safety
    ///
    /// As [`std::os::unix::process::CommandExt::pre_exec`]: `f` runs after fork(2) in a process of several threads, so
    /// it may call only what is safe for a signal handler, and none of this library.
    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static;

    /// As [`CommandExt::pre_exec`].
    ///
    /// # Safety
    ///
    /// As [`CommandExt::pre_exec`].
    #[deprecated(since = "0.1.0", note = "should be unsafe, use `pre_exec` instead, as std's")]
    unsafe fn before_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller's word.
        unsafe { self.pre_exec(f) }
    }

    /// Replaces this process by the program, all its threads included. Returns only if that fails.
    fn exec(&mut self) -> io::Error;

    /// Sets the name by which the program is called.
    fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>;

    /// Sets the process group of the child; 0 for one of its own.
    fn process_group(&mut self, pgroup: i32) -> &mut Command;
}

impl CommandExt for Command {
    fn uid(&mut self, id: u32) -> &mut Command {
        self.inner.uid(id);
        self
    }

    fn gid(&mut self, id: u32) -> &mut Command {
        self.inner.gid(id);
        self
    }

    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller's word.
        unsafe { self.inner.pre_exec(f) };
        self
    }

    fn exec(&mut self) -> io::Error {
        self.inner.exec()
    }

    fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>,
    {
        self.inner.arg0(arg);
        self
    }

    fn process_group(&mut self, pgroup: i32) -> &mut Command {
        self.inner.process_group(pgroup);
        self
    }
}
