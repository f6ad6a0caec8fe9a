//! What the server says of its commands and values: COMMAND, OBJECT, DEBUG.

use std::time::Duration;

use dormouse::thread;

use super::super::call::Call;
use super::super::command::flag::{self, ADMIN, READ};
use super::super::command::{self, Command, NO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::reply::Reply;
use super::super::store;
use super::{ALL, GROUPS, help};

/// The version since which there are such commands.
const SINCE: &[u8] = b"1.0.0";

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("command", -1, 0, NO_KEYS, info, "Get array of command details").with(&[
        Command::new("command|count", 2, 0, NO_KEYS, count, "Get total number of commands"),
        Command::new("command|info", -2, 0, NO_KEYS, info, "Get array of specific command details"),
        Command::new("command|docs", -2, 0, NO_KEYS, docs, "Get array of specific command documentation"),
        Command::new("command|list", -2, 0, NO_KEYS, list, "Get an array of command names"),
        Command::new("command|getkeys", -4, 0, NO_KEYS, getkeys, "Extract keys given a full command"),
        Command::new("command|help", 2, 0, NO_KEYS, help::command, "Show helpful text about the subcommands"),
    ]),
    Command::new("object", -2, 0, NO_KEYS, help::nothing, "A container for object introspection commands").with(&[
        Command::new("object|encoding", 3, READ, (2, 2, 1), encoding, "Inspect the internal encoding of an object"),
        Command::new("object|refcount", 3, READ, (2, 2, 1), refcount, "Get the number of references to a value"),
        Command::new("object|help", 2, 0, NO_KEYS, help::object, "Show helpful text about the subcommands"),
    ]),
    Command::new("debug", -2, ADMIN, NO_KEYS, help::nothing, "A container for debugging commands")
        .with(&[Command::new("debug|sleep", 3, ADMIN, NO_KEYS, sleep, "Stop the server for some time")]),
];

fn count(call: &mut Call<'_>) -> Done {
    call.reply.count(command::all().count());
    Ok(())
}

fn list(call: &mut Call<'_>) -> Done {
    if call.args.len() > 2 {
        return Err(Failure::SYNTAX);
    }
    let names: Vec<&[u8]> = command::all().map(|command| command.name.as_bytes()).collect();
    call.reply.bulks(names.into_iter());
    Ok(())
}

/// The commands of these names, or all of them.
fn named(call: &Call<'_>) -> Vec<Option<&'static Command>> {
    match call.args.len() {
        0..=2 => command::all().map(Some).collect(),
        _ => call.args.from(2).iter().map(by_name).collect(),
    }
}

/// A command, or subcommand behind a bar.
fn by_name(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|byte| *byte == b'|') {
        Some(at) => command::find(&name[..at])?.subcommand(&name[at + 1..]),
        None => command::find(name),
    }
}

fn info(call: &mut Call<'_>) -> Done {
    let commands = named(call);
    call.reply.array(commands.len());
    for command in commands {
        match command {
            Some(command) => describe(call.reply, command),
            None => call.reply.null(),
        }
    }
    Ok(())
}

fn describe(reply: &mut Reply, command: &Command) {
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.integer(command.arity);
    let flags: Vec<&str> = flag::NAMES.iter().filter(|(flag, _)| command.is(*flag)).map(|(_, name)| *name).collect();
    reply.set(flags.len());
    flags.iter().for_each(|name| reply.simple(name));
    let (first, last, step) = command.keys;
    [first, last, step].iter().for_each(|place| reply.integer(*place));
    // Categories, tips and key specifications, of which there are none here.
    reply.set(0);
    reply.array(0);
    reply.array(0);
    reply.array(command.subcommands.len());
    command.subcommands.iter().for_each(|sub| describe(reply, sub));
}

/// The family of a command.
fn group(command: &Command) -> &'static str {
    let family = command.name.split('|').next().unwrap_or_default();
    let found = ALL.iter().position(|table| table.iter().any(|other| other.name == family));
    found.map_or("generic", |at| GROUPS[at])
}

fn docs(call: &mut Call<'_>) -> Done {
    let commands: Vec<&Command> = named(call).into_iter().flatten().collect();
    call.reply.map(commands.len());
    commands.iter().for_each(|command| document(call.reply, command));
    Ok(())
}

fn document(reply: &mut Reply, command: &Command) {
    reply.bulk(command.name.as_bytes());
    reply.map(if command.subcommands.is_empty() { 3 } else { 4 });
    let parts: [(&[u8], &[u8]); 3] =
        [(b"summary", command.summary.as_bytes()), (b"since", SINCE), (b"group", group(command).as_bytes())];
    for (name, value) in parts {
        reply.bulk(name);
        reply.bulk(value);
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|sub| document(reply, sub));
    }
}

fn getkeys(call: &mut Call<'_>) -> Done {
    let words = call.args.from(2);
    let command = command::find(words.at(0)).ok_or(Failure::fixed("ERR Invalid command specified"))?;
    if !command.takes(words.len()) {
        return Err(Failure::fixed("ERR Invalid number of arguments specified for command"));
    }
    let (first, last, step) = command.keys;
    if first == 0 {
        return Err(Failure::fixed("ERR The command has no key arguments"));
    }
    let last = if last < 0 { words.len() as i64 + last } else { last };
    let keys: Vec<&[u8]> =
        (first..=last).step_by(step.max(1) as usize).filter_map(|at| words.get(at as usize)).collect();
    call.reply.bulks(keys.into_iter());
    Ok(())
}

fn encoding(call: &mut Call<'_>) -> Done {
    match call.store.find(call.session.database, call.arg(2)) {
        Some(entry) => call.reply.bulk(entry.value.encoding().as_bytes()),
        None => call.reply.null(),
    }
    Ok(())
}

fn refcount(call: &mut Call<'_>) -> Done {
    match call.store.contains(call.session.database, call.arg(2)) {
        true => call.reply.integer(1),
        false => call.reply.null(),
    }
    Ok(())
}

/// Stops the whole server, as Redis does: the lock of the store is held meanwhile, so that nobody's commands are
/// executed. The workers go on, and accept connections.
fn sleep(call: &mut Call<'_>) -> Done {
    // As strtod(3): what is no number is zero.
    let seconds = number::float(call.arg(2)).unwrap_or(0.0);
    thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    call.store.now = store::now();
    call.reply.ok();
    Ok(())
}
