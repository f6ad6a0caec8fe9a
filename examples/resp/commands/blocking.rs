//! Lists that are waited for: BLPOP, BLMOVE and their kin.
//!
//! Each does at once what it can, and else joins the lines, under the same lock; the client's coroutine then waits. In
//! a transaction nothing waits: it is as if the time were over.

use std::time::{Duration, Instant};

use super::super::call::Call;
use super::super::command::flag::{BLOCKING, GROWS, WRITE};
use super::super::command::{Command, TWO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::lines::{Action, End};
use super::super::number;
use super::super::store::take;
use super::super::value::List;
use super::lists;

const FLAGS: u32 = WRITE | BLOCKING;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("blpop", -3, FLAGS, (1, -2, 1), bpop, "Pop from the left of a list, or wait for an element"),
    Command::new("brpop", -3, FLAGS, (1, -2, 1), bpop, "Pop from the right of a list, or wait for an element"),
    Command::new("blmove", 6, FLAGS | GROWS, TWO_KEYS, bmove, "Move an element between lists, or wait for one"),
    Command::new("brpoplpush", 4, FLAGS | GROWS, TWO_KEYS, bmove, "Move an element between lists, or wait for one"),
    Command::new("blmpop", -5, FLAGS, (0, 0, 0), bmpop, "Pop elements from the first list that has some, or wait"),
];

/// Until when the word at `at` allows to wait; `None` is for ever.
fn deadline(call: &Call<'_>, at: usize) -> Result<Option<Instant>, Failure> {
    let seconds = number::float(call.arg(at)).ok_or(Failure::fixed("ERR timeout is not a float or out of range"))?;
    let milliseconds = (seconds * 1000.0).ceil();
    // What does not fit is told in the same words.
    if seconds < 0.0 || milliseconds > i64::MAX as f64 {
        return Err(Failure::fixed("ERR timeout is negative"));
    }
    // What is too far away for the clock is for ever, too.
    let after = Duration::from_millis(milliseconds as u64);
    Ok(if after.is_zero() { None } else { Instant::now().checked_add(after) })
}

fn wait(call: &mut Call<'_>, keys: &[&[u8]], action: Action, deadline: Option<Instant>) {
    let places = keys.iter().map(|key| (call.session.database, Box::from(*key))).collect();
    call.store.lines.join(&call.session.client, places, action);
    call.session.waits = Some(deadline);
}

fn bpop(call: &mut Call<'_>) -> Done {
    let last = call.args.len() - 1;
    let deadline = deadline(call, last)?;
    let end = if call.command.name == "blpop" { End::Left } else { End::Right };
    let keys: Vec<&[u8]> = call.args.until(last).from(1).iter().collect();
    for key in &keys {
        if let Some(list) = call.store.get::<List>(call.session.database, key)? {
            if let Some(value) = take(list, end) {
                call.reply.popped(key, &value);
            }
            call.settle(key);
            return Ok(());
        }
    }
    if call.session.is_executing {
        call.reply.null_array();
    } else {
        wait(call, &keys, Action::Pop(end), deadline);
    }
    Ok(())
}

fn bmove(call: &mut Call<'_>) -> Done {
    let (from, to) = (call.arg(1), call.arg(2));
    let (from_end, to_end) = match call.args.len() {
        6 => (lists::end(call.arg(3))?, lists::end(call.arg(4))?),
        _ => (End::Right, End::Left),
    };
    let deadline = deadline(call, call.args.len() - 1)?;
    match call.store.shift(call.session.database, from, to, from_end, to_end)? {
        Some(value) => call.reply.bulk(&value),
        None if call.session.is_executing => call.reply.null(),
        None => wait(call, &[from], Action::Move { to: to.into(), from_end, to_end }, deadline),
    }
    Ok(())
}

fn bmpop(call: &mut Call<'_>) -> Done {
    let deadline = deadline(call, 1)?;
    let (keys, end, count) = lists::many(call, 2)?;
    if lists::pop_many(call, &keys, end, count)? {
        return Ok(());
    }
    if call.session.is_executing {
        call.reply.null_array();
    } else {
        wait(call, &keys, Action::PopMany(end, count), deadline);
    }
    Ok(())
}
