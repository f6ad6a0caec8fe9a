//! All that clients share, behind the one lock of the server.
//!
//! One lock, as Redis has one thread: commands, and transactions of them, happen one behind the other. It is held for a
//! batch of commands at the most, and never while something waits, but for DEBUG SLEEP, which is there for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dormouse::sync::Notify;

use super::client::Client;
use super::config::Config;
use super::database::{Database, Entry};
use super::failure::Failure;
use super::hub::Hub;
use super::lines::{Action, End, Lines, Outcome, Place};
use super::random::Random;
use super::value::{Kind, List};

/// Databases, as Redis has unless told.
pub(crate) const DATABASES: usize = 16;

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: u64,
    pub(crate) commands: u64,
    pub(crate) rejected: u64,
    pub(crate) errors: u64,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) databases: Vec<Database>,
    pub(crate) lines: Lines,
    pub(crate) hub: Hub,
    pub(crate) clients: BTreeMap<u64, Arc<Client>>,
    pub(crate) config: Config,
    pub(crate) counts: Counts,
    pub(crate) random: Random,
    /// Milliseconds since 1970, when the commands that run began to.
    pub(crate) now: u64,
    next_client: u64,
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl Store {
    pub(crate) fn new(config: Config, sooner: &Arc<Notify>) -> Store {
        Store {
            databases: (0..DATABASES).map(|_| Database::new(sooner)).collect(),
            lines: Lines::default(),
            hub: Hub::default(),
            clients: BTreeMap::new(),
            config,
            counts: Counts::default(),
            random: Random::new(),
            now: now(),
            next_client: 1,
        }
    }

    /// The number of a client that is let in.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_client += 1;
        self.next_client - 1
    }

    #[inline]
    pub(crate) fn find(&mut self, database: usize, key: &[u8]) -> Option<&mut Entry> {
        self.databases[database].find(key, self.now)
    }

    pub(crate) fn contains(&mut self, database: usize, key: &[u8]) -> bool {
        self.databases[database].contains(key, self.now)
    }

    #[inline]
    pub(crate) fn get<T: Kind>(&mut self, database: usize, key: &[u8]) -> Result<Option<&mut T>, Failure> {
        self.databases[database].get(key, self.now)
    }

    pub(crate) fn get_or_new<T: Kind>(&mut self, database: usize, key: &[u8]) -> Result<&mut T, Failure> {
        self.databases[database].get_or_new(key, self.now)
    }

    /// Removes a key; `None` if there is none, or none any more.
    pub(crate) fn remove(&mut self, database: usize, key: &[u8]) -> Option<Entry> {
        self.find(database, key)?;
        self.databases[database].remove(key)
    }

    /// Says that something was put into a list, or that a key holds one now.
    pub(crate) fn note(&mut self, database: usize, key: &[u8]) {
        if !self.lines.is_empty() {
            self.lines.note(database, key);
        }
    }

    /// SWAPDB. Lists that come to a database may be waited for there.
    pub(crate) fn swap(&mut self, one: usize, other: usize) {
        if one == other {
            return;
        }
        let (low, high) = self.databases.split_at_mut(one.max(other));
        low[one.min(other)].exchange(&mut high[0]);
        for database in [one, other] {
            self.lines.note_all(database);
        }
    }

    /// Gives what lists have to those who wait for it, in the order of their waiting.
    pub(crate) fn serve(&mut self) {
        while let Some(place) = self.lines.next_ready() {
            while let Some((id, action)) = self.lines.first(&place) {
                match self.act(&place, &action) {
                    Some(outcome) => self.lines.answer(id, outcome),
                    None => break,
                };
            }
        }
    }

    /// `None` if there is nothing in the list, or no list.
    fn act(&mut self, (database, key): &Place, action: &Action) -> Option<Outcome> {
        let list: &mut List = self.get(*database, key).ok().flatten()?;
        match action {
            Action::Pop(end) => {
                let value = take(list, *end)?;
                self.databases[*database].settle(key);
                Some(Outcome::Popped(key.clone(), value))
            }
            Action::PopMany(end, most) => {
                let values = take_many(list, *end, *most);
                self.databases[*database].settle(key);
                Some(Outcome::PoppedMany(key.clone(), values))
            }
            Action::Move { to, from_end, to_end } => {
                let moved = self.shift(*database, key, to, *from_end, *to_end);
                Some(moved.map_or_else(Outcome::Failed, |value| value.map_or(Outcome::Nothing, Outcome::Moved)))
            }
        }
    }

    /// Moves one value from a list to another, or to its own other end; `None` if there is none.
    pub(crate) fn shift(
        &mut self,
        database: usize,
        from: &[u8],
        to: &[u8],
        from_end: End,
        to_end: End,
    ) -> Result<Option<Box<[u8]>>, Failure> {
        if self.get::<List>(database, from)?.is_none() {
            return Ok(None);
        }
        self.get::<List>(database, to)?;
        let list: &mut List = self.get_or_new(database, from)?;
        let Some(value) = take(list, from_end) else {
            return Ok(None);
        };
        if from != to {
            self.databases[database].settle(from);
        }
        put(self.get_or_new(database, to)?, to_end, value.clone());
        self.databases[database].touch(to);
        self.note(database, to);
        Ok(Some(value))
    }
}

pub(crate) fn take(list: &mut List, end: End) -> Option<Box<[u8]>> {
    match end {
        End::Left => list.pop_front(),
        End::Right => list.pop_back(),
    }
}

pub(crate) fn take_many(list: &mut List, end: End, most: usize) -> Vec<Box<[u8]>> {
    std::iter::from_fn(|| take(list, end)).take(most).collect()
}

pub(crate) fn put(list: &mut List, end: End, value: Box<[u8]>) {
    match end {
        End::Left => list.push_front(value),
        End::Right => list.push_back(value),
    }
}
