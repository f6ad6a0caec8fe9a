//! Anonymous memory: mapping it, guarding it, giving it back, asking what is resident.
//!
//! Owns the mmap(2) family: mmap, munmap, mprotect, madvise, process_madvise, mincore, the page size, and the reading of
//! the one sysctl that limits them. Must never know what a stack is.
//!
//! Invariants:
//! 1. Every function makes one request of the kernel and reports the errno; only [`discard_each`] has a second way to
//!    do its one thing.
//! 2. Addresses are plain numbers here; a function is `unsafe` exactly when it can take memory, or its contents, away
//!    from somebody who uses it.
//! 3. Nothing here opens files or allocates through std: hook/ may interpose those calls.

#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{c_int, c_void};

/// madvise(2) since Linux 6.13: a guard page kept in the page table, without a mapping of its own. Not in `libc` yet.
const MADV_GUARD_INSTALL: c_int = 102;

/// pidfd_open(2) since Linux 6.14: this thread, without opening a pidfd. Not in `libc` yet.
const PIDFD_SELF_THREAD: c_int = -10_000;

/// The most spans one [`discard_each`] hands to the kernel together. Per stack with one resident page, in nanoseconds,
/// alone and beside a busy second thread (which has its TLB flushed): one madvise each 1,052 and 4,783; together by 16,
/// 659 and 1,394; by 64, 571 and 603; by 1,024, 544 and 572 (Linux 6.18, 2 cores).
pub(crate) const DISCARD_TOGETHER: usize = 64;

/// The size of one page of memory, in bytes.
pub(crate) fn page_size() -> usize {
    static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);
    // ORDERING: Relaxed, no partner: a constant of the machine; a thread that misses the store asks the kernel again.
    match PAGE_SIZE.load(Ordering::Relaxed) {
        0 => {
            let bytes = ask_page_size();
            // ORDERING: Relaxed, see the load above; nothing else is published with it.
            PAGE_SIZE.store(bytes, Ordering::Relaxed);
            bytes
        }
        bytes => bytes,
    }
}

#[cold]
fn ask_page_size() -> usize {
    // SAFETY: sysconf(3) reads a constant and touches no memory of ours.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("the kernel knows its page size")
}

/// Maps `bytes` of private, zeroed, readable and writable memory for which no swap is reserved; returns its address.
///
/// # Errors
/// ENOMEM: too many mappings, no address space left, or over the overcommit limit. EAGAIN: over the limit of locked memory.
pub(crate) fn map(bytes: usize) -> io::Result<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: invariant 2; without MAP_FIXED the kernel chooses a place nobody uses.
    let address = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    match address {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        address => Ok(address.expose_provenance()),
    }
}

/// Unmaps whole pages, guards included.
///
/// # Safety
/// The range was mapped by [`map`] and nobody uses it any more.
pub(crate) unsafe fn unmap(range: Range<usize>) -> io::Result<()> {
    // SAFETY: invariant 2; the caller says that nobody uses the range.
    check(unsafe { libc::munmap(pointer(range.start), range.len()) })
}

/// Forbids every access to whole pages. Splits the mapping: counts against vm.max_map_count.
///
/// # Safety
/// The range was mapped by [`map`] and nobody uses it.
pub(crate) unsafe fn forbid(range: Range<usize>) -> io::Result<()> {
    // SAFETY: invariant 2; the caller says that nobody uses the range.
    check(unsafe { libc::mprotect(pointer(range.start), range.len(), libc::PROT_NONE) })
}

/// Turns whole pages into guard pages: an access is a SIGSEGV, no mapping is split, and [`discard`] leaves them in place.
///
/// # Errors
/// EINVAL before Linux 6.13 and for locked memory (mlockall(2)).
///
/// # Safety
/// The range was mapped by [`map`] and nobody uses it.
pub(crate) unsafe fn install_guard(range: Range<usize>) -> io::Result<()> {
    // SAFETY: invariant 2; the caller says that nobody uses the range.
    unsafe { advise(range, MADV_GUARD_INSTALL) }
}

