//! What is to be known of a command, and how one is found by its name.

use std::sync::LazyLock;

use super::call::Call;
use super::commands;
use super::failure::Done;

/// Flags, as COMMAND INFO names them.
pub(crate) mod flag {
    pub(crate) const WRITE: u32 = 1;
    pub(crate) const READ: u32 = 1 << 1;
    pub(crate) const FAST: u32 = 1 << 2;
    pub(crate) const ADMIN: u32 = 1 << 3;
    pub(crate) const PUBSUB: u32 = 1 << 4;
    pub(crate) const BLOCKING: u32 = 1 << 5;
    pub(crate) const GROWS: u32 = 1 << 6;
    /// May be called by who listens to channels, and speaks version 2.
    pub(crate) const LISTENING: u32 = 1 << 7;
    /// Is executed at once, also between MULTI and EXEC.
    pub(crate) const AT_ONCE: u32 = 1 << 8;

    pub(crate) const NAMES: [(u32, &str); 7] = [
        (WRITE, "write"),
        (READ, "readonly"),
        (GROWS, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (BLOCKING, "blocking"),
        (FAST, "fast"),
    ];
}

/// Where the keys are among the words: first, last (from the end, if negative) and step.
pub(crate) type Keys = (i64, i64, i64);

pub(crate) const NO_KEYS: Keys = (0, 0, 0);
pub(crate) const ONE_KEY: Keys = (1, 1, 1);
pub(crate) const TWO_KEYS: Keys = (1, 2, 1);
pub(crate) const ALL_KEYS: Keys = (1, -1, 1);

pub(crate) type Run = fn(&mut Call<'_>) -> Done;

#[derive(Debug)]
pub(crate) struct Command {
    /// In lower case; of a subcommand, behind that of its command and a bar.
    pub(crate) name: &'static str,
    /// Its words, the name among them; at least as many, if negative.
    pub(crate) arity: i64,
    pub(crate) flags: u32,
    pub(crate) keys: Keys,
    pub(crate) run: Run,
    pub(crate) summary: &'static str,
    pub(crate) subcommands: &'static [Command],
}

impl Command {
    pub(crate) const fn new(
        name: &'static str,
        arity: i64,
        flags: u32,
        keys: Keys,
        run: Run,
        summary: &'static str,
    ) -> Command {
        Command { name, arity, flags, keys, run, summary, subcommands: &[] }
    }

    /// With subcommands, one of which is called unless there is none among the words.
    pub(crate) const fn with(mut self, subcommands: &'static [Command]) -> Command {
        self.subcommands = subcommands;
        self
    }

    #[inline]
    pub(crate) fn takes(&self, words: usize) -> bool {
        let words = words as i64;
        if self.arity >= 0 { words == self.arity } else { words >= -self.arity }
    }

    #[inline]
    pub(crate) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The subcommand of this name.
    pub(crate) fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        let skipped = self.name.len() + 1;
        self.subcommands.iter().find(|sub| sub.name.as_bytes()[skipped..].eq_ignore_ascii_case(name))
    }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    commands::ALL.iter().copied().flatten()
}

/// Slots of the index: many more than there are commands.
const SLOTS: usize = 1024;

/// Finds a command by its name. Names that share a slot are in the next ones.
static INDEX: LazyLock<Vec<Option<&'static Command>>> = LazyLock::new(|| {
    let mut index = vec![None; SLOTS];
    for command in all() {
        let mut slot = slot(command.name.as_bytes());
        while index[slot].is_some() {
            slot = (slot + 1) % SLOTS;
        }
        index[slot] = Some(command);
    }
    index
});

#[inline]
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    let mut slot = slot(name);
    while let Some(command) = INDEX[slot] {
        if command.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        slot = (slot + 1) % SLOTS;
    }
    None
}

/// By the first, middle and last letter, and the length: names are known, so nobody can choose those that collide.
#[inline]
fn slot(name: &[u8]) -> usize {
    let letter = |at: usize| name.get(at).map_or(0, |byte| usize::from(byte | 0x20));
    let length = name.len();
    (letter(0) * 31 + letter(length / 2) * 17 + letter(length.wrapping_sub(1)) * 7 + length * 131) % SLOTS
}
