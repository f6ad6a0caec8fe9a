//! Numbers as Redis reads and writes them: nothing but the one way to write an integer is one.

use std::fmt::Write;

/// The most bytes of an integer of 64 bits.
pub(crate) const LONGEST: usize = 20;

/// Reads an integer: no sign but a minus, no zero in front, no space.
#[inline]
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    match text {
        [digit @ b'0'..=b'9'] => return Some(i64::from(digit - b'0')),
        [b'-', b'1'..=b'9', ..] | [b'1'..=b'9', ..] if text.len() <= LONGEST => {}
        _ => return None,
    }
    let (digits, is_negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    let mut value = 0u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if is_negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Calls `f` with the integer, written.
#[inline]
pub(crate) fn with_integer<R>(value: i64, f: impl FnOnce(&[u8]) -> R) -> R {
    let mut text = [0; LONGEST];
    let (mut at, mut rest) = (LONGEST, value.unsigned_abs());
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        text[at] = b'-';
    }
    f(&text[at..])
}

/// Reads a number with a fraction, or an exponent, or one that has no end; not what is no number at all.
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    // As strtod(3), which takes more than Rust does, but not what it skips, a space in front.
    let text = str::from_utf8(text).ok()?;
    if text.is_empty() || text.len() > 256 {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| !value.is_nan())
}

/// Decimal digits behind the point that are kept: as many as Redis prints.
const DIGITS: u32 = 17;

/// A decimal number, in units of its last digit kept.
fn decimal(text: &[u8]) -> Option<i128> {
    let text = str::from_utf8(text).ok()?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (digits, is_negative) = match mantissa.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (mantissa.strip_prefix('+').unwrap_or(mantissa), false),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let joined = [whole, fraction].concat();
    if joined.len() > 30 || !joined.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = joined.parse().ok()?;
    let shift = DIGITS as i32 + exponent - fraction.len() as i32;
    let scaled = match u32::try_from(shift) {
        Ok(shift) => value.checked_mul(10i128.checked_pow(shift)?)?,
        // What has more digits is rounded elsewhere.
        Err(_) => return None,
    };
    Some(if is_negative { -scaled } else { scaled })
}

/// The sum of two numbers, as Redis writes it: without an exponent, and without zeros at its end. `None` if it is not
/// finite.
///
/// Redis adds numbers of 80 bits. Here sums are exact as far as they fit, and else those of 64 bits.
pub(crate) fn sum(left: &[u8], right: &[u8]) -> Option<String> {
    if let (Some(left), Some(right)) = (decimal(left), decimal(right))
        && let Some(sum) = left.checked_add(right)
    {
        return Some(fixed(sum));
    }
    let sum = float(left)? + float(right)?;
    sum.is_finite().then(|| trimmed(format!("{sum:.17}")))
}

fn fixed(value: i128) -> String {
    let unit = 10u128.pow(DIGITS);
    let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    let mut text = String::new();
    let sign = if value < 0 { "-" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(text, "{sign}{whole}.{fraction:017}");
    trimmed(text)
}

fn trimmed(text: String) -> String {
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // Redis knows no zero with a sign.
    if text == "-0" { "0".into() } else { text.into() }
}
