//! What the files of items name, found in their text: the compiler proves what they say, this proves that they say it.

use super::docs::{closing, without_lifetimes};
use std::collections::BTreeSet;

/// The text of some files of items.
#[derive(Debug)]
pub(crate) struct Named {
    /// All of it.
    text: String,
    /// `Trait for Type` of each bound in a `where` clause, and of each `(it: Type) -> impl Trait`.
    implementations: BTreeSet<String>,
}

impl Named {
    pub(crate) fn new(files: &[&str]) -> Named {
        let text = files.join("\n");
        let clauses = clauses(&text).into_iter().chain(conversions(&text));
        let implementations = clauses.flat_map(|clause| implementations(&clause)).collect();
        Named { text, implementations }
    }

    /// Whether the method, or the implementation, is named as one of `subject`.
    pub(crate) fn names(&self, subject: &str, item: &str) -> bool {
        match item.split_once(" for ") {
            Some((of, on)) => self.implementations.contains(item) || self.text.contains(&format!("<{on} as {of}>::")),
            None => {
                let plain = [format!("{subject}::{item}"), format!("{subject}>::{item}")];
                plain.iter().any(|path| self.says(path)) || self.says_of_some(subject, item)
            }
        }
    }

    /// Whether the function is coerced or called.
    pub(crate) fn calls(&self, function: &str) -> bool {
        self.says(function)
    }

    /// Whether the method of `subject` with some arguments is coerced or called.
    fn says_of_some(&self, subject: &str, item: &str) -> bool {
        let path = format!("{subject}::<");
        self.text.match_indices(&path).any(|(at, _)| {
            let arguments = &self.text[at + path.len() - 1..];
            let end = closing(arguments).expect("brackets are closed");
            self.says(&format!("{path}{}::{item}", &arguments[1..=end]))
        })
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

/// `Type: Traits` of the functions that make something of `it`.
fn conversions(text: &str) -> Vec<String> {
    let functions = text.split("(it: ").chain(text.split("\n    it: ")).map(|rest| rest.split_once(" {\n"));
    let conversion = |head: &str| {
        let (subject, traits) = head.split_once("-> impl ")?;
        Some(format!("{}: {traits}", subject.trim_end_matches([')', ' ', '\n', ','])))
    };
    functions.flatten().filter_map(|(head, _)| conversion(head)).collect()
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
