//! Ranges of bytes: RFC 9110, section 14. Pure.

/// What a Range asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Everything: it is malformed, of another unit, or a list, which a server may ignore.
    All,
    /// So many bytes from there.
    Part { first: u64, count: u64 },
    /// Nothing that the file has.
    Nothing,
}

impl Asked {
    /// Of a file of `size` bytes.
    pub(crate) fn of(range: &str, size: u64) -> Asked {
        match parse(range) {
            Some((Some(first), _)) if first >= size => Asked::Nothing,
            Some((Some(first), last)) => Asked::part(first, last.unwrap_or(u64::MAX).min(size - 1)),
            Some((None, Some(suffix))) if suffix == 0 || size == 0 => Asked::Nothing,
            Some((None, Some(suffix))) => Asked::part(size - suffix.min(size), size - 1),
            Some((None, None)) | None => Asked::All,
        }
    }

    fn part(first: u64, last: u64) -> Asked {
        Asked::Part { first, count: last - first + 1 }
    }
}

/// One range: from, to; or only how many at the end.
fn parse(range: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, set) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    match (first, last) {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        range => Some(range),
    }
}

/// A number of any length, or none; what does not fit is beyond any file.
fn number(digits: &str) -> Option<Option<u64>> {
    match digits {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    }
}
