//! Patterns of names: `*`, `?`, `[a-c]`, `[^a]` and `\` in front of what is meant as it is.

/// Whether all of `text` is as `pattern` says.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Behind the last star, and what it could still take: one star that takes more is enough, those before need not.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, text));
                pattern = rest;
                continue;
            }
            ([], []) => return true,
            ([], _) | (_, []) => None,
            (_, [byte, after @ ..]) => one(pattern, *byte).map(|rest| (rest, after)),
        };
        match (step, star) {
            (Some((rest, after)), _) => (pattern, text) = (rest, after),
            (None, Some((rest, [_, after @ ..]))) => {
                (pattern, text) = (rest, after);
                star = Some((rest, after));
            }
            (None, _) => return false,
        }
    }
}

/// The pattern behind what stands for one byte, if it is that one.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', meant, rest @ ..] => (*meant == byte).then_some(rest),
        [meant, rest @ ..] => (*meant == byte).then_some(rest),
        [] => None,
    }
}

/// A choice of bytes. One without an end is one to the pattern's end.
fn class(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (mut rest, is_not) = match pattern {
        [b'^', rest @ ..] => (rest, true),
        rest => (rest, false),
    };
    let mut is_in = false;
    let after = loop {
        rest = match rest {
            [] => break rest,
            [b']', after @ ..] => break after,
            [b'\\', meant, after @ ..] => {
                is_in |= *meant == byte;
                after
            }
            [low, b'-', high, after @ ..] => {
                is_in |= (*low.min(high)..=*low.max(high)).contains(&byte);
                after
            }
            [meant, after @ ..] => {
                is_in |= *meant == byte;
                after
            }
        };
    };
    (is_in != is_not).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_what_they_say() {
        let cases = [
            ("", "", true),
            ("*", "", true),
            ("**a", "bca", true),
            ("h?llo", "hallo", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeello", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXcXb", false),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-", "h-", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[\\]]", "]", true),
            ("a", "A", false),
        ];
        for (pattern, text, is_match) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), is_match, "{pattern} {text}");
        }
    }

    /// What makes others try each star against all the rest, for ever.
    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&b"a*".repeat(50), &[b'a'; 40]));
        assert!(!matches(&[&b"*a".repeat(200)[..], b"b"].concat(), &[b'a'; 5000]));
    }
}
