//! What the files of items name, found in their text: the compiler proves what they say, this proves that they say it.

use super::docs::without_lifetimes;
use std::collections::BTreeSet;

/// The text of some files of items.
#[derive(Debug)]
pub(crate) struct Named {
    /// All of it.
    text: String,
    /// `Trait for Type` of each bound in a `where` clause.
    implementations: BTreeSet<String>,
}

impl Named {
    pub(crate) fn new(files: &[&str]) -> Named {
        let text = files.join("\n");
        let implementations = clauses(&text).iter().flat_map(|clause| implementations(clause)).collect();
        Named { text, implementations }
    }

    /// Whether the method, or the implementation, is named as one of `subject`.
    pub(crate) fn names(&self, subject: &str, item: &str) -> bool {
        match item.split_once(" for ") {
            Some((of, on)) => self.implementations.contains(item) || self.text.contains(&format!("<{on} as {of}>::")),
            None => self.says(&format!("{subject}::{item}")) || self.says(&format!("{subject}>::{item}")),
        }
    }

    /// Whether anything of `subject` is named.
    pub(crate) fn names_any(&self, subject: &str) -> bool {
        let word = |at: usize| !is_word(self.text[..at].chars().next_back());
        let ends = |at: usize| !is_word(self.text[at + subject.len()..].chars().next());
        self.text.match_indices(subject).any(|(at, _)| word(at) && ends(at))
    }

    /// Whether the path is coerced or called.
    fn says(&self, path: &str) -> bool {
        self.text.match_indices(path).any(|(at, _)| {
            let after = &self.text[at + path.len()..];
            let used = [";", "(", "::<"].iter().any(|end| after.starts_with(end));
            used && !is_word(self.text[..at].chars().next_back())
        })
    }
}

fn is_word(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter == '_' || letter.is_alphanumeric())
}

/// The `where` clauses of a text that is formatted.
fn clauses(text: &str) -> Vec<String> {
    let starts = text.split("\nwhere\n").skip(1);
    starts.map(|rest| rest.split_once("\n{").expect("a body after the clause").0.to_owned()).collect()
}

fn implementations(clause: &str) -> Vec<String> {
    let bound = |predicate: &String| {
        let (subject, bounds) = predicate.split_once(": ")?;
        let subject = without_lifetimes(subject.trim());
        Some(split(bounds, '+').iter().map(|of| format!("{} for {subject}", of_trait(of))).collect::<Vec<_>>())
    };
    split(clause, ',').iter().filter_map(bound).flatten().collect()
}

/// A bound without lifetimes and associated types.
fn of_trait(bound: &str) -> String {
    let bound = without_lifetimes(bound.trim());
    match bound.split_once('<') {
        Some((name, arguments)) if arguments.contains('=') => name.to_owned(),
        _ => bound,
    }
}

/// The parts of a text between separators that stand in no bracket.
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for letter in text.chars() {
        depth += i32::from("<([".contains(letter)) - i32::from(">)]".contains(letter));
        match letter {
            _ if letter == separator && depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().expect("at least one part").push(letter),
        }
    }
    parts
}
