//! Whose turn it is at the cursor of an open file.
//!
//! Owns what the clones of a file share: the turns, the buffers, and what is known of the description. Must never know
//! what a call does with its turn.
//!
//! A call of the pool may end when its caller has long unwound. To have a cancelled read not happen, the cursor is set
//! back when the call ends, before anybody else uses it: so reads, writes and moves of one description take turns, as
//! the kernel has them do for the time of one call (`f_pos_lock`). What has no cursor (FIFO, terminal, socket) is read
//! and written by two that do not wait for each other; there what a cancelled read has read is kept as the rest.
//!
//! Invariant 1: whoever uses the cursor has the turn, until the call has ended and, if nobody took what it read, was
//! undone.

use super::buffer::Buffer;
use crate::atomic::{AtomicU32, Ordering};
use crate::lease::{Home, Lease};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;

/// Nobody has asked yet.
const UNKNOWN: u32 = 0;
/// The answer is no.
const NO: u32 = 1;
/// The answer is yes.
const YES: u32 = 2;

/// What the clones of a file share.
pub(super) struct Shared {
    /// The turn to use the cursor; without one, the turn to read.
    cursor: Arc<Home<Buffer>>,
    /// Without a cursor, the turn to write.
    writer: Arc<Home<Buffer>>,
    /// Whether there is a cursor that can be moved.
    seekable: AtomicU32,
    /// Whether it was found that reads cannot be told not to wait.
    waits: AtomicU32,
}

impl Shared {
    pub(super) fn new() -> Arc<Shared> {
        Arc::new(Shared {
            cursor: Home::new(Buffer::default()),
            writer: Home::new(Buffer::default()),
            seekable: AtomicU32::new(UNKNOWN),
            waits: AtomicU32::new(NO),
        })
    }

    /// Whether what `file` has is a cursor that can be set back: not that of a device, which may be one by name only,
    /// and whose readers and writers do not wait for each other.
    pub(super) fn is_seekable(&self, file: &File) -> bool {
        // ORDERING: Relaxed; whoever asks gets the same answer.
        match self.seekable.load(Ordering::Relaxed) {
            UNKNOWN => {
                let kind = file.metadata().map(|metadata| metadata.file_type());
                let seekable = kind.is_ok_and(|kind| kind.is_file() || kind.is_dir() || kind.is_block_device());
                // ORDERING: Relaxed; as above.
                self.seekable.store(if seekable { YES } else { NO }, Ordering::Relaxed);
                seekable
            }
            known => known == YES,
        }
    }

    /// Whether a read may be tried that does not wait.
    pub(super) fn may_try(&self) -> bool {
        // ORDERING: Relaxed; a try too many is only slower.
        self.waits.load(Ordering::Relaxed) == NO
    }

    /// Says that such reads are not known.
    pub(super) fn cannot_try(&self) {
        // ORDERING: Relaxed; pairs with the load in `may_try`, which needs no order.
        self.waits.store(YES, Ordering::Relaxed);
    }

    /// Waits for the turn to read, or to move the cursor. Parks; a cancellation point.
    pub(super) fn turn_to_read(&self, file: &Arc<File>) -> Turn {
        let seekable = self.is_seekable(file);
        Turn { lease: self.cursor.lease(), file: Arc::clone(file), seekable }
    }

    /// Waits for the turn to write. As [`Shared::turn_to_read`].
    pub(super) fn turn_to_write(&self, file: &Arc<File>) -> Turn {
        let seekable = self.is_seekable(file);
        let home = if seekable { &self.cursor } else { &self.writer };
        Turn { lease: home.lease(), file: Arc::clone(file), seekable }
    }

    /// Waits for the calls that nobody waits for any more. As [`Shared::turn_to_read`].
    pub(super) fn wait_for_writes(&self, file: &File) {
        if self.is_seekable(file) { self.cursor.pass() } else { self.writer.pass() }
    }
}

/// A turn, with the buffer. Dropped, what was read and not taken is given back to the file, if it can be, or else kept.
pub(super) struct Turn {
    /// The buffer.
    pub(super) lease: Lease<Buffer>,
    /// Whose cursor it is.
    pub(super) file: Arc<File>,
    /// Whether the cursor can be moved.
    seekable: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let length = self.lease.rest().len();
        if length > 0 && self.seekable && step_back(&self.file, length) {
            self.lease.clear();
        }
    }
}

/// Moves the cursor back by `length` bytes; `false` if it does not move there.
fn step_back(mut file: &File, length: usize) -> bool {
    let Ok(at) = file.stream_position() else {
        return false;
    };
    let Some(before) = at.checked_sub(length as u64) else {
        return false;
    };
    file.seek(SeekFrom::Start(before)).is_ok_and(|now| now == before)
}
