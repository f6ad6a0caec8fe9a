//! Hashes: HSET, HGET and their kin.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, READ, WRITE};
use super::super::command::{Command, ONE_KEY};
use super::super::failure::{Done, Failure};
use super::super::value::Hash;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("hset", -4, WRITE | GROWS | FAST, ONE_KEY, hset, "Set the string value of a hash field"),
    Command::new("hmset", -4, WRITE | GROWS | FAST, ONE_KEY, hset, "Set multiple hash fields to multiple values"),
    Command::new("hsetnx", 4, WRITE | GROWS | FAST, ONE_KEY, hsetnx, "Set the value of a new hash field"),
    Command::new("hget", 3, READ | FAST, ONE_KEY, hget, "Get the value of a hash field"),
    Command::new("hmget", -3, READ | FAST, ONE_KEY, hmget, "Get the values of all the given hash fields"),
    Command::new("hgetall", 2, READ, ONE_KEY, hgetall, "Get all the fields and values in a hash"),
    Command::new("hkeys", 2, READ, ONE_KEY, hkeys, "Get all the fields in a hash"),
    Command::new("hvals", 2, READ, ONE_KEY, hvals, "Get all the values in a hash"),
    Command::new("hdel", -3, WRITE | FAST, ONE_KEY, hdel, "Delete one or more hash fields"),
    Command::new("hlen", 2, READ | FAST, ONE_KEY, hlen, "Get the number of fields in a hash"),
    Command::new("hexists", 3, READ | FAST, ONE_KEY, hexists, "Determine if a hash field exists"),
    Command::new("hstrlen", 3, READ | FAST, ONE_KEY, hstrlen, "Get the length of the value of a hash field"),
];

fn hset(call: &mut Call<'_>) -> Done {
    let key = call.arg(1);
    if !call.args.len().is_multiple_of(2) {
        return Err(Failure::arity(call.command.name));
    }
    let hash: &mut Hash = call.store.get_or_new(call.session.database, key)?;
    let added = call.args.from(2).pairs().filter(|(field, value)| hash.insert(field, value)).count();
    if call.command.name == "hmset" {
        call.reply.ok();
    } else {
        call.reply.count(added);
    }
    call.touch(key);
    Ok(())
}

fn hsetnx(call: &mut Call<'_>) -> Done {
    let (key, field) = (call.arg(1), call.arg(2));
    let hash: &mut Hash = call.store.get_or_new(call.session.database, key)?;
    let is_new = !hash.fields.contains(field);
    if is_new {
        hash.insert(field, call.args.at(3));
        call.touch(key);
    }
    call.reply.truth(is_new);
    Ok(())
}

fn hget(call: &mut Call<'_>) -> Done {
    let hash: Option<&mut Hash> = call.store.get(call.session.database, call.arg(1))?;
    let value = hash.and_then(|hash| hash.fields.get(call.args.at(2)));
    call.reply.optional(value.map(|value| &value[..]));
    Ok(())
}

fn hmget(call: &mut Call<'_>) -> Done {
    let hash: Option<&mut Hash> = call.store.get(call.session.database, call.arg(1))?;
    let fields = call.args.from(2);
    call.reply.array(fields.len());
    for field in fields.iter() {
        let value = hash.as_ref().and_then(|hash| hash.fields.get(field));
        call.reply.optional(value.map(|value| &value[..]));
    }
    Ok(())
}

fn hgetall(call: &mut Call<'_>) -> Done {
    let Some(hash) = call.store.get::<Hash>(call.session.database, call.arg(1))? else {
        call.reply.map(0);
        return Ok(());
    };
    call.reply.map(hash.fields.len());
    for (field, value) in hash.fields.iter() {
        call.reply.bulk(field);
        call.reply.bulk(value);
    }
    Ok(())
}

fn hkeys(call: &mut Call<'_>) -> Done {
    match call.store.get::<Hash>(call.session.database, call.arg(1))? {
        Some(hash) => call.reply.bulks(hash.fields.names()),
        None => call.reply.array(0),
    }
    Ok(())
}

fn hvals(call: &mut Call<'_>) -> Done {
    match call.store.get::<Hash>(call.session.database, call.arg(1))? {
        Some(hash) => call.reply.bulks(hash.fields.iter().map(|(_, value)| &value[..])),
        None => call.reply.array(0),
    }
    Ok(())
}

fn hdel(call: &mut Call<'_>) -> Done {
    let key = call.arg(1);
    let Some(hash) = call.store.get::<Hash>(call.session.database, key)? else {
        call.reply.integer(0);
        return Ok(());
    };
    let removed = call.args.from(2).iter().filter(|field| hash.fields.remove(field).is_some()).count();
    call.reply.count(removed);
    if removed > 0 {
        call.settle(key);
    }
    Ok(())
}

fn hlen(call: &mut Call<'_>) -> Done {
    let hash: Option<&mut Hash> = call.store.get(call.session.database, call.arg(1))?;
    call.reply.count(hash.map_or(0, |hash| hash.fields.len()));
    Ok(())
}

fn hexists(call: &mut Call<'_>) -> Done {
    let hash: Option<&mut Hash> = call.store.get(call.session.database, call.arg(1))?;
    let is_there = hash.is_some_and(|hash| hash.fields.contains(call.args.at(2)));
    call.reply.truth(is_there);
    Ok(())
}

fn hstrlen(call: &mut Call<'_>) -> Done {
    let hash: Option<&mut Hash> = call.store.get(call.session.database, call.arg(1))?;
    let value = hash.and_then(|hash| hash.fields.get(call.args.at(2)));
    call.reply.count(value.map_or(0, |value| value.len()));
    Ok(())
}
