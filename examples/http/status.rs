//! Status codes, and the error that becomes one.
//!
//! Whatever refuses a request answers an [`io::Error`] with a [`Refusal`] in it, through all of std's traits; the
//! connection takes it out again and tells the client.

use std::error::Error;
use std::fmt;
use std::io;

/// A status code with its reason. RFC 9110, section 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16, pub(crate) &'static str);

pub(crate) const OK: Status = Status(200, "OK");
pub(crate) const PARTIAL_CONTENT: Status = Status(206, "Partial Content");
pub(crate) const MOVED_PERMANENTLY: Status = Status(301, "Moved Permanently");
pub(crate) const NOT_MODIFIED: Status = Status(304, "Not Modified");
pub(crate) const BAD_REQUEST: Status = Status(400, "Bad Request");
pub(crate) const FORBIDDEN: Status = Status(403, "Forbidden");
pub(crate) const NOT_FOUND: Status = Status(404, "Not Found");
pub(crate) const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
pub(crate) const REQUEST_TIMEOUT: Status = Status(408, "Request Timeout");
pub(crate) const PRECONDITION_FAILED: Status = Status(412, "Precondition Failed");
pub(crate) const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
pub(crate) const URI_TOO_LONG: Status = Status(414, "URI Too Long");
pub(crate) const RANGE_NOT_SATISFIABLE: Status = Status(416, "Range Not Satisfiable");
pub(crate) const EXPECTATION_FAILED: Status = Status(417, "Expectation Failed");
pub(crate) const FIELDS_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");
pub(crate) const INTERNAL_SERVER_ERROR: Status = Status(500, "Internal Server Error");
pub(crate) const NOT_IMPLEMENTED: Status = Status(501, "Not Implemented");
pub(crate) const SERVICE_UNAVAILABLE: Status = Status(503, "Service Unavailable");
pub(crate) const VERSION_NOT_SUPPORTED: Status = Status(505, "HTTP Version Not Supported");

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    /// For the client and the log.
    pub(crate) why: &'static str,
}

impl Refusal {
    pub(crate) fn new(status: Status, why: &'static str) -> Refusal {
        Refusal { status, why }
    }

    /// Of what cannot be understood.
    pub(crate) fn bad(why: &'static str) -> Refusal {
        Refusal::new(BAD_REQUEST, why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.why)
    }
}

impl Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, refusal)
    }
}
