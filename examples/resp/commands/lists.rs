//! Lists by their ends: LPUSH, RPOP and their kin.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, READ, WRITE};
use super::super::command::{Command, ONE_KEY, TWO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::lines::End;
use super::super::number;
use super::super::store::{put, take, take_many};
use super::super::value::List;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("lpush", -3, WRITE | GROWS | FAST, ONE_KEY, push, "Prepend one or multiple elements to a list"),
    Command::new("rpush", -3, WRITE | GROWS | FAST, ONE_KEY, push, "Append one or multiple elements to a list"),
    Command::new("lpushx", -3, WRITE | GROWS | FAST, ONE_KEY, pushx, "Prepend elements to a list, if it exists"),
    Command::new("rpushx", -3, WRITE | GROWS | FAST, ONE_KEY, pushx, "Append elements to a list, if it exists"),
    Command::new("lpop", -2, WRITE | FAST, ONE_KEY, pop, "Remove and get the first elements in a list"),
    Command::new("rpop", -2, WRITE | FAST, ONE_KEY, pop, "Remove and get the last elements in a list"),
    Command::new("llen", 2, READ | FAST, ONE_KEY, llen, "Get the length of a list"),
    Command::new("lmove", 5, WRITE | GROWS, TWO_KEYS, lmove, "Pop an element from a list and push it to another"),
    Command::new("rpoplpush", 3, WRITE | GROWS, TWO_KEYS, lmove, "Pop the last element and prepend it to another list"),
    Command::new("lmpop", -4, WRITE, (0, 0, 0), lmpop, "Pop elements from the first list that has some"),
];

/// The end that a command's name begins with.
fn end_of(name: &str) -> End {
    if name.starts_with('l') { End::Left } else { End::Right }
}

/// LEFT or RIGHT.
pub(crate) fn end(word: &[u8]) -> Result<End, Failure> {
    match &word.to_ascii_lowercase()[..] {
        b"left" => Ok(End::Left),
        b"right" => Ok(End::Right),
        _ => Err(Failure::SYNTAX),
    }
}

fn push(call: &mut Call<'_>) -> Done {
    let (database, key, end) = (call.session.database, call.arg(1), end_of(call.command.name));
    let list: &mut List = call.store.get_or_new(database, key)?;
    for value in call.args.from(2).iter() {
        put(list, end, value.into());
    }
    call.reply.count(list.len());
    call.touch(key);
    call.store.note(database, key);
    Ok(())
}

fn pushx(call: &mut Call<'_>) -> Done {
    if call.store.get::<List>(call.session.database, call.arg(1))?.is_some() {
        return push(call);
    }
    call.reply.integer(0);
    Ok(())
}

fn pop(call: &mut Call<'_>) -> Done {
    let (key, end) = (call.arg(1), end_of(call.command.name));
    let count = match call.args.len() {
        2 => None,
        3 => Some(call.positive(2)?),
        _ => return Err(Failure::arity(call.command.name)),
    };
    let Some(list) = call.store.get::<List>(call.session.database, key)? else {
        if count.is_some() {
            call.reply.null_array();
        } else {
            call.reply.null();
        }
        return Ok(());
    };
    match count {
        None => call.reply.optional(take(list, end).as_deref()),
        Some(0) => {
            call.reply.array(0);
            return Ok(());
        }
        Some(count) => call.reply.bulks(take_many(list, end, count).iter().map(|value| &value[..])),
    }
    call.settle(key);
    Ok(())
}

fn llen(call: &mut Call<'_>) -> Done {
    let list: Option<&mut List> = call.store.get(call.session.database, call.arg(1))?;
    call.reply.count(list.map_or(0, |list| list.len()));
    Ok(())
}

fn lmove(call: &mut Call<'_>) -> Done {
    let (from_end, to_end) = match call.args.len() {
        5 => (end(call.arg(3))?, end(call.arg(4))?),
        _ => (End::Right, End::Left),
    };
    let value = call.store.shift(call.session.database, call.arg(1), call.arg(2), from_end, to_end)?;
    call.reply.optional(value.as_deref());
    Ok(())
}

/// The keys, the end and the count of LMPOP and BLMPOP, from the word at `at` on.
pub(crate) fn many<'a>(call: &Call<'a>, at: usize) -> Result<(Vec<&'a [u8]>, End, usize), Failure> {
    let keys = number::integer(call.arg(at)).and_then(|keys| usize::try_from(keys).ok()).filter(|keys| *keys > 0);
    let keys = keys.ok_or(Failure::fixed("ERR numkeys should be greater than 0"))?;
    let after = keys.checked_add(at + 1).ok_or(Failure::SYNTAX)?;
    let end = end(call.args.get(after).ok_or(Failure::SYNTAX)?)?;
    let count = match (call.args.get(after + 1), call.args.get(after + 2), call.args.len() - after) {
        (None, ..) => 1,
        (Some(word), Some(count), 3) if word.eq_ignore_ascii_case(b"count") => {
            let count = number::integer(count).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
            count.ok_or(Failure::fixed("ERR count should be greater than 0"))?
        }
        _ => return Err(Failure::SYNTAX),
    };
    Ok((call.args.until(after).from(at + 1).iter().collect(), end, count))
}

/// Pops from the first list that has something; `false` if there is none.
pub(crate) fn pop_many(call: &mut Call<'_>, keys: &[&[u8]], end: End, count: usize) -> Result<bool, Failure> {
    for key in keys {
        if let Some(list) = call.store.get::<List>(call.session.database, key)? {
            let values = take_many(list, end, count);
            call.reply.popped_many(key, &values);
            call.settle(key);
            return Ok(true);
        }
    }
    Ok(false)
}

fn lmpop(call: &mut Call<'_>) -> Done {
    let (keys, end, count) = many(call, 1)?;
    if !pop_many(call, &keys, end, count)? {
        call.reply.null_array();
    }
    Ok(())
}
