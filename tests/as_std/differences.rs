//! Where ours answer differently on purpose. Each must be seen: what does not differ any more, or differs in another way,
//! fails.

/// A line of a case that is not std's.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The name of the case.
    pub(crate) case: &'static str,
    /// What std says.
    pub(crate) std: &'static str,
    /// What ours say.
    pub(crate) ours: &'static str,
}

/// Each group under the reason for it.
pub(crate) const DIFFERENCES: &[Difference] = &[
    // Std sends a Unix datagram with write(2), which pipes and devices understand, ours with send(2), which they do not.
    Difference {
        case: "in a Unix datagram socket",
        std: "send: Uncategorized, Bad file descriptor (os error 9), Some(9)",
        ours: "send: Uncategorized, Socket operation on non-socket (os error 88), Some(88)",
    },
    Difference {
        case: "in a Unix datagram socket",
        std: "send: BrokenPipe, Broken pipe (os error 32), Some(32)",
        ours: "send: Uncategorized, Socket operation on non-socket (os error 88), Some(88)",
    },
];
