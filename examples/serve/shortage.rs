//! Clients that are not accepted, since the system has no descriptor or memory left for them: a line when that begins,
//! and one when it is over.
//!
//! Knows no sockets.
//!
//! 1. It is over with a client that is let in a second after the last failure: until then each descriptor that is given
//!    back lets one in, and the next one not.

use std::io;
use std::time::{Duration, Instant};

/// See invariant 1.
const CALM: Duration = Duration::from_secs(1);

/// One, if there is one at the moment.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// Failures since it began; 0 where there is none.
    failures: u64,
    /// When the last of them was.
    last: Option<Instant>,
}

impl Shortage {
    pub(crate) fn is_meant_by(error: &io::Error) -> bool {
        matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
    }

    /// Gives whether it begins with this one.
    pub(crate) fn note_failure(&mut self, now: Instant) -> bool {
        (self.failures, self.last) = (self.failures + 1, Some(now));
        self.failures == 1
    }

    /// Gives the failures of the one that is over with this, if there was one.
    pub(crate) fn note_success(&mut self, now: Instant) -> Option<u64> {
        let is_over = self.last.is_some_and(|last| now.duration_since(last) >= CALM);
        is_over.then(|| std::mem::take(self).failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_when_it_begins_and_once_it_is_over() {
        let (mut shortage, start) = (Shortage::default(), Instant::now());
        assert_eq!(shortage.note_success(start), None);
        for _ in 0..2 {
            assert!(shortage.note_failure(start));
            assert_eq!(shortage.note_success(start), None);
            assert!(!shortage.note_failure(start + CALM / 2));
            assert_eq!(shortage.note_success(start + CALM), None);
            assert_eq!(shortage.note_success(start + CALM * 2), Some(2));
            assert_eq!(shortage.note_success(start + CALM * 3), None);
        }
    }
}
