//! CLIENT: who is connected, and what becomes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::super::call::Call;
use super::super::client::Client;
use super::super::command::flag::ADMIN;
use super::super::command::{Command, NO_KEYS, Run};
use super::super::failure::{Done, Failure};
use super::super::lines::Outcome;
use super::super::number;
use super::super::session::Hearing;
use super::help;

const fn sub(name: &'static str, arity: i64, flags: u32, run: Run, summary: &'static str) -> Command {
    Command::new(name, arity, flags, NO_KEYS, run, summary)
}

pub(crate) const COMMANDS: &[Command] =
    &[sub("client", -2, 0, help::nothing, "A container for client connection commands").with(&[
        sub("client|id", 2, 0, id, "Returns the client ID for the current connection"),
        sub("client|getname", 2, 0, getname, "Get the current connection name"),
        sub("client|setname", 3, 0, setname, "Set the current connection name"),
        sub("client|list", -2, ADMIN, list, "Get the list of client connections"),
        sub("client|info", 2, 0, info, "Returns information about the current client connection"),
        sub("client|kill", -3, ADMIN, kill, "Kill the connection of a client"),
        sub("client|no-evict", 3, ADMIN, no_evict, "Set client eviction mode for the current connection"),
        sub("client|reply", 3, 0, reply, "Instruct the server whether to reply to commands"),
        sub("client|unblock", -3, ADMIN, unblock, "Unblock a client that waits for a list"),
        sub("client|help", 2, 0, help::client, "Show helpful text about the subcommands"),
    ])];

fn id(call: &mut Call<'_>) -> Done {
    call.reply.integer(call.session.client.id as i64);
    Ok(())
}

fn getname(call: &mut Call<'_>) -> Done {
    let name = call.session.client.name();
    call.reply.optional(Some(&*name).filter(|name| !name.is_empty()));
    Ok(())
}

pub(crate) fn is_name(name: &[u8]) -> Done {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err(Failure::fixed("ERR Client names cannot contain spaces, newlines or special characters."))
}

fn setname(call: &mut Call<'_>) -> Done {
    is_name(call.arg(2))?;
    call.session.client.set_name(call.arg(2));
    call.reply.ok();
    Ok(())
}

/// What a client can be asked for by TYPE.
fn is_of_kind(client: &Client, kind: &[u8]) -> Result<bool, Failure> {
    match &kind.to_ascii_lowercase()[..] {
        b"normal" => Ok(client.subscriptions() == 0),
        b"pubsub" => Ok(client.subscriptions() > 0),
        b"master" | b"slave" | b"replica" => Ok(false),
        _ => Err(Failure::new([b"ERR Unknown client type '", kind, b"'"].concat())),
    }
}

fn list(call: &mut Call<'_>) -> Done {
    call.session.client.set_command(call.session.command);
    let option = call.args.get(2).map(|word| word.to_ascii_lowercase());
    let clients = call.store.clients.values();
    let chosen: Vec<&Arc<Client>> = match (option.as_deref(), call.args.len()) {
        (None, _) => clients.collect(),
        (Some(b"type"), 4) => {
            is_of_kind(&call.session.client, call.args.at(3))?;
            clients.filter(|client| is_of_kind(client, call.args.at(3)).unwrap_or(false)).collect()
        }
        (Some(b"id"), 4..) => {
            let ids: Option<Vec<i64>> = call.args.from(3).iter().map(number::integer).collect();
            let ids = ids.ok_or(Failure::fixed("ERR Invalid client ID"))?;
            ids.iter().filter_map(|id| call.store.clients.get(&(*id as u64))).collect()
        }
        _ => return Err(Failure::SYNTAX),
    };
    let mut text: String = chosen.iter().map(|client| client.line(call.store.now) + "\n").collect();
    text.shrink_to_fit();
    call.reply.verbatim(&text);
    Ok(())
}

fn info(call: &mut Call<'_>) -> Done {
    call.session.client.set_command(call.session.command);
    let line = call.session.client.line(call.store.now) + "\n";
    call.reply.verbatim(&line);
    Ok(())
}

