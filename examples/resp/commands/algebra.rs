//! Sets made of sets: unions, intersections and differences.

use super::super::call::Call;
use super::super::command::flag::{GROWS, READ, WRITE};
use super::super::command::{ALL_KEYS, Command};
use super::super::database::NEVER;
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::value::{Kind, Set};

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("sunion", -2, READ, ALL_KEYS, tell, "Add multiple sets"),
    Command::new("sinter", -2, READ, ALL_KEYS, tell, "Intersect multiple sets"),
    Command::new("sdiff", -2, READ, ALL_KEYS, tell, "Subtract multiple sets"),
    Command::new("sunionstore", -3, WRITE | GROWS, ALL_KEYS, store, "Add multiple sets and store the result"),
    Command::new("sinterstore", -3, WRITE | GROWS, ALL_KEYS, store, "Intersect multiple sets and store the result"),
    Command::new("sdiffstore", -3, WRITE | GROWS, ALL_KEYS, store, "Subtract multiple sets and store the result"),
    Command::new("sintercard", -3, READ, (0, 0, 0), sintercard, "Return the size of an intersection of sets"),
];

/// What becomes of the sets of these keys by the command of this name.
fn combined(call: &mut Call<'_>, keys: &[&[u8]]) -> Result<Set, Failure> {
    // In the order of the keys: an error is told before anything is done.
    for key in keys {
        call.store.get::<Set>(call.session.database, key)?;
    }
    let (name, mut result) = (call.command.name, Set::default());
    for (index, key) in keys.iter().enumerate() {
        let set: Option<&mut Set> = call.store.get(call.session.database, key)?;
        let members = set.as_ref().map(|set| &set.members);
        if index == 0 || name.starts_with("sunion") {
            for member in members.into_iter().flat_map(|members| members.names()) {
                result.insert(member);
            }
            continue;
        }
        let is_wanted = name.starts_with("sinter");
        let is_in = |member: &[u8]| members.is_some_and(|members| members.contains(member));
        let old = std::mem::take(&mut result);
        for member in old.members.names().filter(|member| is_in(member) == is_wanted) {
            result.insert(member);
        }
    }
    Ok(result)
}

fn tell(call: &mut Call<'_>) -> Done {
    let keys: Vec<&[u8]> = call.args.from(1).iter().collect();
    let result = combined(call, &keys)?;
    call.reply.set(result.members.len());
    result.members.names().for_each(|member| call.reply.bulk(member));
    Ok(())
}

fn store(call: &mut Call<'_>) -> Done {
    let (database, target) = (call.session.database, call.arg(1));
    let keys: Vec<&[u8]> = call.args.from(2).iter().collect();
    let result = combined(call, &keys)?;
    call.reply.count(result.members.len());
    if result.members.is_empty() {
        call.store.remove(database, target);
    } else {
        call.store.databases[database].put(target, result.into_value(), NEVER);
    }
    Ok(())
}

fn sintercard(call: &mut Call<'_>) -> Done {
    let count = number::integer(call.arg(1)).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(Failure::fixed("ERR numkeys should be greater than 0"))?;
    let after = count.checked_add(2).filter(|after| *after <= call.args.len());
    let after = after.ok_or(Failure::fixed("ERR Number of keys can't be greater than number of args"))?;
    let mut limit = usize::MAX;
    let mut options = call.args.from(after).iter();
    while let Some(word) = options.next() {
        let value = options.next().filter(|_| word.eq_ignore_ascii_case(b"limit")).ok_or(Failure::SYNTAX)?;
        let most = number::integer(value).and_then(|most| usize::try_from(most).ok());
        let most = most.ok_or(Failure::fixed("ERR LIMIT can't be negative"))?;
        limit = if most == 0 { usize::MAX } else { most };
    }
    let keys: Vec<&[u8]> = call.args.until(after).from(2).iter().collect();
    let result = combined(call, &keys)?;
    call.reply.count(result.members.len().min(limit));
    Ok(())
}
