//! Parts of text: APPEND, GETRANGE, SETRANGE.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, READ, WRITE};
use super::super::command::{Command, ONE_KEY};
use super::super::failure::{Done, Failure};
use super::super::value::Text;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("append", 3, WRITE | GROWS | FAST, ONE_KEY, append, "Append a value to a key"),
    Command::new("strlen", 2, READ | FAST, ONE_KEY, strlen, "Get the length of the value stored in a key"),
    Command::new("setrange", 4, WRITE | GROWS, ONE_KEY, setrange, "Overwrite part of a string at an offset"),
    Command::new("getrange", 4, READ, ONE_KEY, getrange, "Get a substring of the string stored at a key"),
    Command::new("substr", 4, READ, ONE_KEY, getrange, "Get a substring of the string stored at a key"),
];

/// The part of a row of `length` between two places, both counted from its end if they are negative, and both in it.
pub(crate) fn range(begin: i64, end: i64, length: usize) -> std::ops::Range<usize> {
    let length = length as i64;
    let from_end = |at: i64| if at < 0 { (at + length).max(0) } else { at };
    let is_before = begin < 0 && end < 0 && begin > end;
    let (begin, end) = (from_end(begin), from_end(end).min(length - 1));
    if is_before || begin > end || length == 0 { 0..0 } else { begin as usize..end as usize + 1 }
}

fn append(call: &mut Call<'_>) -> Done {
    let (key, more) = (call.arg(1), call.arg(2));
    let longest = call.store.config.longest;
    let is_new = !call.store.contains(call.session.database, key);
    let text: &mut Text = call.store.get_or_new(call.session.database, key)?;
    if text.bytes.len() + more.len() > longest {
        return Err(Failure::TOO_LONG);
    }
    text.bytes.extend_from_slice(more);
    text.is_edited = !is_new;
    call.reply.count(text.bytes.len());
    call.touch(key);
    Ok(())
}

fn strlen(call: &mut Call<'_>) -> Done {
    let text: Option<&mut Text> = call.store.get(call.session.database, call.arg(1))?;
    call.reply.count(text.map_or(0, |text| text.bytes.len()));
    Ok(())
}

fn setrange(call: &mut Call<'_>) -> Done {
    let (key, begin, part) = (call.arg(1), call.integer(2)?, call.arg(3));
    let begin = usize::try_from(begin).map_err(|_| Failure::fixed("ERR offset is out of range"))?;
    if part.is_empty() {
        return strlen(call);
    }
    call.store.get::<Text>(call.session.database, key)?;
    let end = begin.checked_add(part.len()).filter(|end| *end <= call.store.config.longest);
    let end = end.ok_or(Failure::TOO_LONG)?;
    let text: &mut Text = call.store.get_or_new(call.session.database, key)?;
    if text.bytes.len() < end {
        text.bytes.resize(end, 0);
    }
    text.bytes[begin..end].copy_from_slice(part);
    text.is_edited = true;
    call.reply.count(text.bytes.len());
    call.touch(key);
    Ok(())
}

fn getrange(call: &mut Call<'_>) -> Done {
    let (begin, end) = (call.integer(2)?, call.integer(3)?);
    let text: Option<&mut Text> = call.store.get(call.session.database, call.arg(1))?;
    let bytes = text.map_or(&[][..], |text| &text.bytes[..]);
    call.reply.bulk(&bytes[range(begin, end, bytes.len())]);
    Ok(())
}
