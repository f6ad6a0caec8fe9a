//! What a client is told that went wrong, in the words of Redis.

use std::borrow::Cow;

/// An error, as it is told, its kind first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(Cow<'static, [u8]>);

impl Failure {
    pub(crate) const SYNTAX: Failure = Failure::fixed("ERR syntax error");
    pub(crate) const WRONG_TYPE: Failure =
        Failure::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(crate) const NOT_INTEGER: Failure = Failure::fixed("ERR value is not an integer or out of range");
    pub(crate) const NOT_FLOAT: Failure = Failure::fixed("ERR value is not a valid float");
    pub(crate) const NO_KEY: Failure = Failure::fixed("ERR no such key");
    pub(crate) const OVERFLOW: Failure = Failure::fixed("ERR increment or decrement would overflow");
    pub(crate) const NOT_FINITE: Failure = Failure::fixed("ERR increment would produce NaN or Infinity");
    pub(crate) const NOT_POSITIVE: Failure = Failure::fixed("ERR value is out of range, must be positive");
    pub(crate) const OUT_OF_RANGE: Failure = Failure::fixed("ERR value is out of range");
    pub(crate) const NOT_COUNT: Failure =
        Failure::fixed("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
    pub(crate) const INDEX: Failure = Failure::fixed("ERR index out of range");
    pub(crate) const DATABASE: Failure = Failure::fixed("ERR DB index is out of range");
    pub(crate) const TOO_LONG: Failure = Failure::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    pub(crate) const CURSOR: Failure = Failure::fixed("ERR invalid cursor");

    pub(crate) const fn fixed(text: &'static str) -> Failure {
        Failure(Cow::Borrowed(text.as_bytes()))
    }

    /// `text` with its kind in front.
    pub(crate) fn new(text: impl Into<Vec<u8>>) -> Failure {
        Failure(Cow::Owned(text.into()))
    }

    /// The wrong number of words for the command of this name.
    pub(crate) fn arity(name: &str) -> Failure {
        Failure::new(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// The same of a subcommand, by those that count their words themselves.
    pub(crate) fn subcommand(word: &[u8], family: &str) -> Failure {
        let begin: &[u8] = b"ERR unknown subcommand or wrong number of arguments for '";
        Failure::new([begin, word, b"'. Try ", family.as_bytes(), b" HELP."].concat())
    }

    pub(crate) fn expire(name: &str) -> Failure {
        Failure::new(format!("ERR invalid expire time in '{name}' command"))
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }
}

/// Whether a command did what it was to.
pub(crate) type Done = Result<(), Failure>;
