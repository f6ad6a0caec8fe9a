//! The queues of one bucket: for each key that is waited for, its waiters in order.
//!
//! Pure: no lock, no wake. Every step but the search for the key is O(1), from the middle of a queue too.
//!
//! Invariant 1: `keys` names exactly those keys for which a node is `Queued`, with the first and the last of them; `next` and
//! `previous` link them.
//! Invariant 2: a node that is `Chosen` is in no queue, and is there until its owner removes it.

use crate::waiter::Waiter;
use slab::Slab;

/// What a waiter says of itself.
pub(crate) type Mark = u8;

/// What a waiter was chosen for.
pub(crate) type Answer = u8;

/// No node.
const NONE: u32 = u32::MAX;

/// The most places that stay allocated while nobody waits.
const KEPT: usize = 64;

/// Where in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Before all others.
    Front,
    /// After all others.
    Back,
}

/// See the heading.
#[derive(Debug)]
pub(super) struct Queues {
    /// The keys that are waited for (invariant 1).
    keys: Vec<Queue>,
    /// Every place.
    nodes: Slab<Node>,
}

/// One queue.
#[derive(Debug)]
struct Queue {
    /// Whose.
    key: usize,
    /// Its first node.
    first: u32,
    /// Its last node.
    last: u32,
}

/// One place.
#[derive(Debug)]
struct Node {
    /// In whose queue it is, or was.
    key: usize,
    /// Who has it.
    holder: Holder,
    /// What that one says of itself.
    mark: Mark,
    /// The node before it, while queued.
    previous: u32,
    /// The node behind it, while queued.
    next: u32,
}

/// Who has a place.
#[derive(Debug)]
enum Holder {
    /// Somebody who waits.
    Queued(Waiter),
    /// Somebody who was chosen for this.
    Chosen(Answer),
}

/// What a waiter finds at its place.
#[derive(Debug)]
pub(super) enum Look {
    /// It was chosen, and the place is no more.
    Chosen(Answer),
    /// It still waits; this is the waiter that was left there before.
    Queued(Waiter),
}

impl Queues {
    pub(super) const fn new() -> Queues {
        Queues { keys: Vec::new(), nodes: Slab::new() }
    }

    fn find(&self, key: usize) -> Option<usize> {
        self.keys.iter().position(|queue| queue.key == key)
    }

    /// Adds a waiter; gives its place.
    pub(super) fn push(&mut self, key: usize, mark: Mark, end: End, waiter: Waiter) -> usize {
        let holder = Holder::Queued(waiter);
        let place = self.nodes.insert(Node { key, holder, mark, previous: NONE, next: NONE });
        let name = u32::try_from(place).expect("fewer than four billion wait");
        match (self.find(key), end) {
            (None, _) => self.keys.push(Queue { key, first: name, last: name }),
            (Some(at), End::Back) => {
                let last = std::mem::replace(&mut self.keys[at].last, name);
                self.nodes[last as usize].next = name;
                self.nodes[place].previous = last;
            }
            (Some(at), End::Front) => {
                let first = std::mem::replace(&mut self.keys[at].first, name);
                self.nodes[first as usize].previous = name;
                self.nodes[place].next = first;
            }
        }
        place
    }

