//! When clients come: at random, independent of each other and of the server (a Poisson process).

use std::time::Duration;

/// The times of one load, from its beginning on; the same in every run.
pub(crate) struct Arrivals {
    /// Of a xorshift generator; not zero.
    state: u64,
    /// Clients a second.
    rate: f64,
    /// Seconds.
    next: f64,
}

impl Arrivals {
    pub(crate) fn new(rate: f64) -> Self {
        let mut arrivals = Self { state: 0x2545_F491_4F6C_DD1D, rate, next: 0.0 };
        arrivals.advance();
        arrivals
    }

    /// The next, if it is before `now`.
    pub(crate) fn due(&mut self, now: Duration) -> Option<Duration> {
        let next = self.next();
        (next <= now).then(|| {
            self.advance();
            next
        })
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Duration {
        Duration::from_secs_f64(self.next)
    }

    fn advance(&mut self) {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        // In (0, 1].
        let uniform = ((self.state >> 11) + 1) as f64 / (1u64 << 53) as f64;
        self.next += -uniform.ln() / self.rate;
    }
}
