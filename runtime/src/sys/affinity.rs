//! Which processors a thread may run on: sched_getaffinity(2), sched_setaffinity(2).
//!
//! The kernel's answer is what taskset(1), a cgroup's cpuset and whoever started the thread have left of them. A thread
//! inherits the set of the one that starts it.

use super::cvt;
use std::io;

/// Processors in a word.
const BITS: usize = libc::c_ulong::BITS as usize;

/// Words for 1,024 processors, which is what glibc's own type has room for.
const FIRST_LENGTH: usize = 1024 / BITS;

/// Words for more processors than Linux can have.
const LONGEST: usize = 1 << 14;

/// A set of processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuSet(Box<[libc::c_ulong]>);

impl CpuSet {
    /// Those that the calling thread may run on. Fails where the call is forbidden (seccomp).
    pub(crate) fn of_this_thread() -> io::Result<CpuSet> {
        let mut length = FIRST_LENGTH;
        loop {
            let mut words = vec![0; length].into_boxed_slice();
            let bytes = size_of_val(&*words);
            // SAFETY: the kernel writes `bytes` at most, and there are as many.
            let answer = cvt(unsafe { libc::sched_getaffinity(0, bytes, words.as_mut_ptr().cast()) });
            match answer {
                // There are more processors than that.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && length < LONGEST => length *= 2,
                answer => return answer.map(|_| CpuSet(words)),
            }
        }
    }

    /// Their numbers, from the least.
    pub(crate) fn cpus(&self) -> impl Iterator<Item = usize> {
        let is_set = |cpu: &usize| self.0[cpu / BITS] >> (cpu % BITS) & 1 == 1;
        (0..self.0.len() * BITS).filter(is_set)
    }

    /// The set of the `n`th of them alone, counted around.
    pub(crate) fn only(&self, n: usize) -> CpuSet {
        let count = self.cpus().count().max(1);
        let mut words = vec![0; self.0.len()].into_boxed_slice();
        if let Some(cpu) = self.cpus().nth(n % count) {
            words[cpu / BITS] = 1 << (cpu % BITS);
        }
        CpuSet(words)
    }

    /// From now on the calling thread runs on these. EINVAL if it may run on none of them any more.
    pub(crate) fn apply(&self) -> io::Result<()> {
        // SAFETY: the kernel reads as many bytes as there are.
        cvt(unsafe { libc::sched_setaffinity(0, size_of_val(&*self.0), self.0.as_ptr().cast()) }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_and_let_go() {
        std::thread::spawn(|| {
            let all = CpuSet::of_this_thread().unwrap();
            let cpus: Vec<usize> = all.cpus().collect();
            for n in 0..2 * cpus.len() {
                all.only(n).apply().unwrap();
                let now = CpuSet::of_this_thread().unwrap();
                assert_eq!(now.cpus().collect::<Vec<_>>(), [cpus[n % cpus.len()]]);
            }
            all.apply().unwrap();
            assert_eq!(CpuSet::of_this_thread().unwrap(), all);
        })
        .join()
        .unwrap();
    }
}
