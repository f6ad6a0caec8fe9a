//! Files and directories with the names and signatures of `std::fs`; what waits for a device parks the coroutine.
//!
//! No poller knows when a disk is ready, so a thread of the pool ([`blocking`](mod@crate::blocking)) makes each call; a
//! read of what the kernel has in memory is made at once, on the worker, where the file system can tell (RWF_NOWAIT,
//! preadv2(2)). On a plain thread every call is std's, made right there.
//!
//! # Blocking
//!
//! All functions and methods that can fail park a coroutine until the call has been made, unless they say that they
//! never block; they are cancellation points, and panic inside [`no_park`](crate::thread::no_park) if they have to
//! park. Errors are std's, and those of [`blocking::run`](crate::blocking::run).
//!
//! The close of a file, in its Drop, is made on the worker. So is a move of the cursor, but for one relative to the
//! end.
//!
//! A call of the pool that itself uses a file which coroutines use may have to wait for the turn of one whose call
//! waits for a thread of the pool: with as many such calls as threads, nobody gets on.
//!
//! # What a cancelled call leaves
//!
//! A call that was handed to the pool but has not begun is never made. One that has begun ends by itself, unheard: the
//! file may be created, renamed, removed or written although its caller has unwound. What the call would have given is
//! given back:
//!
//! * A [`File`] that was being opened is closed.
//! * A read did not happen: the cursor goes back to where it was. Where there is no cursor (a FIFO, a terminal), what
//!   comes is kept for the next read of the file or of one of its clones.
//! * A write happened or not, whole or in part, as if the process had been killed. Later calls on the same file, clones
//!   included, come after it.
//! * A lock that was being waited for is not held.
//! * A [`ReadDir`] goes on where it was.
//!
//! | room | |
//! |---|---|
//! | `path` | what is called by path |
//! | `buffer` | the bytes on their way between a caller and the pool |
//! | `cursor` | whose turn it is at the cursor of an open file |
//! | `file`, `options` | [`File`], and how it is opened |
//! | `transfer`, `positioned` | reading and writing at the cursor, and elsewhere |
//! | `lock` | flock(2) |
//! | `convert` | to and from descriptors |
//! | `directory`, `directory_builder` | listing and making directories |
//! | `unix` | what `std::os::unix::fs` adds |

mod buffer;
mod convert;
mod cursor;
mod directory;
mod directory_builder;
mod file;
mod lock;
mod options;
mod path;
mod positioned;
mod transfer;
pub mod unix;

pub use directory::{DirEntry, ReadDir, read_dir};
pub use directory_builder::{DirBuilder, create_dir, create_dir_all};
pub use file::File;
pub use options::OpenOptions;
#[allow(deprecated, reason = "std still has it")]
pub use path::soft_link;
pub use path::{
    canonicalize, copy, exists, hard_link, metadata, read, read_link, read_to_string, remove_dir, remove_dir_all,
    remove_file, rename, set_permissions, symlink_metadata, write,
};
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

#[cfg(all(test, not(dormouse_loom)))]
mod tests;
