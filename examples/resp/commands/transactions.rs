//! Transactions: MULTI, EXEC, WATCH and their kin.

use std::sync::atomic::Ordering::Relaxed;

use super::super::call::Call;
use super::super::command::flag::{AT_ONCE, FAST};
use super::super::command::{ALL_KEYS, Command, NO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::session::Queue;

const FLAGS: u32 = FAST | AT_ONCE;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("multi", 1, FLAGS, NO_KEYS, multi, "Mark the start of a transaction block"),
    Command::new("exec", 1, AT_ONCE, NO_KEYS, exec, "Execute all commands issued after MULTI"),
    Command::new("discard", 1, FLAGS, NO_KEYS, discard, "Discard all commands issued after MULTI"),
    Command::new("watch", -2, FLAGS, ALL_KEYS, watch, "Watch keys to determine the execution of a transaction"),
    Command::new("unwatch", 1, FAST, NO_KEYS, unwatch, "Forget about all watched keys"),
];

fn multi(call: &mut Call<'_>) -> Done {
    if call.session.queue.is_some() {
        return Err(Failure::fixed("ERR MULTI calls can not be nested"));
    }
    call.session.queue = Some(Queue::default());
    call.session.client.queued.store(0, Relaxed);
    call.reply.ok();
    Ok(())
}

fn exec(call: &mut Call<'_>) -> Done {
    // What is watched and has expired was changed by that.
    for (database, key) in &call.session.watched {
        call.store.databases[*database].find(key, call.store.now);
    }
    let is_dirty = call.session.dirty.load(Relaxed);
    let queue = call.session.end_queue(call.store).ok_or(Failure::fixed("ERR EXEC without MULTI"))?;
    if queue.is_spoilt {
        return Err(Failure::fixed("EXECABORT Transaction discarded because of previous errors."));
    }
    if is_dirty {
        call.reply.null_array();
        return Ok(());
    }
    call.reply.array(queue.commands.len());
    call.session.is_executing = true;
    for (command, words) in &queue.commands {
        execute(call, command, words.args());
        // The transaction is whole all the same.
        if call.reply.is_over() {
            call.reply.cut();
        }
    }
    call.session.is_executing = false;
    Ok(())
}

fn execute(call: &mut Call<'_>, command: &'static super::super::command::Command, args: super::super::args::Args<'_>) {
    let Call { server, store, session, reply, .. } = call;
    store.counts.commands += 1;
    if let Err(failure) = (command.run)(&mut Call { server, store, session, reply, args, command }) {
        store.counts.errors += 1;
        reply.failure(&failure);
    }
}

fn discard(call: &mut Call<'_>) -> Done {
    if call.session.queue.is_none() {
        return Err(Failure::fixed("ERR DISCARD without MULTI"));
    }
    call.session.end_queue(call.store);
    call.reply.ok();
    Ok(())
}

fn watch(call: &mut Call<'_>) -> Done {
    if call.session.queue.is_some() {
        return Err(Failure::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    let database = call.session.database;
    for key in call.args.from(1).iter() {
        // Removes it if it has expired: that is no change for who watches from now on.
        call.store.find(database, key);
        if !call.session.watched.iter().any(|(other, watched)| *other == database && **watched == *key) {
            call.store.databases[database].watch(key, &call.session.dirty);
            call.session.watched.push((database, key.into()));
        }
    }
    call.reply.ok();
    Ok(())
}

fn unwatch(call: &mut Call<'_>) -> Done {
    call.session.unwatch(call.store);
    call.reply.ok();
    Ok(())
}
