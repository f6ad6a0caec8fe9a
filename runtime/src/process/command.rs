//! How a child is started.

use super::Child;
use super::orphans;
use crate::blocking;
use crate::lock::Lock;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::mem::replace;
use std::path::Path;
use std::process::{Command as Std, CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};
use std::sync::Arc;

/// Starts child processes, like [`std::process::Command`].
///
/// The parent of a child, as prctl(2) has it for PR_SET_PDEATHSIG, is the thread that started it: one of the pool, if
/// that was a coroutine, which may end after ten idle seconds.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::process::Command;
/// use dormouse_runtime::run;
///
/// let output = run(|| Command::new("echo").arg("hello").output())?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    /// std's, which does it.
    pub(super) inner: Std,
    /// Whether the user said what standard input, output and error are to be.
    chosen: [bool; 3],
}

impl Command {
    /// For a program, without arguments, with environment, working directory and standard streams of this process.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Command { inner: Std::new(program), chosen: [false; 3] }
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.env(key, val);
        self
    }

    /// Sets variables of the environment.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.envs(vars);
        self
    }

    /// Removes a variable of the environment.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.inner.env_remove(key);
        self
    }

    /// Removes all variables of the environment.
    pub fn env_clear(&mut self) -> &mut Command {
        self.inner.env_clear();
        self
    }

    /// Sets the working directory.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.inner.current_dir(dir);
        self
    }

    /// Sets the standard input.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stdin(cfg);
        self.chosen[0] = true;
        self
    }

    /// Sets the standard output.
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stdout(cfg);
        self.chosen[1] = true;
        self
    }

    /// Sets the standard error.
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.inner.stderr(cfg);
        self.chosen[2] = true;
        self
    }

    /// Starts a child. What was not set of the standard streams is that of this process.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Command::spawn`], and of [`blocking::run`](crate::blocking::run).
    ///
    /// # Blocking
    ///
    /// Parks a coroutine until the program runs or could not be started. A cancellation point before that begins, but
    /// not while it goes on: there is no child that nobody knows of. On a plain thread it is done right there.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park).
    pub fn spawn(&mut self) -> io::Result<Child> {
        orphans::reap();
        let lent = Lent::new(&mut self.inner);
        let command = Arc::clone(&lent.command);
        let started = blocking::run_to_end(move || {
            let mut taken = command.lock().take().expect("put there by the caller");
            let started = taken.spawn();
            *command.lock() = Some(taken);
            started
        })?;
        drop(lent);
        Child::new(started?)
    }

    /// Starts a child, waits for its end and gives all that it writes. What was not set: standard output and error go
    /// to pipes, and there is no input.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Command::output`], and of [`blocking::run`](crate::blocking::run).
    ///
    /// # Blocking
    ///
    /// As [`Command::spawn`], and then as [`Child::wait_with_output`].
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park).
    pub fn output(&mut self) -> io::Result<Output> {
        self.default_streams([Stdio::null, Stdio::piped, Stdio::piped]);
        ForOutput(self).0.spawn()?.wait_with_output()
    }

    /// Starts a child and waits for its end. What was not set of the standard streams is that of this process.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Command::status`], and of [`blocking::run`](crate::blocking::run).
    ///
    /// # Blocking
    ///
    /// As [`Command::spawn`], and then as [`Child::wait`].
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park).
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.into_status()
    }

    /// Sets those of the standard streams that the user has not.
    fn default_streams(&mut self, [input, output, error]: [fn() -> Stdio; 3]) {
        if !self.chosen[0] {
            self.inner.stdin(input());
        }
        if !self.chosen[1] {
            self.inner.stdout(output());
        }
        if !self.chosen[2] {
            self.inner.stderr(error());
        }
    }

    /// The program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments, without the program.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// What was set and removed of the environment.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The working directory, if it was set.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }
}

/// A command with the default streams of `output`. Dropped, it has those of `spawn` again.
struct ForOutput<'a>(&'a mut Command);

impl Drop for ForOutput<'_> {
    fn drop(&mut self) {
        self.0.default_streams([Stdio::inherit; 3]);
    }
}

/// A command on its way to the pool and back. Dropped, it is where it was.
struct Lent<'a> {
    /// Where it belongs.
    place: &'a mut Std,
    /// The command, unless it is being used.
    command: Arc<Lock<Option<Std>>>,
}

impl Lent<'_> {
    fn new(place: &mut Std) -> Lent<'_> {
        let command = replace(place, Std::new(""));
        Lent { place, command: Arc::new(Lock::new(Some(command))) }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let back = self.command.lock().take();
        if let Some(command) = back {
            *self.place = command;
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
