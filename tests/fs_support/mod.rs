//! What tests of files share: a folder of their own, FIFOs, and the pool's threads occupied.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::ffi::CString;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// A folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("dormouse-fs-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    /// Makes a FIFO in it.
    pub(crate) fn fifo(&self) -> PathBuf {
        let path = self.join("fifo");
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a name that ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        path
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Leaves the pool one thread, which is busy until what this gives is dropped. For processes of a test's own.
pub(crate) fn occupy_the_pool() -> Sender<()> {
    dormouse::blocking::set_limit(1);
    let ((open, opens), (begun, begins)) = (channel::<()>(), channel());
    drop(dormouse::thread::spawn_blocking(move || {
        begun.send(()).unwrap();
        let _ = opens.recv_timeout(Duration::from_secs(30));
    }));
    begins.recv_timeout(Duration::from_secs(10)).unwrap();
    open
}
