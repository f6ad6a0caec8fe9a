//! Sets: SADD, SPOP and their kin.

use super::super::call::Call;
use super::super::command::flag::{FAST, GROWS, READ, WRITE};
use super::super::command::{Command, ONE_KEY, TWO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::value::Set;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("sadd", -3, WRITE | GROWS | FAST, ONE_KEY, sadd, "Add one or more members to a set"),
    Command::new("srem", -3, WRITE | FAST, ONE_KEY, srem, "Remove one or more members from a set"),
    Command::new("scard", 2, READ | FAST, ONE_KEY, scard, "Get the number of members in a set"),
    Command::new("sismember", 3, READ | FAST, ONE_KEY, sismember, "Determine if a given value is a member of a set"),
    Command::new("smismember", -3, READ | FAST, ONE_KEY, smismember, "Determine which values are members of a set"),
    Command::new("smembers", 2, READ, ONE_KEY, smembers, "Get all the members in a set"),
    Command::new("smove", 4, WRITE | FAST, TWO_KEYS, smove, "Move a member from one set to another"),
    Command::new("spop", -2, WRITE | FAST, ONE_KEY, spop, "Remove and return random members from a set"),
    Command::new("srandmember", -2, READ, ONE_KEY, srandmember, "Get one or multiple random members from a set"),
];

fn sadd(call: &mut Call<'_>) -> Done {
    let key = call.arg(1);
    let set: &mut Set = call.store.get_or_new(call.session.database, key)?;
    let added = call.args.from(2).iter().filter(|member| set.insert(member)).count();
    call.reply.count(added);
    if added > 0 {
        call.touch(key);
    }
    Ok(())
}

fn srem(call: &mut Call<'_>) -> Done {
    let key = call.arg(1);
    let Some(set) = call.store.get::<Set>(call.session.database, key)? else {
        call.reply.integer(0);
        return Ok(());
    };
    let removed = call.args.from(2).iter().filter(|member| set.members.remove(member).is_some()).count();
    call.reply.count(removed);
    if removed > 0 {
        call.settle(key);
    }
    Ok(())
}

fn scard(call: &mut Call<'_>) -> Done {
    let set: Option<&mut Set> = call.store.get(call.session.database, call.arg(1))?;
    call.reply.count(set.map_or(0, |set| set.members.len()));
    Ok(())
}

fn sismember(call: &mut Call<'_>) -> Done {
    let set: Option<&mut Set> = call.store.get(call.session.database, call.arg(1))?;
    let is_member = set.is_some_and(|set| set.members.contains(call.args.at(2)));
    call.reply.truth(is_member);
    Ok(())
}

fn smismember(call: &mut Call<'_>) -> Done {
    let set: Option<&mut Set> = call.store.get(call.session.database, call.arg(1))?;
    let members = call.args.from(2);
    call.reply.array(members.len());
    for member in members.iter() {
        call.reply.truth(set.as_ref().is_some_and(|set| set.members.contains(member)));
    }
    Ok(())
}

fn smembers(call: &mut Call<'_>) -> Done {
    let Some(set) = call.store.get::<Set>(call.session.database, call.arg(1))? else {
        call.reply.set(0);
        return Ok(());
    };
    call.reply.set(set.members.len());
    set.members.names().for_each(|member| call.reply.bulk(member));
    Ok(())
}

fn smove(call: &mut Call<'_>) -> Done {
    let (database, from, to, member) = (call.session.database, call.arg(1), call.arg(2), call.arg(3));
    let Some(source) = call.store.get::<Set>(database, from)? else {
        call.reply.integer(0);
        return Ok(());
    };
    let is_member = source.members.contains(member);
    call.store.get::<Set>(database, to)?;
    if is_member && from != to {
        if let Some(source) = call.store.get::<Set>(database, from)? {
            source.members.remove(member);
        }
        call.settle(from);
        call.store.get_or_new::<Set>(database, to)?.insert(member);
        call.touch(to);
    }
    call.reply.truth(is_member);
    Ok(())
}

fn spop(call: &mut Call<'_>) -> Done {
    let key = call.arg(1);
    let count = match call.args.len() {
        2 => None,
        3 => Some(call.positive(2)?),
        _ => return Err(Failure::SYNTAX),
    };
    let set: Option<&mut Set> = call.store.databases[call.session.database].get(key, call.store.now)?;
    let Some(set) = set else {
        if count.is_some() {
            call.reply.set(0);
        } else {
            call.reply.null();
        }
        return Ok(());
    };
    let taken = count.unwrap_or(1).min(set.members.len());
    if count.is_some() {
        call.reply.set(taken);
    }
    for _ in 0..taken {
        let place = call.store.random.below(set.members.len());
        call.reply.bulk(&set.members.remove_at(place).0);
    }
    if taken > 0 {
        call.settle(key);
    }
    Ok(())
}

fn srandmember(call: &mut Call<'_>) -> Done {
    let count = match call.args.len() {
        2 => None,
        3 => Some(call.count(2)?),
        _ => return Err(Failure::SYNTAX),
    };
    let set: Option<&mut Set> = call.store.databases[call.session.database].get(call.args.at(1), call.store.now)?;
    let (Some(set), random) = (set, &mut call.store.random) else {
        if count.is_some() {
            call.reply.array(0);
        } else {
            call.reply.null();
        }
        return Ok(());
    };
    let length = set.members.len();
    match count {
        None => call.reply.bulk(set.members.at(random.below(length)).0),
        Some(count @ 0..) => {
            let places = random.choose(length, count as usize);
            call.reply.bulks(places.iter().map(|place| set.members.at(*place).0));
        }
        Some(count) => {
            let count = count.unsigned_abs();
            call.reply.array(count as usize);
            call.reply.repeat(count, |reply| reply.bulk(set.members.at(random.below(length)).0));
        }
    }
    Ok(())
}
