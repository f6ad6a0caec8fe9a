//! When keys expire: EXPIRE, TTL, PERSIST and their kin.

use super::super::call::Call;
use super::super::command::flag::{FAST, READ, WRITE};
use super::super::command::{Command, ONE_KEY};
use super::super::database::NEVER;
use super::super::failure::{Done, Failure};

const FLAGS: u32 = WRITE | FAST;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("expire", -3, FLAGS, ONE_KEY, expire, "Set a key's time to live in seconds"),
    Command::new("pexpire", -3, FLAGS, ONE_KEY, expire, "Set a key's time to live in milliseconds"),
    Command::new("expireat", -3, FLAGS, ONE_KEY, expire, "Set the expiration for a key as a UNIX timestamp"),
    Command::new("pexpireat", -3, FLAGS, ONE_KEY, expire, "Set the expiration as a UNIX timestamp in milliseconds"),
    Command::new("ttl", 2, READ | FAST, ONE_KEY, ttl, "Get the time to live for a key in seconds"),
    Command::new("pttl", 2, READ | FAST, ONE_KEY, ttl, "Get the time to live for a key in milliseconds"),
    Command::new("expiretime", 2, READ | FAST, ONE_KEY, ttl, "Get the expiration UNIX timestamp for a key"),
    Command::new("pexpiretime", 2, READ | FAST, ONE_KEY, ttl, "Get the expiration UNIX timestamp in milliseconds"),
    Command::new("persist", 2, FLAGS, ONE_KEY, persist, "Remove the expiration from a key"),
];

/// In which case a deadline is set.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    none_yet: bool,
    some_yet: bool,
    later: bool,
    sooner: bool,
}

impl Conditions {
    fn read(call: &Call<'_>) -> Result<Conditions, Failure> {
        let mut conditions = Conditions::default();
        for word in call.args.from(3).iter() {
            match &word.to_ascii_lowercase()[..] {
                b"nx" => conditions.none_yet = true,
                b"xx" => conditions.some_yet = true,
                b"gt" => conditions.later = true,
                b"lt" => conditions.sooner = true,
                _ => {
                    let text = [b"ERR Unsupported option ", word].concat();
                    return Err(Failure::new(text));
                }
            }
        }
        let Conditions { none_yet, some_yet, later, sooner } = conditions;
        if none_yet && (some_yet || later || sooner) {
            return Err(Failure::fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if later && sooner {
            return Err(Failure::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// What never expires is later than all.
    fn allow(self, old: u64, new: i64) -> bool {
        let is_later = old != NEVER && new > old as i64;
        let is_sooner = old == NEVER || new < old as i64;
        (!self.none_yet || old == NEVER)
            && (!self.some_yet || old != NEVER)
            && (!self.later || is_later)
            && (!self.sooner || is_sooner)
    }
}

fn expire(call: &mut Call<'_>) -> Done {
    let name = call.command.name;
    let conditions = Conditions::read(call)?;
    let number = call.integer(2)?;
    let unit = if name.starts_with('p') { 1 } else { 1000 };
    let base = if name.ends_with("at") { 0 } else { call.store.now as i64 };
    let deadline = number.checked_mul(unit).and_then(|after| after.checked_add(base));
    let deadline = deadline.ok_or_else(|| Failure::expire(name))?;
    let (database, key, now) = (call.session.database, call.arg(1), call.store.now);
    let old = call.store.find(database, key).map(|entry| entry.deadline);
    let is_set = old.is_some_and(|old| conditions.allow(old, deadline));
    if is_set && deadline <= now as i64 {
        call.store.remove(database, key);
    } else if is_set {
        call.store.databases[database].set_deadline(key, deadline as u64);
        call.touch(key);
    }
    call.reply.truth(is_set);
    Ok(())
}

fn ttl(call: &mut Call<'_>) -> Done {
    let name = call.command.name;
    let now = if name.ends_with("time") { 0 } else { call.store.now };
    let left = match call.store.find(call.session.database, call.arg(1)) {
        None => -2,
        Some(entry) if entry.deadline == NEVER => -1,
        Some(entry) if name.starts_with('p') => (entry.deadline - now) as i64,
        Some(entry) => (entry.deadline - now).saturating_add(if now == 0 { 0 } else { 500 }) as i64 / 1000,
    };
    call.reply.integer(left);
    Ok(())
}

fn persist(call: &mut Call<'_>) -> Done {
    let (database, key) = (call.session.database, call.arg(1));
    let expires = call.store.find(database, key).is_some_and(|entry| entry.deadline != NEVER);
    if expires {
        call.store.databases[database].set_deadline(key, NEVER);
        call.touch(key);
    }
    call.reply.truth(expires);
    Ok(())
}
