//! What a client's own coroutine knows of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use super::args::Words;
use super::client::Client;
use super::command::Command;
use super::database::Dirty;
use super::lines::Place;
use super::store::Store;

/// A transaction that is not executed yet.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) commands: Vec<(&'static Command, Words)>,
    /// Whether one of them was refused: then none is executed.
    pub(crate) is_spoilt: bool,
}

/// What the client wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    All,
    Nothing,
    /// All but the answer to the next command.
    AllButNext,
    /// All but the answer to this one.
    AllButThis,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    pub(crate) database: usize,
    pub(crate) queue: Option<Queue>,
    pub(crate) watched: Vec<Place>,
    pub(crate) dirty: Dirty,
    pub(crate) channels: BTreeSet<Box<[u8]>>,
    pub(crate) patterns: BTreeSet<Box<[u8]>>,
    pub(crate) hearing: Hearing,
    /// Whether the connection ends once all is said.
    pub(crate) is_ending: bool,
    /// Whether a transaction is executed: nothing in it waits.
    pub(crate) is_executing: bool,
    /// It waits for a list, until then.
    pub(crate) waits: Option<Option<Instant>>,
    /// The last command, with its subcommand.
    pub(crate) command: &'static str,
}

impl Session {
    pub(crate) fn new(client: Arc<Client>) -> Session {
        Session {
            client,
            database: 0,
            queue: None,
            watched: Vec::new(),
            dirty: Arc::new(AtomicBool::new(false)),
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            hearing: Hearing::All,
            is_ending: false,
            is_executing: false,
            waits: None,
            command: "NULL",
        }
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    pub(crate) fn select(&mut self, database: usize) {
        self.database = database;
        self.client.database.store(database, Relaxed);
    }

    /// Ends the transaction, executed or not.
    pub(crate) fn end_queue(&mut self, store: &mut Store) -> Option<Queue> {
        self.unwatch(store);
        self.client.queued.store(-1, Relaxed);
        self.queue.take()
    }

    pub(crate) fn unwatch(&mut self, store: &mut Store) {
        for (database, key) in self.watched.drain(..) {
            store.databases[database].unwatch(&key, &self.dirty);
        }
        self.dirty.store(false, Relaxed);
    }

    /// Ends all subscriptions, without a word.
    pub(crate) fn unsubscribe_all(&mut self, store: &mut Store) {
        let id = self.client.id;
        let both = [(&mut store.hub.channels, &mut self.channels), (&mut store.hub.patterns, &mut self.patterns)];
        for (listened, own) in both {
            for name in std::mem::take(own) {
                if let Some(listeners) = listened.get_mut(&name) {
                    listeners.remove(&id);
                    if listeners.is_empty() {
                        listened.remove(&name);
                    }
                }
            }
        }
        self.note_subscriptions();
    }

    pub(crate) fn note_subscriptions(&self) {
        self.client.channels.store(self.channels.len(), Relaxed);
        self.client.patterns.store(self.patterns.len(), Relaxed);
    }
}