    /// What the waiters of `key` say of themselves, in order.
    pub(super) fn marks(&self, key: usize) -> impl Iterator<Item = Mark> {
        let mut at = self.find(key).map_or(NONE, |queue| self.keys[queue].first);
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            at = node.next;
            Some(node.mark)
        })
    }

    /// Chooses the first waiter of `key`, who is to be woken. Gives its place, too.
    pub(super) fn choose(&mut self, key: usize, answer: Answer) -> Option<(usize, Waiter)> {
        let place = self.keys[self.find(key)?].first as usize;
        self.unlink(place);
        match std::mem::replace(&mut self.nodes[place].holder, Holder::Chosen(answer)) {
            Holder::Queued(waiter) => Some((place, waiter)),
            Holder::Chosen(_) => unreachable!("who was chosen is in no queue"),
        }
    }

    /// Leaves another waiter at a place whose owner still waits; removes it if that was chosen.
    pub(super) fn look(&mut self, place: usize, waiter: impl FnOnce() -> Waiter) -> Look {
        match &mut self.nodes[place].holder {
            Holder::Queued(old) => Look::Queued(std::mem::replace(old, waiter())),
            Holder::Chosen(answer) => {
                let answer = *answer;
                self.free(place);
                Look::Chosen(answer)
            }
        }
    }

    /// Removes a place: gives the waiter that was there, or what its owner was chosen for.
    pub(super) fn remove(&mut self, place: usize) -> Result<Waiter, Answer> {
        if let Holder::Queued(_) = self.nodes[place].holder {
            self.unlink(place);
        }
        match self.free(place) {
            Holder::Queued(waiter) => Ok(waiter),
            Holder::Chosen(answer) => Err(answer),
        }
    }

    /// Takes a queued node out of its queue.
    fn unlink(&mut self, place: usize) {
        let Node { key, previous, next, .. } = self.nodes[place];
        let at = self.find(key).expect("invariant 1");
        match self.nodes.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.keys[at].first = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(behind) => behind.previous = previous,
            None => self.keys[at].last = previous,
        }
        if self.keys[at].first == NONE {
            self.keys.swap_remove(at);
        }
    }

    /// Frees a node that is in no queue, and the memory of a crowd that is gone.
    fn free(&mut self, place: usize) -> Holder {
        let holder = self.nodes.remove(place).holder;
        if self.nodes.is_empty() && self.nodes.capacity().max(self.keys.capacity()) > KEPT {
            *self = Queues::new();
        }
        holder
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use crate::waiter::Wait;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// Fewer under Miri, which is a thousand times slower.
    const STEPS: usize = if cfg!(miri) { 40 } else { 200 };

    /// More than stay allocated.
    const CROWD: usize = if cfg!(miri) { 100 } else { 1000 };

    /// What may happen in a bucket; places are named by their order of arrival.
    #[derive(Clone, Debug)]
    enum Step {
        Push(usize, bool),
        Choose(usize),
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3usize, any::<bool>()).prop_map(|(key, front)| Step::Push(key, front)),
            (0..3usize).prop_map(Step::Choose),
            (0..64usize).prop_map(Step::Remove),
        ]
    }

    /// The same with a deque per key, in which a waiter is its mark.
    #[derive(Default)]
    struct Model {
        queues: [VecDeque<Mark>; 3],
        places: Vec<(usize, Mark, usize)>,
    }

    impl Model {
        fn apply(&mut self, queues: &mut Queues, step: &Step, mark: Mark) {
            match *step {
                Step::Push(key, front) => {
                    let end = if front { End::Front } else { End::Back };
                    let place = queues.push(key, mark, end, Wait::begin().waiter());
                    self.places.push((place, mark, key));
                    if front { self.queues[key].push_front(mark) } else { self.queues[key].push_back(mark) }
                }
                Step::Choose(key) => {
                    let first = self.queues[key].pop_front();
                    let chosen = queues.choose(key, first.unwrap_or_default());
                    assert_eq!(chosen.is_some(), first.is_some());
                }
                Step::Remove(nth) if !self.places.is_empty() => {
                    let (place, mark, key) = self.places.swap_remove(nth % self.places.len());
                    let queued = self.queues[key].iter().position(|own| *own == mark);
                    assert_eq!(queues.remove(place).err(), queued.is_none().then_some(mark));
                    queued.map(|at| self.queues[key].remove(at));
                }
                Step::Remove(_) => {}
            }
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_deque_per_key(steps in prop::collection::vec(step(), 0..STEPS)) {
            let (mut queues, mut model) = (Queues::new(), Model::default());
            for (mark, step) in steps.iter().enumerate() {
                model.apply(&mut queues, step, mark as Mark);
                for key in 0..3 {
                    prop_assert_eq!(queues.marks(key).collect::<Vec<_>>(), Vec::from(model.queues[key].clone()));
                }
            }
        }
    }

    #[test]
    fn a_waiter_that_looks_in_vain_keeps_its_place() {
        let mut queues = Queues::new();
        let waiter = || Wait::begin().waiter();
        let (first, _second) = (queues.push(1, 1, End::Back, waiter()), queues.push(1, 2, End::Back, waiter()));
        assert!(matches!(queues.look(first, waiter), Look::Queued(_)));
        assert_eq!(queues.marks(1).collect::<Vec<_>>(), [1, 2]);
        assert!(queues.choose(1, 9).is_some());
        assert!(matches!(queues.look(first, waiter), Look::Chosen(9)));
    }

    #[test]
    fn a_crowd_that_is_gone_leaves_no_memory() {
        let mut queues = Queues::new();
        let places: Vec<_> = (0..CROWD).map(|key| queues.push(key, 0, End::Back, Wait::begin().waiter())).collect();
        places.into_iter().for_each(|place| drop(queues.remove(place)));
        assert_eq!((queues.nodes.capacity(), queues.keys.capacity()), (0, 0));
    }
}
