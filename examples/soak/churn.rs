//! Begins tasks at random, cancels and joins them at random, and counts.

use crate::connections::Echo;
use crate::tasks::{KINDS, Kind, OnPurpose, Shared};
use dormouse::Cancelled;
use dormouse::thread::{self, JoinHandle};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Random numbers: splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.throw() % limit as u64) as usize
    }

    /// Up to so many microseconds.
    pub(crate) fn micros(&mut self, most: usize) -> Duration {
        Duration::from_micros(self.below(most + 1) as u64)
    }

    /// Others, for somebody else.
    fn split(&mut self) -> Dice {
        Dice(self.throw())
    }
}

/// How the tasks of one kind ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    /// By themselves.
    done: u64,
    /// By a cancel.
    cancelled: u64,
    /// By a panic that was meant.
    panicked: u64,
    /// Left alone.
    detached: u64,
}

/// How all of them ended.
#[derive(Debug, Default)]
pub(crate) struct Tally([Ends; KINDS.len()]);

/// One under way.
struct Task {
    /// Which of `KINDS`.
    kind: usize,
    handle: JoinHandle<()>,
    /// Whether it was told to end.
    cancelled: bool,
}

/// One phase: what its tasks share, and those under way.
pub(crate) struct Churn {
    dice: Dice,
    most: usize,
    shared: Arc<Shared>,
    echo: Echo,
    /// The oldest first.
    tasks: VecDeque<Task>,
    tally: Tally,
}

impl Churn {
    /// # Errors
    ///
    /// If the server of the connections cannot listen, or no file can be written.
    pub(crate) fn begin(seed: u64, most: usize) -> io::Result<Churn> {
        let echo = Echo::listen()?;
        let shared = Arc::new(Shared::new(echo.address())?);
        Ok(Churn { dice: Dice(seed), most: most.max(1), shared, echo, tasks: VecDeque::new(), tally: Tally::default() })
    }

    /// # Errors
    ///
    /// The first that a task met and should not have.
    pub(crate) fn run_for(mut self, time: Duration) -> Result<Tally, String> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step()?;
        }
        while let Some(task) = self.tasks.pop_front() {
            self.join(task)?;
        }
        self.echo.close();
        self.shared.check()?;
        Ok(self.tally)
    }

    fn step(&mut self) -> Result<(), String> {
        self.spawn();
        while self.tasks.len() > self.most {
            let oldest = self.tasks.pop_front().expect("there are many");
            self.join(oldest)?;
        }
        match self.dice.below(16) {
            0..=2 => self.cancel(),
            3 => thread::sleep(self.dice.micros(300)),
            4 => thread::yield_now(),
            5 => self.detach(),
            _ => {}
        }
        Ok(())
    }

    fn spawn(&mut self) {
        let kind = self.dice.below(KINDS.len());
        let (shared, dice) = (Arc::clone(&self.shared), self.dice.split());
        let Kind { run, .. } = KINDS[kind];
        let handle = thread::spawn(move || run(&shared, dice));
        self.tasks.push_back(Task { kind, handle, cancelled: false });
    }

    /// Some task, wherever it is: not begun, waiting for anything, or over.
    fn cancel(&mut self) {
        if !self.tasks.is_empty() {
            let which = self.dice.below(self.tasks.len());
            self.tasks[which].handle.cancel();
            self.tasks[which].cancelled = true;
        }
    }

    /// Nobody joins it; that it has ended is seen in the levels.
    fn detach(&mut self) {
        if !self.tasks.is_empty() {
            let which = self.dice.below(self.tasks.len());
            let task = self.tasks.swap_remove_back(which).expect("it is one of them");
            self.tally.0[task.kind].detached += 1;
        }
    }

    fn join(&mut self, task: Task) -> Result<(), String> {
        let (name, ends) = (KINDS[task.kind].name, &mut self.tally.0[task.kind]);
        match task.handle.join() {
            Ok(()) => ends.done += 1,
            Err(payload) if payload.is::<OnPurpose>() => ends.panicked += 1,
            Err(payload) if payload.is::<Cancelled>() && task.cancelled => ends.cancelled += 1,
            Err(_) => return Err(format!("a task of kind `{name}` failed")),
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12} {:>10} {:>10} {:>10} {:>10}", "tasks", "done", "cancelled", "panicked", "detached")?;
        for (kind, ends) in KINDS.iter().zip(&self.0) {
            let Ends { done, cancelled, panicked, detached } = ends;
            writeln!(f, "{:<12} {done:>10} {cancelled:>10} {panicked:>10} {detached:>10}", kind.name)?;
        }
        Ok(())
    }
}
