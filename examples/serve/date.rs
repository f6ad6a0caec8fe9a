//! Dates as HTTP writes and reads them: RFC 9110, section 5.6.7.
//!
//! The date of responses is written once a second by each worker: formatting takes longer than all else in a short
//! head. Even the clock is looked at only where the worker has waited, not for each of several responses at a time.

use std::cell::Cell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: u64 = 86_400;

/// The end of the year 9999: what has no more digits.
const LAST_SECOND: u64 = 253_402_300_799;

/// Bytes of the field of a response.
const FIELD: usize = 37;

// Of each worker, not of each coroutine: nothing waits while it is looked at.
std::thread_local! {
    /// The second that was written last, and what was written.
    static LAST: Cell<(u64, [u8; FIELD])> = const { Cell::new((u64::MAX, [0; FIELD])) };
}

/// A point in time, to the second, from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(u64);

impl Date {
    pub(crate) fn of(time: SystemTime) -> Date {
        Date(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().min(LAST_SECOND)))
    }

    /// Has this worker note the time of now, for responses.
    pub(crate) fn note() {
        let now = Date::of(SystemTime::now());
        if LAST.get().0 != now.0 {
            let mut field = [0; FIELD];
            field.copy_from_slice(format!("Date: {now}\r\n").as_bytes());
            LAST.set((now.0, field));
        }
    }

    /// What this worker noted last, as a field; zeroes before that.
    #[inline]
    pub(crate) fn noted() -> [u8; FIELD] {
        LAST.get().1
    }

    /// Reads any of the three forms; `now` decides the century of the one that has two digits for a year.
    pub(crate) fn parse(text: &str, now: SystemTime) -> Option<Date> {
        let (day, rest) = text.split_once(' ')?;
        match day.strip_suffix(',') {
            Some(short) if DAYS.iter().any(|name| &name[..3] == short) => fixed(rest),
            Some(long) if DAYS.contains(&long) => old(rest, now),
            Some(_) => None,
            None if DAYS.iter().any(|name| &name[..3] == day) => of_c(rest),
            None => None,
        }
    }

    fn from_parts(year: u64, month: &str, day: u64, time: &str) -> Option<Date> {
        let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = match month {
            2 => 28 + u64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if year < 1970 || !(1..=length).contains(&day) {
            return None;
        }
        let mut parts = time.split(':').map(|part| digits(part, 2));
        let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
        // A leap second is as the one after it.
        let is_time = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
        is_time.then(|| Date(days(year, month, day) * DAY + hour * 3600 + minute * 60 + second))
    }
}

/// As in `Sun, 06 Nov 1994 08:49:37 GMT`, without the day of the week.
fn fixed(text: &str) -> Option<Date> {
    let mut words = text.split(' ');
    let (day, month, year) = (digits(words.next()?, 2)?, words.next()?, digits(words.next()?, 4)?);
    let time = words.next()?;
    (words.next() == Some("GMT") && words.next().is_none()).then(|| Date::from_parts(year, month, day, time))?
}

/// As in `Sunday, 06-Nov-94 08:49:37 GMT`: more than fifty years ahead is the past.
fn old(text: &str, now: SystemTime) -> Option<Date> {
    let mut words = text.split(' ');
    let mut date = words.next()?.split('-');
    let (day, month, year) = (digits(date.next()?, 2)?, date.next()?, digits(date.next()?, 2)?);
    let time = words.next()?;
    if date.next().is_some() || words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    let this_year = civil(Date::of(now).0 / DAY).0;
    let year = this_year / 100 * 100 + year;
    let year = if year > this_year + 50 { year - 100 } else { year };
    Date::from_parts(year, month, day, time)
}

/// As in `Sun Nov  6 08:49:37 1994`: asctime(3).
fn of_c(text: &str) -> Option<Date> {
    let (month, rest) = text.split_once(' ')?;
    // A day below ten has a space in front.
    let (day, rest) = rest.strip_prefix(' ').unwrap_or(rest).split_once(' ')?;
    let (time, year) = rest.split_once(' ')?;
    Date::from_parts(digits(year, 4)?, month, digits(day, 1).or_else(|| digits(day, 2))?, time)
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March have the leap day at their end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let in_year = (153 * month + 2) / 5 + day - 1;
    let in_days = year * 365 + year / 4 - year / 100 + year / 400 + in_year;
    in_days - 719_468
}

/// Year, month and day of a number of days from 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// As in `Sun, 06 Nov 1994 08:49:37 GMT`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / DAY, self.0 % DAY);
        let (year, month, day) = civil(days);
        // 1970 began on a Thursday.
        let (name, month) = (&DAYS[(days as usize + 4) % 7][..3], MONTHS[month as usize - 1]);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}
