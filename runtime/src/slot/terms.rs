//! On what terms a coroutine parks: what forbids its parks, what may end them, and how.
//!
//! Owns one word, so that whoever parks on no special terms finds that out by one look.
//!
//! ```text
//!      14      13      12      11        10        9        8       7 ... 0
//!   | ERRORS STRIKES TIMED | CLOSED SHIELDED | EXPIRED CANCELLED | depth in no_park |
//! ```
//!
//! Invariant 1: `TIMED` is set exactly while a timeout is around the code that runs, on this side of the innermost shield;
//! only then does the worker know a limit for this coroutine.
//! Invariant 2: `EXPIRED` is set only while `TIMED` is. It is a note, taken when somebody looked: without it, a timeout may
//! be over all the same.
//! Invariant 3: `STRIKES` says whose the timer of a parked coroutine is, and nothing else ever.

/// In place of the depth in `no_park`: there is no way out of it.
const NEVER_PARKS: u16 = 0xff;
/// The bits of the depth.
const DEPTH: u16 = 0xff;
/// A cancel was noted.
const CANCELLED: u16 = 1 << 8;
/// A timeout around it is known to be over.
const EXPIRED: u16 = 1 << 9;
/// Inside `shield`: a cancel waits.
const SHIELDED: u16 = 1 << 10;
/// Nothing strikes, and no peer is waited for, as in an unwind.
const CLOSED: u16 = 1 << 11;
/// Inside a timeout.
const TIMED: u16 = 1 << 12;
/// The timer of the park is the timeout's, not the operation's.
const STRIKES: u16 = 1 << 13;
/// What would be thrown is answered as an error.
const ERRORS: u16 = 1 << 14;

/// What begins and ends with a frame.
const OF_FRAMES: u16 = EXPIRED | SHIELDED | CLOSED | TIMED | STRIKES | ERRORS;

/// See the heading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms(u16);

impl Terms {
    /// Whether there are none.
    #[inline(always)]
    pub(crate) fn is_plain(self) -> bool {
        self.0 == 0
    }

    fn have(self, bits: u16) -> bool {
        self.0 & bits != 0
    }

    fn with(self, bits: u16) -> Terms {
        Terms(self.0 | bits)
    }

    fn without(self, bits: u16) -> Terms {
        Terms(self.0 & !bits)
    }

    // ---- no_park ---------------------------------------------------------------------------------------------------

    /// Whether a park is a panic.
    #[inline(always)]
    pub(crate) fn forbids_parks(self) -> bool {
        self.have(DEPTH)
    }

    /// Forbids parks for ever. Async-signal-safe.
    pub(crate) fn forbid_parks_for_good(&mut self) {
        *self = self.with(NEVER_PARKS);
    }

    /// One deeper in `no_park`; `false` if it is too deep for that.
    pub(crate) fn enter_no_park(&mut self) -> bool {
        match self.0 & DEPTH {
            NEVER_PARKS => {}
            depth if depth + 1 == NEVER_PARKS => return false,
            _ => self.0 += 1,
        }
        true
    }

    /// One less deep.
    pub(crate) fn leave_no_park(&mut self) {
        if !matches!(self.0 & DEPTH, 0 | NEVER_PARKS) {
            self.0 -= 1;
        }
    }

    // ---- what ends a park ------------------------------------------------------------------------------------------

    /// Takes note of a cancel. It stays.
    pub(crate) fn note_cancel(&mut self) {
        *self = self.with(CANCELLED);
    }

    /// Whether a cancel was noted, shielded or not.
    pub(crate) fn is_cancelled(self) -> bool {
        self.have(CANCELLED)
    }

    /// Takes note that a timeout is over.
    pub(crate) fn note_expiry(&mut self) {
        debug_assert!(self.is_timed());
        *self = self.with(EXPIRED);
    }

    /// Whether a timeout is known to be over.
    pub(crate) fn is_expired(self) -> bool {
        self.have(EXPIRED)
    }

    /// Whether no cancel may strike here, whatever else may.
    pub(crate) fn shields(self) -> bool {
        self.have(SHIELDED | CLOSED)
    }