/// Asks for small pages only, so that one touched byte never makes 2 MiB resident.
///
/// # Errors
/// EINVAL on a kernel built without transparent huge pages, which can be ignored.
pub(crate) fn refuse_huge_pages(range: Range<usize>) -> io::Result<()> {
    // SAFETY: invariant 2; this changes how pages are backed, never what they hold.
    unsafe { advise(range, libc::MADV_NOHUGEPAGE) }
}

/// Gives the memory of whole pages back; they read as zeros from now on. Guards of both kinds stay in place.
///
/// # Errors
/// EINVAL for locked memory, which then stays as it was.
///
/// # Safety
/// The range was mapped by [`map`] and nobody needs what it holds.
pub(crate) unsafe fn discard(range: Range<usize>) -> io::Result<()> {
    // SAFETY: invariant 2; the caller says that nobody needs the contents.
    unsafe { advise(range, libc::MADV_DONTNEED) }
}

/// Some whole pages, in the form in which the kernel reads a list of them.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Span(
    /// First byte and length.
    libc::iovec,
);

impl Span {
    /// No page at all.
    pub(crate) const EMPTY: Span = Span(libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 });

    /// The pages of `range`.
    pub(crate) fn new(range: Range<usize>) -> Span {
        Span(libc::iovec { iov_base: pointer(range.start), iov_len: range.len() })
    }

    /// The addresses of these pages.
    pub(crate) fn range(&self) -> Range<usize> {
        let start = self.0.iov_base.addr();
        start..start + self.0.iov_len
    }
}

/// [`discard`] for up to [`DISCARD_TOGETHER`] spans with one call and one TLB flush, where the kernel can (6.14); else,
/// and after any failure, one by one. Repeating a discard does no harm: nobody wrote in between.
///
/// # Errors
/// The last error of those made one by one; the other spans are given back all the same.
///
/// # Safety
/// As for [`discard`], for each span.
pub(crate) unsafe fn discard_each(spans: &[Span]) -> io::Result<()> {
    // SAFETY: the caller's promise is the one asked for.
    if unsafe { discard_together(spans) } {
        return Ok(());
    }
    let mut result = Ok(());
    for span in spans {
        // SAFETY: the caller's promise is the one asked for.
        result = unsafe { discard(span.range()) }.and(result);
    }
    result
}

/// Whether the kernel took all `spans` in one process_madvise(2).
///
/// # Safety
/// As for [`discard_each`].
unsafe fn discard_together(spans: &[Span]) -> bool {
    let advice = libc::MADV_DONTNEED;
    let (number, process, first) = (libc::SYS_process_madvise, PIDFD_SELF_THREAD, spans.as_ptr());
    // SAFETY: invariant 2; `Span` is an iovec, and the caller says that nobody needs the contents.
    let done = unsafe { libc::syscall(number, process, first, spans.len(), advice, 0) };
    let wanted: usize = spans.iter().map(|span| span.0.iov_len).sum();
    usize::try_from(done) == Ok(wanted)
}

/// Sets one byte of `pages` for each page from `start` on: its lowest bit says whether the page is resident (mincore(2)).
///
/// # Errors
/// ENOMEM if part of the range is not mapped, EAGAIN if the kernel is short of memory.
pub(crate) fn resident(start: usize, pages: &mut [u8]) -> io::Result<()> {
    let bytes = pages.len() * page_size();
    // SAFETY: mincore reads page tables only, and writes one byte for each page of `bytes`, which is `pages.len()`.
    check(unsafe { libc::mincore(pointer(start), bytes, pages.as_mut_ptr()) })
}

