//! Programs of others: whether they are here, a directory for what they need, and on which cores they run.
//!
//! 1. The first core is the server's, the last one everybody else's. With one core they share it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::process;

/// Whether the program is here. Where everything must run, what the gate installs has to be.
pub(crate) fn is_here(program: &str, version: &str, is_installed_by_gate: bool) -> bool {
    let mut command = Command::new(program);
    command.arg(version).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Some tell their version with a failure.
    let is_here = command.status().is_ok();
    let must_run = is_installed_by_gate && std::env::var_os("DORMOUSE_MUST_RUN").is_some();
    assert!(is_here || !must_run, "there is no {program}, and everything must run");
    if !is_here {
        println!("skipped: there is no {program}");
    }
    is_here
}

/// Has this thread, and what it starts from now on, run on the server's core.
pub(crate) fn to_server_core() {
    pin(*cores().first().expect("invariant 1"));
}

/// Has this thread, and what it starts from now on, run on the clients' core.
pub(crate) fn to_client_core() {
    pin(*cores().last().expect("invariant 1"));
}

fn pin(core: usize) {
    process::pin(&[core]).expect("a core that was allowed");
}

/// Those that were allowed at first.
fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| process::allowed_cores().expect("this thread runs somewhere"))
}

/// A directory that is gone at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dormouse-bench-http-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for temporary files");
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Puts a file there, and gives its path.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("room for temporary files");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
