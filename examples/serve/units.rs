//! Bytes and seconds, as they are written on a command line.

use std::ops::RangeInclusive;
use std::time::Duration;

/// As in `4096`, `64K` or `2M`.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((last, 'K' | 'k')) => (&text[..last], 1 << 10),
        Some((last, 'M' | 'm')) => (&text[..last], 1 << 20),
        _ => (text, 1),
    };
    let number: usize = digits.parse().map_err(|error| format!("{error}"))?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(|| "must be above zero, and fit".into())
}

/// As `bytes`, for what has a range.
pub(crate) fn bytes_in(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match bytes(text)? {
        few if few < *range.start() => Err(format!("must be at least {} bytes", range.start())),
        many if many > *range.end() => Err(format!("must be at most {} bytes", range.end())),
        number => Ok(number),
    }
}

/// As `bytes`, for the stack of a server whose clients' coroutines need at least so much of it.
pub(crate) fn stack_from(least: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    bytes_in(least..=usize::MAX)
}

/// As in `10` or `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    match Duration::try_from_secs_f64(seconds) {
        // So that any moment plus this is one, too.
        Ok(duration) if !duration.is_zero() && duration.as_secs() <= u32::MAX.into() => Ok(duration),
        _ => Err("must be above zero, and fit".into()),
    }
}
