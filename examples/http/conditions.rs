//! What a file is asked for only under: RFC 9110, sections 13 and 14. Pure.

use std::time::SystemTime;

use super::serve::Date;

/// The fields of a head that only files care about, as they were sent. Several of one name are one list.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
    if_unmodified_since: Option<String>,
    if_range: Option<String>,
    range: Option<String>,
}

/// What a file is known by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validators<'a> {
    /// Its entity tag, a strong one, with its quotes.
    pub(crate) tag: &'a str,
    pub(crate) modified: Date,
}

/// What the conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The file is sent.
    Send,
    /// The client has it.
    NotModified,
    /// It is not what the client thinks.
    Failed,
}

impl Conditions {
    /// Keeps the field if it is one of them.
    pub(crate) fn note(conditions: &mut Option<Box<Conditions>>, name: &str, value: &[u8]) {
        let first = name.as_bytes().first().map(u8::to_ascii_lowercase);
        if !matches!(first, Some(b'i' | b'r')) {
            return;
        }
        let select: fn(&mut Conditions) -> &mut Option<String> = match name.to_ascii_lowercase().as_str() {
            "if-match" => |all| &mut all.if_match,
            "if-none-match" => |all| &mut all.if_none_match,
            "if-modified-since" => |all| &mut all.if_modified_since,
            "if-unmodified-since" => |all| &mut all.if_unmodified_since,
            "if-range" => |all| &mut all.if_range,
            "range" => |all| &mut all.range,
            _ => return,
        };
        let value = String::from_utf8_lossy(value);
        match select(conditions.get_or_insert_default()) {
            Some(list) => *list = format!("{list}, {value}"),
            none => *none = Some(value.into_owned()),
        }
    }

    /// In the order of RFC 9110, section 13.2.2, for GET and HEAD.
    pub(crate) fn verdict(&self, file: Validators<'_>, now: SystemTime) -> Verdict {
        let date = |text: &Option<String>| text.as_deref().and_then(|text| Date::parse(text, now));
        let has_changed = match &self.if_match {
            Some(tags) => !is_listed(tags, |tag| tag == file.tag),
            None => date(&self.if_unmodified_since).is_some_and(|date| file.modified > date),
        };
        if has_changed {
            return Verdict::Failed;
        }
        let is_known = match &self.if_none_match {
            Some(tags) => is_listed(tags, |tag| tag.strip_prefix("W/").unwrap_or(tag) == file.tag),
            None => date(&self.if_modified_since).is_some_and(|date| file.modified <= date),
        };
        if is_known { Verdict::NotModified } else { Verdict::Send }
    }

    /// The Range, unless the file is another than the one that the client has a part of.
    pub(crate) fn range(&self, file: Validators<'_>, now: SystemTime) -> Option<&str> {
        let is_same = self.if_range.as_deref().is_none_or(|validator| match validator.ends_with('"') {
            true => validator == file.tag,
            false => Date::parse(validator, now) == Some(file.modified),
        });
        self.range.as_deref().filter(|_| is_same)
    }
}

/// Whether a list of entity tags has one like this. A tag may have commas in it.
fn is_listed(list: &str, matches: impl Fn(&str) -> bool) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let Some(end) = tag_length(rest) else {
            return false;
        };
        if matches(&rest[..end]) {
            return true;
        }
        rest = rest[end..].trim_start_matches([' ', '\t', ',']);
    }
    false
}

/// Of the tag at the front.
fn tag_length(text: &str) -> Option<usize> {
    let opening = if text.starts_with("W/") { 2 } else { 0 };
    let inside = text[opening..].strip_prefix('"')?;
    inside.find('"').map(|closing| opening + closing + 2)
}
