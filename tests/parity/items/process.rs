//! `std::process`, and `os::unix::process`: what Unix adds to it.
#![allow(dead_code, deprecated, trivial_bounds, clippy::type_complexity)]

use super::super::os::unix::process::{CommandExt, parent_id};
use super::super::process::{self, Child, ChildStderr, ChildStdin, ChildStdout, Command};
use super::super::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};
use std::ffi::OsStr;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;

fn command_with<S: AsRef<OsStr>, P: AsRef<Path>, T: Into<Stdio>>(text: fn() -> S, dir: P, cfg: fn() -> T) {
    let command: &mut Command = &mut Command::new::<S>(text());
    let _: &mut Command = Command::arg::<S>(command, text());
    let _: &mut Command = Command::args::<[S; 1], S>(command, [text()]);
    let _: &mut Command = Command::env::<S, S>(command, text(), text());
    let _: &mut Command = Command::envs::<[(S, S); 1], S, S>(command, [(text(), text())]);
    let _: &mut Command = Command::env_remove::<S>(command, text());
    let _: &mut Command = Command::current_dir::<P>(command, dir);
    let _: &mut Command = Command::stdin::<T>(command, cfg());
    let _: &mut Command = Command::stdout::<T>(command, cfg());
    let _: &mut Command = Command::stderr::<T>(command, cfg());
    let _: &mut Command = <Command as CommandExt>::arg0::<S>(command, text());
}

fn command() {
    let _: fn(&mut Command) -> &mut Command = Command::env_clear;
    let _: fn(&mut Command) -> io::Result<Child> = Command::spawn;
    let _: fn(&mut Command) -> io::Result<Output> = Command::output;
    let _: fn(&mut Command) -> io::Result<ExitStatus> = Command::status;
    let _: fn(&Command) -> &OsStr = Command::get_program;
    let _: fn(&Command) -> CommandArgs<'_> = Command::get_args;
    let _: fn(&Command) -> CommandEnvs<'_> = Command::get_envs;
    let _: fn(&Command) -> Option<&Path> = Command::get_current_dir;
    let _: fn(&mut Command, u32) -> &mut Command = <Command as CommandExt>::uid;
    let _: fn(&mut Command, u32) -> &mut Command = <Command as CommandExt>::gid;
    let _: fn(&mut Command) -> io::Error = <Command as CommandExt>::exec;
    let _: fn(&mut Command, i32) -> &mut Command = <Command as CommandExt>::process_group;
    type Hook = fn() -> io::Result<()>;
    let _: unsafe fn(&mut Command, Hook) -> &mut Command = <Command as CommandExt>::pre_exec::<Hook>;
    let _: unsafe fn(&mut Command, Hook) -> &mut Command = <Command as CommandExt>::before_exec::<Hook>;
    let _: fn() -> u32 = process::id;
    let _: fn() -> u32 = parent_id;
    let _: fn(i32) -> ! = process::exit;
    let _: fn() -> ! = process::abort;
}

fn command_is()
where
    Command: CommandExt,
    Command: Debug + Send + Sync + Unpin,
{
}

fn child(child: Child) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
    let _: fn(&mut Child) -> io::Result<()> = Child::kill;
    let _: fn(&Child) -> u32 = Child::id;
    let _: fn(&mut Child) -> io::Result<ExitStatus> = Child::wait;
    let _: fn(&mut Child) -> io::Result<Option<ExitStatus>> = Child::try_wait;
    let _: fn(Child) -> io::Result<Output> = Child::wait_with_output;
    (child.stdin, child.stdout, child.stderr)
}

fn child_is()
where
    Child: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn pipes_are()
where
    ChildStdin: Write + AsFd + AsRawFd + IntoRawFd + From<OwnedFd>,
    &'static ChildStdin: Write,
    OwnedFd: From<ChildStdin>,
    Stdio: From<ChildStdin>,
    ChildStdin: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    ChildStdout: Read + AsFd + AsRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<ChildStdout>,
    Stdio: From<ChildStdout>,
    ChildStdout: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    ChildStderr: Read + AsFd + AsRawFd + IntoRawFd + From<OwnedFd>,
    OwnedFd: From<ChildStderr>,
    Stdio: From<ChildStderr>,
    ChildStderr: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