/// The most mappings a process may have: the present vm.max_map_count, or `None` where /proc is not to be had.
pub(crate) fn max_map_count() -> Option<usize> {
    let path = c"/proc/sys/vm/max_map_count";
    // SAFETY: `path` ends in a nul byte.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    let mut text = [0_u8; 32];
    // SAFETY: `text` is writable for its whole length; a bad `fd` is an error, caught by `try_from` below.
    let length = unsafe { libc::read(fd, text.as_mut_ptr().cast(), text.len()) };
    // SAFETY: `fd` was opened above and is known to nobody else; closing -1 is an error without effect.
    unsafe { libc::close(fd) };
    let text = text.get(..usize::try_from(length).ok()?)?;
    str::from_utf8(text).ok()?.trim().parse().ok()
}

/// # Safety
/// That of the advice.
unsafe fn advise(range: Range<usize>, advice: c_int) -> io::Result<()> {
    // SAFETY: the caller's promise is the one asked for.
    check(unsafe { libc::madvise(pointer(range.start), range.len(), advice) })
}

fn pointer(address: usize) -> *mut c_void {
    ptr::with_exposed_provenance_mut(address)
}

fn check(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Locks all present and future memory of this process, for tests in a process of their own.
#[cfg(test)]
pub(crate) fn lock_all() -> io::Result<()> {
    // SAFETY: mlockall changes where pages may live, never what they hold.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mapping of some pages, each written to.
    struct Pages(Range<usize>);

    impl Pages {
        fn written(count: usize) -> Pages {
            let start = map(count * page_size()).unwrap();
            let pages = Pages(start..start + count * page_size());
            (0..count).for_each(|page| pages.write(page));
            pages
        }

        fn write(&self, page: usize) {
            let byte = ptr::with_exposed_provenance_mut::<u8>(self.0.start + page * page_size());
            // SAFETY: the page is mapped and ours.
            unsafe { byte.write(1) };
        }

        fn span(&self, page: usize) -> Range<usize> {
            let start = self.0.start + page * page_size();
            start..start + page_size()
        }

        fn resident(&self) -> Vec<bool> {
            let mut pages = vec![0; self.0.len() / page_size()];
            resident(self.0.start, &mut pages).unwrap();
            pages.into_iter().map(|page| page & 1 == 1).collect()
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: nothing else knows these pages.
            unsafe { unmap(self.0.clone()) }.unwrap();
        }
    }

    #[test]
    fn discard_frees_only_its_range() {
        let pages = Pages::written(4);
        assert_eq!(pages.resident(), [true; 4]);
        // SAFETY: nobody needs the contents.
        unsafe { discard(pages.span(2)) }.unwrap();
        assert_eq!(pages.resident(), [true, true, false, true]);
    }

    #[test]
    fn discard_each_frees_every_span() {
        let pages = Pages::written(5);
        let spans = [Span::new(pages.span(0)), Span::new(pages.span(3))];
        // SAFETY: nobody needs the contents.
        unsafe { discard_each(&spans) }.unwrap();
        assert_eq!(pages.resident(), [false, true, true, false, true]);
    }

    #[test]
    fn discard_each_goes_on_past_a_span_that_fails() {
        let pages = Pages::written(3);
        let misaligned = Span::new(pages.span(0).start + 1..pages.span(0).end);
        let spans = [misaligned, Span::new(pages.span(2))];
        // SAFETY: nobody needs the contents.
        let result = unsafe { discard_each(&spans) };
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(pages.resident(), [true, true, false]);
    }

    #[test]
    fn pages_guarded_either_way_are_not_resident_after_a_discard() {
        let pages = Pages::written(3);
        // SAFETY: nobody uses the page.
        if unsafe { install_guard(pages.span(0)) }.is_err() {
            eprintln!("MADV_GUARD_INSTALL refused: that half is not tested");
        }
        // SAFETY: nobody uses the page.
        unsafe { forbid(pages.span(1)) }.unwrap();
        // SAFETY: nobody needs the contents.
        unsafe { discard(pages.0.clone()) }.unwrap();
        pages.write(2);
        assert_eq!(pages.resident(), [false, false, true]);
    }

    #[test]
    fn a_map_too_large_says_out_of_memory() {
        assert_eq!(map(1 << 60).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    fn max_map_count_is_a_number() {
        assert!(max_map_count().is_some_and(|count| count >= 1_000));
    }
}
