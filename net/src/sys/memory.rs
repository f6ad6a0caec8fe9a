//! How much memory the process has: /proc/self/statm, which proc(5) describes.

use std::io;

/// Bytes that are resident. Opened anew each time, since a descriptor of before a fork(2) tells of the parent.
pub(crate) fn resident_bytes() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.map(|pages| pages * page_size()).ok_or_else(|| io::Error::other("/proc/self/statm tells no resident pages"))
}

fn page_size() -> u64 {
    // SAFETY: takes a name and touches no memory.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("the system has a page size")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests of this process may give back much in between, but not each time.
    #[test]
    fn memory_that_is_written_to_is_resident() {
        let is_seen = || {
            let before = resident_bytes().unwrap();
            let written = std::hint::black_box(vec![1u8; 64 << 20]);
            let after = resident_bytes().unwrap();
            drop(written);
            after >= before + (48 << 20)
        };
        assert!((0..20).any(|_| is_seen()));
    }
}
