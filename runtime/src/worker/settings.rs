//! What a worker is made with.

use crate::long_run::Report;
use crate::remote::RecordRef;
use crate::stack::StackSettings;
use crate::sys::affinity::CpuSet;

/// What a worker is to be.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    /// Its stacks.
    pub(crate) stacks: StackSettings,
    /// Nanoseconds from which on a run is long.
    pub(crate) long_run: u64,
    /// Makes the coroutine that tells of a long run: whoever listens is the user's code.
    pub(crate) reporter: fn(Report) -> RecordRef,
    /// Where its thread could run before it was pinned, if it is.
    pub(crate) unpinned: Option<CpuSet>,
}
