//! Walks through keys, fields and members, and all keys at once.
//!
//! A cursor is the number of entries still to come: see the table for why that meets all that stay.

use super::super::call::Call;
use super::super::command::flag::READ;
use super::super::command::{Command, NO_KEYS, ONE_KEY};
use super::super::failure::{Done, Failure};
use super::super::glob;
use super::super::number;
use super::super::value::{Hash, Set};

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("keys", 2, READ, NO_KEYS, keys, "Find all keys matching the given pattern"),
    Command::new("scan", -2, READ, NO_KEYS, scan, "Incrementally iterate the keys space"),
    Command::new("hscan", -3, READ, ONE_KEY, hscan, "Incrementally iterate hash fields and associated values"),
    Command::new("sscan", -3, READ, ONE_KEY, sscan, "Incrementally iterate Set elements"),
];

fn keys(call: &mut Call<'_>) -> Done {
    let (pattern, now) = (call.arg(1), call.store.now);
    let entries = call.store.databases[call.session.database].entries();
    let found: Vec<&[u8]> = entries
        .filter(|(key, entry)| entry.deadline > now && glob::matches(pattern, key))
        .map(|(key, _)| key)
        .collect();
    call.reply.bulks(found.into_iter());
    Ok(())
}

/// What a walk is to meet.
struct Walk<'a> {
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Walk<'a> {
    /// Reads the options from the word at `at` on.
    fn read(call: &Call<'a>, mut at: usize, may_have_kind: bool) -> Result<Walk<'a>, Failure> {
        let mut walk = Walk { pattern: None, kind: None, count: 10 };
        while let Some(name) = call.args.get(at) {
            let value = call.args.get(at + 1).ok_or(Failure::SYNTAX)?;
            if name.eq_ignore_ascii_case(b"count") {
                let count = number::integer(value).ok_or(Failure::NOT_INTEGER)?;
                walk.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(Failure::SYNTAX)?;
            } else if name.eq_ignore_ascii_case(b"match") {
                walk.pattern = Some(value);
            } else if may_have_kind && name.eq_ignore_ascii_case(b"type") {
                walk.kind = Some(value);
            } else {
                return Err(Failure::SYNTAX);
            }
            at += 2;
        }
        Ok(walk)
    }

    fn wants(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }

    /// The places of the next entries, and the cursor behind them.
    fn next(&self, cursor: u64, length: usize) -> (std::ops::Range<usize>, usize) {
        let end = if cursor == 0 { length } else { length.min(cursor as usize) };
        let begin = end.saturating_sub(self.count);
        (begin..end, begin)
    }
}

fn cursor(word: &[u8]) -> Result<u64, Failure> {
    str::from_utf8(word).ok().and_then(|word| word.parse().ok()).ok_or(Failure::CURSOR)
}

fn say(call: &mut Call<'_>, cursor: usize, found: &[Vec<u8>]) {
    call.reply.array(2);
    call.reply.text(cursor);
    call.reply.bulks(found.iter().map(|name| &name[..]));
}

fn scan(call: &mut Call<'_>) -> Done {
    let cursor = cursor(call.arg(1))?;
    let walk = Walk::read(call, 2, true)?;
    let (database, now) = (&call.store.databases[call.session.database], call.store.now);
    let (places, next) = walk.next(cursor, database.len());
    let mut found = Vec::new();
    for (key, entry) in places.rev().map(|place| database.at(place)) {
        let is_meant = walk.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(entry.value.kind().as_bytes()));
        if entry.deadline > now && is_meant && walk.wants(key) {
            found.push(key.to_vec());
        }
    }
    say(call, next, &found);
    Ok(())
}

fn hscan(call: &mut Call<'_>) -> Done {
    let cursor = cursor(call.arg(2))?;
    let walk = Walk::read(call, 3, false)?;
    let mut found = Vec::new();
    let mut next = 0;
    if let Some(hash) = call.store.get::<Hash>(call.session.database, call.arg(1))? {
        // What is small is shown at once, as in Redis.
        let (places, after) = match hash.is_large {
            true => walk.next(cursor, hash.fields.len()),
            false => (0..hash.fields.len(), 0),
        };
        next = after;
        for (field, value) in places.map(|place| hash.fields.at(place)).filter(|(field, _)| walk.wants(field)) {
            found.extend([field.to_vec(), value.to_vec()]);
        }
    }
    say(call, next, &found);
    Ok(())
}

fn sscan(call: &mut Call<'_>) -> Done {
    let cursor = cursor(call.arg(2))?;
    let walk = Walk::read(call, 3, false)?;
    let mut found = Vec::new();
    let mut next = 0;
    if let Some(set) = call.store.get::<Set>(call.session.database, call.arg(1))? {
        let (places, after) = match set.is_large {
            true => walk.next(cursor, set.members.len()),
            false => (0..set.members.len(), 0),
        };
        next = after;
        found.extend(places.map(|place| set.members.at(place).0.to_vec()).filter(|member| walk.wants(member)));
    }
    say(call, next, &found);
    Ok(())
}
