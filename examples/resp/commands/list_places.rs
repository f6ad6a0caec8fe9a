//! Lists by the places in them: LINDEX, LRANGE, LREM and their kin.

use super::super::call::Call;
use super::super::command::flag::{GROWS, READ, WRITE};
use super::super::command::{Command, ONE_KEY};
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::value::List;
use super::texts::range;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("lindex", 3, READ, ONE_KEY, lindex, "Get an element from a list by its index"),
    Command::new("lrange", 4, READ, ONE_KEY, lrange, "Get a range of elements from a list"),
    Command::new("lset", 4, WRITE | GROWS, ONE_KEY, lset, "Set the value of an element in a list by its index"),
    Command::new("linsert", 5, WRITE | GROWS, ONE_KEY, linsert, "Insert an element before or after another"),
    Command::new("lrem", 4, WRITE, ONE_KEY, lrem, "Remove elements from a list"),
    Command::new("ltrim", 4, WRITE, ONE_KEY, ltrim, "Trim a list to the specified range"),
    Command::new("lpos", -3, READ, ONE_KEY, lpos, "Return the index of matching elements on a list"),
];

/// A place, counted from the end if it is negative.
fn place(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(length as i64)? } else { index };
    usize::try_from(index).ok().filter(|place| *place < length)
}

fn lindex(call: &mut Call<'_>) -> Done {
    let list: Option<&mut List> = call.store.get(call.session.database, call.arg(1))?;
    let Some(list) = list else {
        call.reply.null();
        return Ok(());
    };
    let index = number::integer(call.args.at(2)).ok_or(Failure::NOT_INTEGER)?;
    call.reply.optional(place(index, list.len()).map(|place| &list[place][..]));
    Ok(())
}

fn lrange(call: &mut Call<'_>) -> Done {
    let (begin, end) = (call.integer(2)?, call.integer(3)?);
    match call.store.get::<List>(call.session.database, call.arg(1))? {
        Some(list) => call.reply.bulks(list.range(range(begin, end, list.len())).map(|value| &value[..])),
        None => call.reply.array(0),
    }
    Ok(())
}

fn lset(call: &mut Call<'_>) -> Done {
    let key = call.arg(1);
    let list = call.store.get::<List>(call.session.database, key)?.ok_or(Failure::NO_KEY)?;
    let index = number::integer(call.args.at(2)).ok_or(Failure::NOT_INTEGER)?;
    let place = place(index, list.len()).ok_or(Failure::INDEX)?;
    list[place] = call.args.at(3).into();
    call.reply.ok();
    call.touch(key);
    Ok(())
}

fn linsert(call: &mut Call<'_>) -> Done {
    let (key, pivot) = (call.arg(1), call.arg(3));
    let behind = match &call.arg(2).to_ascii_lowercase()[..] {
        b"before" => 0,
        b"after" => 1,
        _ => return Err(Failure::SYNTAX),
    };
    let Some(list) = call.store.get::<List>(call.session.database, key)? else {
        call.reply.integer(0);
        return Ok(());
    };
    let Some(at) = list.iter().position(|value| &**value == pivot) else {
        call.reply.integer(-1);
        return Ok(());
    };
    list.insert(at + behind, call.args.at(4).into());
    call.reply.count(list.len());
    call.touch(key);
    Ok(())
}

fn lrem(call: &mut Call<'_>) -> Done {
    let (key, count, wanted) = (call.arg(1), call.integer(2)?, call.arg(3));
    let Some(list) = call.store.get::<List>(call.session.database, key)? else {
        call.reply.integer(0);
        return Ok(());
    };
    let most = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let mut found: Vec<usize> = Vec::new();
    let is_wanted = |place: &usize| *list[*place] == *wanted;
    if count < 0 {
        found.extend((0..list.len()).rev().filter(is_wanted).take(most));
        found.reverse();
    } else {
        found.extend((0..list.len()).filter(is_wanted).take(most));
    }
    let (mut place, mut next) = (0, 0);
    list.retain(|_| {
        let is_found = found.get(next) == Some(&place);
        next += usize::from(is_found);
        place += 1;
        !is_found
    });
    call.reply.count(found.len());
    if !found.is_empty() {
        call.settle(key);
    }
    Ok(())
}

fn ltrim(call: &mut Call<'_>) -> Done {
    let (key, begin, end) = (call.arg(1), call.integer(2)?, call.integer(3)?);
    if let Some(list) = call.store.get::<List>(call.session.database, key)? {
        let kept = range(begin, end, list.len());
        list.truncate(kept.end);
        list.drain(..kept.start);
        call.settle(key);
    }
    call.reply.ok();
    Ok(())
}

/// RANK, COUNT and MAXLEN of LPOS.
struct Search {
    rank: i64,
    count: Option<usize>,
    most: usize,
}

impl Search {
    fn read(call: &Call<'_>) -> Result<Search, Failure> {
        let (mut search, mut at) = (Search { rank: 1, count: None, most: usize::MAX }, 3);
        while let Some(name) = call.args.get(at) {
            let value = call.args.get(at + 1).ok_or(Failure::SYNTAX)?;
            let number = |text| number::integer(value).filter(|number| *number >= 0).ok_or(Failure::fixed(text));
            match &name.to_ascii_lowercase()[..] {
                b"rank" => search.rank = rank(value)?,
                b"count" => search.count = Some(number("ERR COUNT can't be negative")? as usize),
                b"maxlen" => {
                    let most = number("ERR MAXLEN can't be negative")? as usize;
                    search.most = if most == 0 { usize::MAX } else { most };
                }
                _ => return Err(Failure::SYNTAX),
            }
            at += 2;
        }
        Ok(search)
    }

    fn find(&self, list: &List, wanted: &[u8]) -> Vec<usize> {
        let is_wanted = |place: &usize| *list[*place] == *wanted;
        let skipped = self.rank.unsigned_abs() as usize - 1;
        let most = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        if self.rank > 0 {
            (0..list.len()).take(self.most).filter(is_wanted).skip(skipped).take(most).collect()
        } else {
            (0..list.len()).rev().take(self.most).filter(is_wanted).skip(skipped).take(most).collect()
        }
    }
}

fn rank(value: &[u8]) -> Result<i64, Failure> {
    let rank = number::integer(value).ok_or(Failure::NOT_INTEGER)?;
    if rank == i64::MIN {
        return Err(Failure::fixed(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    if rank == 0 {
        return Err(Failure::fixed(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
             from the end of the list",
        ));
    }
    Ok(rank)
}

fn lpos(call: &mut Call<'_>) -> Done {
    let search = Search::read(call)?;
    let list: Option<&mut List> = call.store.get(call.session.database, call.arg(1))?;
    let found = list.map(|list| search.find(list, call.args.at(2))).unwrap_or_default();
    match (search.count, found.first()) {
        (None, Some(place)) => call.reply.count(*place),
        (None, None) => call.reply.null(),
        (Some(_), _) => {
            call.reply.array(found.len());
            found.iter().for_each(|place| call.reply.count(*place));
        }
    }
    Ok(())
}
