//! Keys, whatever they hold: DEL, EXISTS, RENAME, COPY and their kin.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, READ, WRITE};
use super::super::command::{ALL_KEYS, Command, NO_KEYS, ONE_KEY, TWO_KEYS};
use super::super::database::Entry;
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::store::DATABASES;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("del", -2, WRITE, ALL_KEYS, del, "Delete a key"),
    Command::new("unlink", -2, WRITE | FAST, ALL_KEYS, del, "Delete a key"),
    Command::new("exists", -2, READ | FAST, ALL_KEYS, exists, "Determine if a key exists"),
    Command::new("touch", -2, READ | FAST, ALL_KEYS, exists, "Count the keys that exist"),
    Command::new("type", 2, READ | FAST, ONE_KEY, kind, "Determine the type stored at a key"),
    Command::new("rename", 3, WRITE, TWO_KEYS, rename, "Rename a key"),
    Command::new("renamenx", 3, WRITE | FAST, TWO_KEYS, rename, "Rename a key, if the new key does not exist"),
    Command::new("copy", -3, WRITE | GROWS, TWO_KEYS, copy, "Copy a key"),
    Command::new("move", 3, WRITE | FAST, ONE_KEY, shift, "Move a key to another database"),
    Command::new("dbsize", 1, READ | FAST, NO_KEYS, dbsize, "Return the number of keys in the database"),
    Command::new("flushdb", -1, WRITE, NO_KEYS, flush, "Remove all keys from the current database"),
    Command::new("flushall", -1, WRITE, NO_KEYS, flush, "Remove all keys from all databases"),
    Command::new("swapdb", 3, WRITE | FAST, NO_KEYS, swapdb, "Swap two databases"),
    Command::new("randomkey", 1, READ, NO_KEYS, randomkey, "Return a random key from the keyspace"),
];

fn del(call: &mut Call<'_>) -> Done {
    let keys = call.args.from(1);
    let removed = keys.iter().filter(|key| call.store.remove(call.session.database, key).is_some()).count();
    call.reply.count(removed);
    Ok(())
}

fn exists(call: &mut Call<'_>) -> Done {
    let keys = call.args.from(1);
    let there = keys.iter().filter(|key| call.store.contains(call.session.database, key)).count();
    call.reply.count(there);
    Ok(())
}

fn kind(call: &mut Call<'_>) -> Done {
    let kind = call.store.find(call.session.database, call.arg(1)).map_or("none", |entry| entry.value.kind());
    call.reply.simple(kind);
    Ok(())
}

/// Puts an entry where it was moved to.
fn put(call: &mut Call<'_>, database: usize, key: &[u8], entry: Entry) {
    call.store.databases[database].put(key, entry.value, entry.deadline);
    call.store.note(database, key);
}

fn rename(call: &mut Call<'_>) -> Done {
    let (database, from, to) = (call.session.database, call.arg(1), call.arg(2));
    let only_new = call.command.name == "renamenx";
    if !call.store.contains(database, from) {
        return Err(Failure::NO_KEY);
    }
    if only_new && call.store.contains(database, to) {
        call.reply.integer(0);
        return Ok(());
    }
    if from != to
        && let Some(entry) = call.store.remove(database, from)
    {
        put(call, database, to, entry);
    }
    if only_new {
        call.reply.integer(1);
    } else {
        call.reply.ok();
    }
    Ok(())
}

/// The number of a database.
fn database(word: &[u8]) -> Result<usize, Failure> {
    let number = number::integer(word).ok_or(Failure::NOT_INTEGER)?;
    let number = usize::try_from(number).map_err(|_| Failure::DATABASE)?;
    if number < DATABASES { Ok(number) } else { Err(Failure::DATABASE) }
}

fn copy(call: &mut Call<'_>) -> Done {
    let (mut to, mut replaces, mut at) = (call.session.database, false, 3);
    while let Some(word) = call.args.get(at) {
        match call.args.get(at + 1) {
            _ if word.eq_ignore_ascii_case(b"replace") => replaces = true,
            Some(number) if word.eq_ignore_ascii_case(b"db") => {
                to = database(number)?;
                at += 1;
            }
            _ => return Err(Failure::SYNTAX),
        }
        at += 1;
    }
    let (from, source, target) = (call.session.database, call.arg(1), call.arg(2));
    if from == to && source == target {
        return Err(Failure::fixed("ERR source and destination objects are the same"));
    }
    let found = call.store.find(from, source).cloned();
    let is_free = replaces || !call.store.contains(to, target);
    let entry = found.filter(|_| is_free);
    call.reply.truth(entry.is_some());
    if let Some(entry) = entry {
        put(call, to, target, entry);
    }
    Ok(())
}

fn shift(call: &mut Call<'_>) -> Done {
    let (from, key) = (call.session.database, call.arg(1));
    let to = number::integer(call.arg(2)).ok_or(Failure::NOT_INTEGER)?;
    let to = usize::try_from(to).ok().filter(|to| *to < DATABASES).ok_or(Failure::DATABASE)?;
    if from == to {
        return Err(Failure::fixed("ERR source and destination objects are the same"));
    }
    let entry = if call.store.contains(to, key) { None } else { call.store.remove(from, key) };
    call.reply.truth(entry.is_some());
    if let Some(entry) = entry {
        put(call, to, key, entry);
    }
    Ok(())
}

fn dbsize(call: &mut Call<'_>) -> Done {
    call.reply.count(call.store.databases[call.session.database].len());
    Ok(())
}

fn flush(call: &mut Call<'_>) -> Done {
    match call.args.get(1) {
        None => {}
        Some(how)
            if call.args.len() == 2 && (how.eq_ignore_ascii_case(b"sync") || how.eq_ignore_ascii_case(b"async")) => {}
        Some(_) => return Err(Failure::SYNTAX),
    }
    if call.command.name == "flushdb" {
        call.store.databases[call.session.database].clear();
    } else {
        call.store.databases.iter_mut().for_each(|database| database.clear());
    }
    call.reply.ok();
    Ok(())
}

fn swapdb(call: &mut Call<'_>) -> Done {
    let number = |word, which| {
        let number = number::integer(word).and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| Failure::new(format!("ERR invalid {which} DB index")))
    };
    let (one, other) = (number(call.arg(1), "first")?, number(call.arg(2), "second")?);
    let index = |number| usize::try_from(number).ok().filter(|number| *number < DATABASES).ok_or(Failure::DATABASE);
    let (one, other) = (index(one)?, index(other)?);
    call.store.swap(one, other);
    call.reply.ok();
    Ok(())
}

fn randomkey(call: &mut Call<'_>) -> Done {
    let (database, now) = (call.session.database, call.store.now);
    loop {
        let count = call.store.databases[database].len();
        if count == 0 {
            call.reply.null();
            return Ok(());
        }
        let place = call.store.random.below(count);
        let (key, entry) = call.store.databases[database].at(place);
        if entry.deadline > now {
            call.reply.bulk(key);
            return Ok(());
        }
        let key = key.to_vec();
        call.store.remove(database, &key);
    }
}
