//! What is code in the text of a file: neither comment, nor literal, nor compiled for tests only.
//!
//! Whatever is left out turns into spaces, so that lines keep their numbers. Knows no rooms and no rules.

/// The text with comments and what stands in literals turned into spaces; lines stay where they are.
pub(crate) fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(text, at);
        if end == at {
            kept.push(if bytes[at].is_ascii() { bytes[at] as char } else { ' ' });
            at += 1;
        } else {
            bytes[at..end].iter().for_each(|byte| kept.push(if *byte == b'\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    kept
}

/// The end of the comment or literal that starts at `at`, or `at` if none does.
fn skipped(text: &str, at: usize) -> usize {
    let (bytes, rest) = (text.as_bytes(), &text.as_bytes()[at..]);
    let in_word = at > 0 && is_word(bytes[at - 1]);
    let find = |from: usize, end: &[u8]| {
        let found = bytes[from.min(bytes.len())..].windows(end.len()).position(|window| window == end);
        found.map_or(bytes.len(), |found| from + found + end.len())
    };
    match rest {
        [b'/', b'/', ..] => find(at, b"\n"),
        [b'/', b'*', ..] => find(at + 2, b"*/"),
        [b'r', b'"' | b'#', ..] if !in_word => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            let quoted = rest.get(1 + hashes) == Some(&b'"');
            if quoted { find(at + 2 + hashes, format!("\"{}", "#".repeat(hashes)).as_bytes()) } else { at }
        }
        [b'"', ..] => end_of_quotes(bytes, at, b'"'),
        [b'\'', b'\\', ..] => end_of_quotes(bytes, at, b'\''),
        [b'\'', _, b'\'', ..] => at + 3,
        _ => at,
    }
}

fn end_of_quotes(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    (at + 1).min(bytes.len())
}

/// Without the items that are compiled for tests or models only.
pub(crate) fn without_tests(bare: &str) -> String {
    let mut kept = bare.to_owned();
    for start in ["#[cfg(test", "#[cfg(all(test", "mod tests", "mod models"] {
        while let Some(at) = kept.find(start) {
            let end = end_of_item(&kept, at);
            let blank: String = kept[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
            kept.replace_range(at..end, &blank);
        }
    }
    kept
}

/// Where the item that starts at `at` ends: at its semicolon, or at the brace that closes its first.
fn end_of_item(text: &str, at: usize) -> usize {
    let mut depth = 0;
    for (index, byte) in text.bytes().enumerate().skip(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return index + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    text.len()
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
