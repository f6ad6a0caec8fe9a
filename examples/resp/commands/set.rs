//! SET and GETEX, with their options, and what does the same in other words.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, WRITE};
use super::super::command::{Command, ONE_KEY};
use super::super::database::NEVER;
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::value::{Text, Value};

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("set", -3, WRITE | GROWS, ONE_KEY, set, "Set the string value of a key"),
    Command::new("setex", 4, WRITE | GROWS, ONE_KEY, setex, "Set the value and expiration in seconds of a key"),
    Command::new("psetex", 4, WRITE | GROWS, ONE_KEY, setex, "Set the value and expiration in milliseconds of a key"),
    Command::new("getex", -2, WRITE | FAST, ONE_KEY, getex, "Get the value of a key and set its expiration"),
];

/// What becomes of the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Untold,
    Keep,
    Persist,
    /// The place of the number among the words, its unit in milliseconds, and whether it is counted from now.
    Until(usize, i64, bool),
}

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    life: Life,
    only_new: bool,
    only_old: bool,
    gets: bool,
}

impl Options {
    /// Reads the options from the word at `from` on.
    fn read(call: &Call<'_>, from: usize, is_set: bool) -> Result<Options, Failure> {
        let (mut options, mut at) = (Options::default(), from);
        while let Some(word) = call.args.get(at) {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let life = match word {
                _ if is_set && is("nx") && !options.only_old => options.flag(0),
                _ if is_set && is("xx") && !options.only_new => options.flag(1),
                _ if is_set && is("get") => options.flag(2),
                _ if is_set && is("keepttl") => Some(Life::Keep),
                _ if !is_set && is("persist") => Some(Life::Persist),
                _ if is("ex") => Some(Life::Until(at + 1, 1000, true)),
                _ if is("px") => Some(Life::Until(at + 1, 1, true)),
                _ if is("exat") => Some(Life::Until(at + 1, 1000, false)),
                _ if is("pxat") => Some(Life::Until(at + 1, 1, false)),
                _ => return Err(Failure::SYNTAX),
            };
            if let Some(life) = life {
                options.live(life, call.args.len())?;
            }
            at += if matches!(life, Some(Life::Until(..))) { 2 } else { 1 };
        }
        Ok(options)
    }

    fn flag(&mut self, index: u8) -> Option<Life> {
        match index {
            0 => self.only_new = true,
            1 => self.only_old = true,
            _ => self.gets = true,
        }
        None
    }

    /// There is one of these at the most, and a number behind one that wants it. KEEPTTL may be said twice.
    fn live(&mut self, life: Life, words: usize) -> Done {
        let is_complete = !matches!(life, Life::Until(at, ..) if at >= words);
        if !is_complete || (self.life != Life::Untold && self.life != life) {
            return Err(Failure::SYNTAX);
        }
        self.life = life;
        Ok(())
    }
}

/// The deadline that is asked for by the word at `at`.
fn deadline(call: &Call<'_>, at: usize, unit: i64, is_relative: bool) -> Result<u64, Failure> {
    let name = call.command.name;
    let number = number::integer(call.arg(at)).ok_or(Failure::NOT_INTEGER)?;
    let after = number.checked_mul(unit).filter(|after| *after > 0).ok_or_else(|| Failure::expire(name))?;
    let at = if is_relative { after.checked_add(call.store.now as i64) } else { Some(after) };
    at.map(|at| at as u64).ok_or_else(|| Failure::expire(name))
}

fn set(call: &mut Call<'_>) -> Done {
    let (key, value) = (call.arg(1), call.arg(2));
    if call.args.len() == 3 {
        overwrite(call, key, value);
        call.reply.ok();
        return Ok(());
    }
    let options = Options::read(call, 3, true)?;
    let deadline = match options.life {
        Life::Until(at, unit, is_relative) => Some(deadline(call, at, unit, is_relative)?),
        _ => None,
    };
    if options.gets {
        let old: Option<&mut Text> = call.store.get(call.session.database, key)?;
        call.reply.optional(old.map(|text| &text.bytes[..]));
    }
    let old = call.store.find(call.session.database, key).map(|entry| entry.deadline);
    if (options.only_new && old.is_some()) || (options.only_old && old.is_none()) {
        if !options.gets {
            call.reply.null();
        }
        return Ok(());
    }
    let kept = if options.life == Life::Keep { old } else { None };
    put(call, key, value, deadline.or(kept).unwrap_or(NEVER));
    if !options.gets {
        call.reply.ok();
    }
    Ok(())
}

/// The common case: the memory of the old value is used again.
#[inline]
fn overwrite(call: &mut Call<'_>, key: &[u8], value: &[u8]) {
    match call.store.find(call.session.database, key) {
        Some(entry) if entry.deadline == NEVER && matches!(entry.value, Value::Text(_)) => {
            if let Value::Text(text) = &mut entry.value {
                text.become_bytes(value);
            }
            call.touch(key);
        }
        _ => put(call, key, value, NEVER),
    }
}

/// A value that has expired already is no value.
fn put(call: &mut Call<'_>, key: &[u8], value: &[u8], deadline: u64) {
    let database = &mut call.store.databases[call.session.database];
    database.put(key, Value::Text(Text::of(value)), deadline);
}

fn setex(call: &mut Call<'_>) -> Done {
    let unit = if call.command.name == "setex" { 1000 } else { 1 };
    let deadline = deadline(call, 2, unit, true)?;
    put(call, call.arg(1), call.arg(3), deadline);
    call.reply.ok();
    Ok(())
}

fn getex(call: &mut Call<'_>) -> Done {
    let (key, options) = (call.arg(1), Options::read(call, 2, false)?);
    let text: Option<&mut Text> = call.store.get(call.session.database, key)?;
    let is_there = text.is_some();
    let text = text.map(|text| text.bytes.clone());
    let deadline = match options.life {
        Life::Until(at, unit, is_relative) if is_there => Some(deadline(call, at, unit, is_relative)?),
        // What expires never is not changed by that.
        Life::Persist if call.store.find(call.session.database, key).is_some_and(|entry| entry.deadline != NEVER) => {
            Some(NEVER)
        }
        _ => None,
    };
    call.reply.optional(text.as_deref());
    if let Some(deadline) = deadline.filter(|_| is_there) {
        let database = &mut call.store.databases[call.session.database];
        database.set_deadline(key, deadline);
        database.touch(key);
    }
    Ok(())
}