/// Who is meant by CLIENT KILL.
#[derive(Default)]
struct Victims<'a> {
    id: Option<u64>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    spares_own: bool,
}

impl<'a> Victims<'a> {
    fn read(call: &Call<'a>) -> Result<Victims<'a>, Failure> {
        let mut victims = Victims { spares_own: true, ..Victims::default() };
        let options = call.args.from(2);
        if !options.len().is_multiple_of(2) {
            return Err(Failure::SYNTAX);
        }
        for (name, value) in options.pairs() {
            match &name.to_ascii_lowercase()[..] {
                b"id" => victims.id = Some(client_id(value)?),
                b"addr" => victims.peer = Some(value),
                b"laddr" => victims.local = Some(value),
                b"type" => {
                    is_of_kind(&call.session.client, value)?;
                    victims.kind = Some(value);
                }
                b"user" if value == b"default" => victims.user = Some(value),
                b"user" => return Err(Failure::new([b"ERR No such user '", value, b"'"].concat())),
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => victims.spares_own = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => victims.spares_own = false,
                _ => return Err(Failure::SYNTAX),
            }
        }
        Ok(victims)
    }

    fn are(&self, client: &Client, own: u64) -> bool {
        self.id.is_none_or(|id| client.id == id)
            && self.peer.is_none_or(|peer| client.peer.to_string().as_bytes() == peer)
            && self.local.is_none_or(|local| client.local.to_string().as_bytes() == local)
            && self.kind.is_none_or(|kind| is_of_kind(client, kind).unwrap_or(false))
            && !(self.spares_own && client.id == own)
    }
}

fn client_id(word: &[u8]) -> Result<u64, Failure> {
    let id = number::integer(word).filter(|id| *id > 0);
    id.map(|id| id as u64).ok_or(Failure::fixed("ERR client-id should be greater than 0"))
}

fn kill(call: &mut Call<'_>) -> Done {
    let is_old = call.args.len() == 3;
    let victims = match is_old {
        true => Victims { peer: Some(call.arg(2)), ..Victims::default() },
        false => Victims::read(call)?,
    };
    let own = call.session.client.id;
    let mut count = 0;
    for client in call.store.clients.values().filter(|client| victims.are(client, own)) {
        count += 1;
        // One that kills itself is told of it first.
        if client.id == own {
            call.session.is_ending = true;
        } else {
            // Nothing more is given to it.
            call.store.lines.leave(client.id);
            client.kill();
        }
    }
    match is_old {
        true if count == 0 => return Err(Failure::fixed("ERR No such client")),
        true => call.reply.ok(),
        false => call.reply.count(count),
    }
    Ok(())
}

fn no_evict(call: &mut Call<'_>) -> Done {
    let is_spared = match &call.arg(2).to_ascii_lowercase()[..] {
        b"on" => true,
        b"off" => false,
        _ => return Err(Failure::SYNTAX),
    };
    call.session.client.is_spared.store(is_spared, Relaxed);
    call.reply.ok();
    Ok(())
}

fn reply(call: &mut Call<'_>) -> Done {
    call.session.hearing = match &call.arg(2).to_ascii_lowercase()[..] {
        b"on" => Hearing::All,
        b"off" => Hearing::Nothing,
        b"skip" if call.session.hearing == Hearing::Nothing => Hearing::Nothing,
        b"skip" => Hearing::AllButNext,
        _ => return Err(Failure::SYNTAX),
    };
    call.reply.ok();
    Ok(())
}

fn unblock(call: &mut Call<'_>) -> Done {
    let outcome = match call.args.get(3).map(|word| word.to_ascii_lowercase()).as_deref() {
        None | Some(b"timeout") => Outcome::Nothing,
        Some(b"error") => Outcome::Failed(Failure::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK")),
        Some(_) => return Err(Failure::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    if call.args.len() > 4 {
        return Err(Failure::subcommand(call.arg(1), "CLIENT"));
    }
    let id = call.integer(2)?;
    let is_unblocked = u64::try_from(id).is_ok_and(|id| call.store.lines.answer(id, outcome));
    call.reply.truth(is_unblocked);
    Ok(())
}