    /// Whether nothing at all may strike here.
    pub(crate) fn is_closed(self) -> bool {
        self.have(CLOSED)
    }

    /// Whether a cancel is to strike.
    pub(crate) fn owes_cancel(self) -> bool {
        self.have(CANCELLED) && !self.shields()
    }

    /// Whether a cancel or a timeout is to strike.
    #[inline]
    pub(crate) fn is_due(self) -> bool {
        !self.is_closed() && (self.have(EXPIRED) || self.owes_cancel())
    }

    /// Whether what strikes is an error, and not thrown.
    pub(crate) fn asks_for_errors(self) -> bool {
        self.have(ERRORS)
    }

    /// Whether a timeout is around (invariant 1).
    pub(crate) fn is_timed(self) -> bool {
        self.have(TIMED)
    }

    /// Whether the timer of the present park is the timeout's.
    #[inline]
    pub(crate) fn strikes_by_timer(self) -> bool {
        self.have(STRIKES)
    }

    /// Says whose the timer of the park to come is.
    pub(crate) fn set_timer_strikes(&mut self, strikes: bool) {
        *self = if strikes { self.with(STRIKES) } else { self.without(STRIKES) };
    }

    // ---- frames ----------------------------------------------------------------------------------------------------

    /// Inside one more timeout.
    pub(crate) fn inside_timeout(self) -> Terms {
        self.with(TIMED)
    }

    /// Inside a shield, on the inner side of which no timeout is yet.
    pub(crate) fn inside_shield(self) -> Terms {
        self.with(SHIELDED).without(EXPIRED | TIMED | STRIKES)
    }

    /// Inside what nothing strikes.
    #[inline]
    pub(crate) fn inside_closed(self) -> Terms {
        self.with(CLOSED)
    }

    /// Inside what takes errors.
    pub(crate) fn inside_errors(self) -> Terms {
        self.with(ERRORS)
    }

    /// Outside again of a frame that began with `before`, after which `expired` says whether a timeout around is known to be
    /// over. What was noted meanwhile of a cancel stays.
    #[inline]
    pub(crate) fn outside(self, before: Terms, expired: bool) -> Terms {
        let terms = Terms(self.0 & !OF_FRAMES | before.0 & OF_FRAMES).without(EXPIRED | STRIKES);
        if expired { terms.with(EXPIRED) } else { terms }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_park_nests_and_never_ends_for_an_orphan() {
        let mut terms = Terms::default();
        terms.leave_no_park();
        assert!(terms.is_plain() && terms.enter_no_park() && terms.enter_no_park());
        terms.leave_no_park();
        assert!(terms.forbids_parks());
        assert_eq!((1..254).filter(|_| terms.enter_no_park()).count(), 253);
        assert!(!terms.enter_no_park());
        (0..254).for_each(|_| terms.leave_no_park());
        assert!(terms.is_plain());
        terms.forbid_parks_for_good();
        assert!(terms.enter_no_park());
        terms.leave_no_park();
        assert!(terms.forbids_parks());
    }

    #[test]
    fn a_shield_defers_what_is_outside_of_it_only() {
        let mut outer = Terms::default().inside_timeout();
        outer.note_expiry();
        outer.note_cancel();
        let inner = outer.inside_shield();
        assert!(outer.is_due() && !inner.is_due() && inner.is_cancelled() && !inner.is_timed());
        let mut timed = inner.inside_timeout();
        timed.note_expiry();
        assert!(timed.is_due() && !timed.owes_cancel());
        assert_eq!(timed.outside(outer, true), outer);
        assert!(!outer.inside_closed().is_due());
    }

    #[test]
    fn what_is_noted_in_a_frame_of_a_cancel_outlives_it() {
        let before = Terms::default();
        let mut inside = before.inside_timeout();
        inside.note_cancel();
        inside.set_timer_strikes(true);
        let after = inside.outside(before, false);
        assert!(after.owes_cancel() && !after.is_timed() && !after.strikes_by_timer());
    }
}
