//! The connection itself: PING, HELLO, SELECT, QUIT and their kin.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::call::Call;
use super::super::command::flag::{AT_ONCE, FAST, LISTENING};
use super::super::command::{Command, NO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::number;
use super::super::session::Hearing;
use super::super::store::DATABASES;
use super::clients::is_name;
use super::information::VERSION;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("ping", -1, FAST | LISTENING, NO_KEYS, ping, "Ping the server"),
    Command::new("echo", 2, FAST, NO_KEYS, echo, "Echo the given string"),
    Command::new("select", 2, FAST, NO_KEYS, select, "Change the selected database for the current connection"),
    Command::new("hello", -1, FAST, NO_KEYS, hello, "Handshake with the server"),
    Command::new("auth", -2, FAST, NO_KEYS, auth, "Authenticate to the server"),
    Command::new("quit", -1, FAST | LISTENING | AT_ONCE, NO_KEYS, quit, "Close the connection"),
    Command::new("reset", 1, FAST | LISTENING | AT_ONCE, NO_KEYS, reset, "Reset the connection"),
    Command::new("time", 1, FAST, NO_KEYS, time, "Return the current server time"),
];

fn ping(call: &mut Call<'_>) -> Done {
    if call.args.len() > 2 {
        return Err(Failure::arity("ping"));
    }
    let message = call.args.get(1);
    if call.session.subscriptions() > 0 && !call.reply.is_new {
        call.reply.array(2);
        call.reply.bulk(b"pong");
        call.reply.bulk(message.unwrap_or_default());
        return Ok(());
    }
    match message {
        Some(message) => call.reply.bulk(message),
        None => call.reply.simple("PONG"),
    }
    Ok(())
}

fn echo(call: &mut Call<'_>) -> Done {
    call.reply.bulk(call.arg(1));
    Ok(())
}

fn select(call: &mut Call<'_>) -> Done {
    let number = number::integer(call.arg(1)).ok_or(Failure::NOT_INTEGER)?;
    let number = i32::try_from(number)
        .map_err(|_| Failure::fixed("ERR value is out of range, value must between -2147483648 and 2147483647"))?;
    let number = usize::try_from(number).ok().filter(|number| *number < DATABASES).ok_or(Failure::DATABASE)?;
    call.session.select(number);
    call.reply.ok();
    Ok(())
}

fn hello(call: &mut Call<'_>) -> Done {
    let mut is_new = call.reply.is_new;
    if let Some(word) = call.args.get(1) {
        let version = number::integer(word);
        let version = version.ok_or(Failure::fixed("ERR Protocol version is not an integer or out of range"))?;
        is_new = match version {
            2 => false,
            3 => true,
            _ => return Err(Failure::fixed("NOPROTO unsupported protocol version")),
        };
    }
    let mut name = None;
    let mut at = 2;
    while let Some(word) = call.args.get(at) {
        if word.eq_ignore_ascii_case(b"auth") && at + 2 < call.args.len() {
            authenticate(call.arg(at + 1))?;
            at += 3;
        } else if word.eq_ignore_ascii_case(b"setname") && at + 1 < call.args.len() {
            name = Some(call.arg(at + 1));
            is_name(call.arg(at + 1))?;
            at += 2;
        } else {
            let text = [b"ERR Syntax error in HELLO option '", word, b"'"].concat();
            return Err(Failure::new(text));
        }
    }
    if let Some(name) = name {
        call.session.client.set_name(name);
    }
    call.reply.is_new = is_new;
    call.session.client.is_new.store(is_new, Relaxed);
    greet(call);
    Ok(())
}

fn greet(call: &mut Call<'_>) {
    let (id, version) = (call.session.client.id as i64, if call.reply.is_new { 3 } else { 2 });
    let reply = &mut *call.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    for (name, value) in [("proto", version), ("id", id)] {
        reply.bulk(name.as_bytes());
        reply.integer(value);
    }
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

/// There is one user, who needs no password.
fn authenticate(user: &[u8]) -> Done {
    match user {
        b"default" => Ok(()),
        _ => Err(Failure::fixed("WRONGPASS invalid username-password pair or user is disabled.")),
    }
}

fn auth(call: &mut Call<'_>) -> Done {
    match call.args.len() {
        2 => Err(Failure::fixed(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
             configuration is correct?",
        )),
        3 => {
            authenticate(call.arg(1))?;
            call.reply.ok();
            Ok(())
        }
        _ => Err(Failure::SYNTAX),
    }
}

fn quit(call: &mut Call<'_>) -> Done {
    call.session.is_ending = true;
    call.reply.ok();
    Ok(())
}

fn reset(call: &mut Call<'_>) -> Done {
    let Call { session, store, reply, .. } = call;
    session.end_queue(store);
    session.unsubscribe_all(store);
    session.select(0);
    session.client.set_name(b"");
    session.client.is_new.store(false, Relaxed);
    session.hearing = Hearing::All;
    reply.is_new = false;
    reply.simple("RESET");
    Ok(())
}

fn time(call: &mut Call<'_>) -> Done {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    call.reply.array(2);
    call.reply.text(now.as_secs());
    call.reply.text(now.subsec_micros());
    Ok(())
}
