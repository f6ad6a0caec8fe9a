//! A command as a line of text: words between spaces, with quotes and escapes as Redis has them.

use super::args::Span;

/// Appends the words of `text` to `words`, and where they are to `spans`; `None` if its quotes are not balanced.
pub(crate) fn split(text: &[u8], words: &mut Vec<u8>, spans: &mut Vec<Span>) -> Option<()> {
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        // isspace(3) has one more.
        while let [0x0b, after @ ..] = rest {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return Some(());
        }
        let begin = words.len();
        rest = word(rest, words)?;
        spans.push((begin, words.len()));
    }
}

/// One word, of which there is a byte. Gives what is behind it.
fn word<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t' | 0, ..] => return Some(rest),
            [b'"', after @ ..] => return closed(quoted(after, words)?),
            [b'\'', after @ ..] => return closed(plain(after, words)?),
            [byte, after @ ..] => {
                words.push(*byte);
                rest = after;
            }
        }
    }
}

/// A closing quote ends the word.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| byte.is_ascii_whitespace() || *byte == 0x0b).then_some(rest)
}

fn quoted<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (digit(*high) << 4 | digit(*low), after)
            }
            [b'\\', escaped, after @ ..] => (escape(*escaped), after),
            [b'"', after @ ..] => return Some(after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        words.push(byte);
        rest = after;
    }
}

fn plain<'a>(mut rest: &'a [u8], words: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match rest {
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [b'\'', after @ ..] => return Some(after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        words.push(byte);
        rest = after;
    }
}

fn escape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).map_or(0, |digit| digit as u8)
}
