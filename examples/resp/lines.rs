//! Clients that wait for a list to have something: in line, for one list or for several.
//!
//! Knows who waits for what, and not what a list is.
//!
//! 1. Who waits is in the line of each of its keys, until it is answered or leaves; it is answered once.
//! 2. A key is among the ready ones only if somebody waited for it when it was put there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::client::Client;
use super::failure::Failure;

/// A key of a database.
pub(crate) type Place = (usize, Box<[u8]>);

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
}

/// What is done with the list that has something.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Pop(End),
    /// Up to so many.
    PopMany(End, usize),
    Move {
        to: Box<[u8]>,
        from_end: End,
        to_end: End,
    },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Popped(Box<[u8]>, Box<[u8]>),
    PoppedMany(Box<[u8]>, Vec<Box<[u8]>>),
    Moved(Box<[u8]>),
    Failed(Failure),
    /// As if the time were over.
    Nothing,
}

#[derive(Debug)]
struct Waiting {
    client: Arc<Client>,
    places: Vec<Place>,
    action: Action,
    outcome: Option<Outcome>,
}

#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: HashMap<Place, VecDeque<u64>>,
    waiting: HashMap<u64, Waiting>,
    ready: VecDeque<Place>,
}

impl Lines {
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Clients that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts a client at the end of each line.
    pub(crate) fn join(&mut self, client: &Arc<Client>, places: Vec<Place>, action: Action) {
        for place in &places {
            let line = self.lines.entry(place.clone()).or_default();
            // A key may be named twice.
            if line.back() != Some(&client.id) {
                line.push_back(client.id);
            }
        }
        let waiting = Waiting { client: Arc::clone(client), places, action, outcome: None };
        self.waiting.insert(client.id, waiting);
    }

    /// Says that a list has something.
    pub(crate) fn note(&mut self, database: usize, key: &[u8]) {
        let place = (database, Box::from(key));
        if self.lines.contains_key(&place) && !self.ready.contains(&place) {
            self.ready.push_back(place);
        }
    }

    /// Says that any list of a database may have something.
    pub(crate) fn note_all(&mut self, database: usize) {
        let places: Vec<Place> = self.lines.keys().filter(|(other, _)| *other == database).cloned().collect();
        self.ready.extend(places);
    }

    pub(crate) fn next_ready(&mut self) -> Option<Place> {
        self.ready.pop_front()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Who is first in a line, and what it wants.
    pub(crate) fn first(&self, place: &Place) -> Option<(u64, Action)> {
        let id = *self.lines.get(place)?.front()?;
        Some((id, self.waiting.get(&id)?.action.clone()))
    }

    /// Answers a client, which leaves its lines; `false` if it does not wait.
    pub(crate) fn answer(&mut self, id: u64, outcome: Outcome) -> bool {
        self.step_out(id);
        match self.waiting.get_mut(&id) {
            Some(waiting) if waiting.outcome.is_none() => {
                waiting.outcome = Some(outcome);
                waiting.client.woken.notify_one();
                true
            }
            _ => false,
        }
    }

    /// What came of a client's wait so far.
    pub(crate) fn outcome(&mut self, id: u64) -> Option<Outcome> {
        self.waiting.get_mut(&id)?.outcome.take()
    }

    /// A client waits no longer. What it was answered meanwhile is in the result.
    pub(crate) fn leave(&mut self, id: u64) -> Option<Outcome> {
        self.step_out(id);
        self.waiting.remove(&id)?.outcome
    }

    /// Invariant 1.
    fn step_out(&mut self, id: u64) {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return;
        };
        for place in std::mem::take(&mut waiting.places) {
            if let Some(line) = self.lines.get_mut(&place) {
                line.retain(|other| *other != id);
                if line.is_empty() {
                    self.lines.remove(&place);
                }
            }
        }
    }
}
