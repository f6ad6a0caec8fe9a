//! What std has below `std::os` for sockets, under the same paths.

/// As `std::os::unix`.
pub mod unix {
    /// As [`std::os::unix::net`].
    pub mod net {
        pub use std::os::unix::net::SocketAddr;

        pub use crate::unix::{
            AncillaryData, AncillaryError, Messages, ScmCredentials, ScmRights, SocketAncillary, SocketCred,
        };
        pub use crate::unix::{Incoming, UCred, UnixDatagram, UnixListener, UnixStream};
    }
}

/// As `std::os::linux`.
pub mod linux {
    /// As [`std::os::linux::net`].
    pub mod net {
        pub use std::os::linux::net::SocketAddrExt;

        pub use crate::tcp::TcpStreamExt;
        pub use crate::unix::UnixSocketExt;
    }
}
