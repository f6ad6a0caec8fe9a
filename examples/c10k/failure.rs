//! Why a run stops: a shortage, which a user can end (exit code 2), or anything else (exit code 1).

use std::fmt;
use std::io;

#[derive(Debug)]
pub(crate) enum Failure {
    Shortage(Vec<Shortage>),
    /// A shortage that the server has told of already.
    ToldShortage(String),
    Other(String),
}

/// A limit of the system that the run would hit.
#[derive(Debug)]
pub(crate) struct Shortage {
    /// The limit by its name, with its value.
    pub(crate) limit: String,
    /// What the run needs of it.
    pub(crate) need: String,
    /// What is possible as it stands.
    pub(crate) possible: String,
    /// The command that raises it.
    pub(crate) raise: String,
}

impl Failure {
    pub(crate) fn other(what: String) -> Self {
        Failure::Other(what)
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Shortage(_) | Failure::ToldShortage(_) => 2,
            Failure::Other(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Other(what) | Failure::ToldShortage(what) => out.write_str(what),
            Failure::Shortage(shortages) => shortages.iter().try_for_each(|shortage| shortage.fmt(out)),
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "too small: {}", self.limit)?;
        writeln!(out, "  needed:   {}", self.need)?;
        writeln!(out, "  possible: {}", self.possible)?;
        writeln!(out, "  raise it: {}", self.raise)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Other(error.to_string())
    }
}
