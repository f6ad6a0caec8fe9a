//! Text as a whole: GET, MSET and their kin. SET has a room of its own.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, READ, WRITE};
use super::super::command::{ALL_KEYS, Command, ONE_KEY};
use super::super::database::NEVER;
use super::super::failure::{Done, Failure};
use super::super::value::{Text, Value};

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("get", 2, READ | FAST, ONE_KEY, get, "Get the value of a key"),
    Command::new("setnx", 3, WRITE | GROWS | FAST, ONE_KEY, setnx, "Set the value of a key, if the key does not exist"),
    Command::new("getset", 3, WRITE | GROWS | FAST, ONE_KEY, getset, "Set the value of a key and return the old one"),
    Command::new("getdel", 2, WRITE | FAST, ONE_KEY, getdel, "Get the value of a key and delete the key"),
    Command::new("mget", -2, READ | FAST, ALL_KEYS, mget, "Get the values of all the given keys"),
    Command::new("mset", -3, WRITE | GROWS, (1, -1, 2), mset, "Set multiple keys to multiple values"),
    Command::new("msetnx", -3, WRITE | GROWS, (1, -1, 2), msetnx, "Set multiple keys, if none of them exists"),
];

fn get(call: &mut Call<'_>) -> Done {
    let text: Option<&mut Text> = call.store.get(call.session.database, call.arg(1))?;
    call.reply.optional(text.map(|text| &text.bytes[..]));
    Ok(())
}

fn put(call: &mut Call<'_>, key: &[u8], value: &[u8]) {
    call.store.databases[call.session.database].put(key, Value::Text(Text::of(value)), NEVER);
}

fn setnx(call: &mut Call<'_>) -> Done {
    let is_new = !call.store.contains(call.session.database, call.arg(1));
    if is_new {
        put(call, call.arg(1), call.arg(2));
    }
    call.reply.truth(is_new);
    Ok(())
}

fn getset(call: &mut Call<'_>) -> Done {
    get(call)?;
    put(call, call.arg(1), call.arg(2));
    Ok(())
}

fn getdel(call: &mut Call<'_>) -> Done {
    get(call)?;
    call.store.remove(call.session.database, call.arg(1));
    Ok(())
}

fn mget(call: &mut Call<'_>) -> Done {
    let keys = call.args.from(1);
    call.reply.array(keys.len());
    for key in keys.iter() {
        // What is no text is nothing.
        let text: Option<&mut Text> = call.store.get(call.session.database, key).unwrap_or_default();
        call.reply.optional(text.map(|text| &text.bytes[..]));
    }
    Ok(())
}

fn is_even(call: &Call<'_>) -> Done {
    if call.args.len() % 2 == 1 { Ok(()) } else { Err(Failure::arity(call.command.name)) }
}

fn mset(call: &mut Call<'_>) -> Done {
    is_even(call)?;
    for (key, value) in call.args.from(1).pairs() {
        put(call, key, value);
    }
    call.reply.ok();
    Ok(())
}

fn msetnx(call: &mut Call<'_>) -> Done {
    is_even(call)?;
    let pairs = call.args.from(1);
    let is_free = pairs.pairs().all(|(key, _)| !call.store.contains(call.session.database, key));
    if is_free {
        for (key, value) in pairs.pairs() {
            put(call, key, value);
        }
    }
    call.reply.truth(is_free);
    Ok(())
}
