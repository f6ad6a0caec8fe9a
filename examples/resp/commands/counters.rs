//! Text that is a number: INCR and its kin.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, WRITE};
use super::super::command::{Command, ONE_KEY};
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::value::Text;

const FLAGS: u32 = WRITE | GROWS | FAST;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("incr", 2, FLAGS, ONE_KEY, incr, "Increment the integer value of a key by one"),
    Command::new("decr", 2, FLAGS, ONE_KEY, decr, "Decrement the integer value of a key by one"),
    Command::new("incrby", 3, FLAGS, ONE_KEY, incrby, "Increment the integer value of a key by a number"),
    Command::new("decrby", 3, FLAGS, ONE_KEY, decrby, "Decrement the integer value of a key by a number"),
    Command::new("incrbyfloat", 3, FLAGS, ONE_KEY, incrbyfloat, "Increment the float value of a key by a number"),
];

fn incr(call: &mut Call<'_>) -> Done {
    add(call, 1)
}

fn decr(call: &mut Call<'_>) -> Done {
    add(call, -1)
}

fn incrby(call: &mut Call<'_>) -> Done {
    add(call, call.integer(2)?)
}

fn decrby(call: &mut Call<'_>) -> Done {
    let by = call.integer(2)?.checked_neg();
    add(call, by.ok_or(Failure::fixed("ERR decrement would overflow"))?)
}

fn add(call: &mut Call<'_>, by: i64) -> Done {
    let key = call.arg(1);
    let value = match call.store.get::<Text>(call.session.database, key)? {
        Some(text) => number::integer(&text.bytes).ok_or(Failure::NOT_INTEGER)?,
        None => 0,
    };
    let value = value.checked_add(by).ok_or(Failure::OVERFLOW)?;
    let text: &mut Text = call.store.get_or_new(call.session.database, key)?;
    number::with_integer(value, |bytes| text.become_bytes(bytes));
    call.reply.integer(value);
    call.touch(key);
    Ok(())
}

fn incrbyfloat(call: &mut Call<'_>) -> Done {
    let (key, by) = (call.arg(1), call.arg(2));
    let text = call.store.get::<Text>(call.session.database, key)?;
    let old = text.map_or(&b"0"[..], |text| &text.bytes);
    number::float(old).ok_or(Failure::NOT_FLOAT)?;
    number::float(by).ok_or(Failure::NOT_FLOAT)?;
    let sum = number::sum(old, by).ok_or(Failure::NOT_FINITE)?;
    let text: &mut Text = call.store.get_or_new(call.session.database, key)?;
    text.become_bytes(sum.as_bytes());
    call.reply.bulk(sum.as_bytes());
    call.touch(key);
    Ok(())
}
