//! Fields of hashes that are numbers, or chosen at random.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, READ, WRITE};
use super::super::command::{Command, ONE_KEY};
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::reply::Reply;
use super::super::value::Hash;

const FLAGS: u32 = WRITE | GROWS | FAST;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("hincrby", 4, FLAGS, ONE_KEY, hincrby, "Increment the integer value of a hash field"),
    Command::new("hincrbyfloat", 4, FLAGS, ONE_KEY, hincrbyfloat, "Increment the float value of a hash field"),
    Command::new("hrandfield", -2, READ, ONE_KEY, hrandfield, "Get one or multiple random fields from a hash"),
];

fn hincrby(call: &mut Call<'_>) -> Done {
    let (key, field, by) = (call.arg(1), call.arg(2), call.integer(3)?);
    let hash: Option<&mut Hash> = call.store.get(call.session.database, key)?;
    let value = match hash.and_then(|hash| hash.fields.get(field)) {
        Some(value) => number::integer(value).ok_or(Failure::fixed("ERR hash value is not an integer"))?,
        None => 0,
    };
    let value = value.checked_add(by).ok_or(Failure::OVERFLOW)?;
    let hash: &mut Hash = call.store.get_or_new(call.session.database, key)?;
    number::with_integer(value, |text| hash.insert(field, text));
    call.reply.integer(value);
    call.touch(key);
    Ok(())
}

fn hincrbyfloat(call: &mut Call<'_>) -> Done {
    let (key, field, by) = (call.arg(1), call.arg(2), call.arg(3));
    let number = number::float(by).ok_or(Failure::NOT_FLOAT)?;
    if number.is_infinite() {
        return Err(Failure::fixed("ERR value is NaN or Infinity"));
    }
    let hash: Option<&mut Hash> = call.store.get(call.session.database, key)?;
    let old = hash.and_then(|hash| hash.fields.get(field)).map_or(&b"0"[..], |value| value);
    number::float(old).ok_or(Failure::fixed("ERR hash value is not a float"))?;
    let sum = number::sum(old, by).ok_or(Failure::NOT_FINITE)?;
    let hash: &mut Hash = call.store.get_or_new(call.session.database, key)?;
    hash.insert(field, sum.as_bytes());
    call.reply.bulk(sum.as_bytes());
    call.touch(key);
    Ok(())
}

fn hrandfield(call: &mut Call<'_>) -> Done {
    if call.args.len() == 2 {
        let hash: Option<&mut Hash> =
            call.store.databases[call.session.database].get(call.args.at(1), call.store.now)?;
        let random = &mut call.store.random;
        call.reply.optional(hash.map(|hash| hash.fields.at(random.below(hash.fields.len())).0));
        return Ok(());
    }
    let count = call.count(2)?;
    let has_values = match call.args.get(3) {
        None => false,
        Some(word) if call.args.len() == 4 && word.eq_ignore_ascii_case(b"withvalues") => true,
        Some(_) => return Err(Failure::SYNTAX),
    };
    if has_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(Failure::OUT_OF_RANGE);
    }
    let hash: Option<&mut Hash> = call.store.databases[call.session.database].get(call.args.at(1), call.store.now)?;
    let Some(hash) = hash else {
        call.reply.array(0);
        return Ok(());
    };
    let (length, random) = (hash.fields.len(), &mut call.store.random);
    match usize::try_from(count) {
        Ok(count) => {
            let places = random.choose(length, count);
            begin(call.reply, places.len(), has_values);
            places.iter().for_each(|place| say(call.reply, hash, *place, has_values));
        }
        Err(_) => {
            let count = count.unsigned_abs();
            begin(call.reply, count as usize, has_values);
            call.reply.repeat(count, |reply| say(reply, hash, random.below(length), has_values));
        }
    }
    Ok(())
}

/// So many fields follow.
fn begin(reply: &mut Reply, count: usize, has_values: bool) {
    reply.array(if has_values && !reply.is_new { 2 * count } else { count });
}

fn say(reply: &mut Reply, hash: &Hash, place: usize, has_values: bool) {
    let (field, value) = hash.fields.at(place);
    if has_values && reply.is_new {
        reply.array(2);
    }
    reply.bulk(field);
    if has_values {
        reply.bulk(value);
    }
}
