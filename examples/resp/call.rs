//! A command that is executed: from its words to its answer, by the rules that hold for all of them.

use std::sync::atomic::Ordering::Relaxed;

use super::args::{Args, Words};
use super::command::{self, Command, flag};
use super::failure::{Done, Failure};
use super::number;
use super::reply::Reply;
use super::server::Server;
use super::session::{Hearing, Session};
use super::store::Store;

/// Bytes of words that are told of an unknown command.
const TOLD: usize = 128;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) server: &'a Server,
    pub(crate) store: &'a mut Store,
    pub(crate) session: &'a mut Session,
    pub(crate) reply: &'a mut Reply,
    pub(crate) args: Args<'a>,
    pub(crate) command: &'static Command,
}

impl<'a> Call<'a> {
    #[inline]
    pub(crate) fn arg(&self, index: usize) -> &'a [u8] {
        self.args.at(index)
    }

    pub(crate) fn integer(&self, index: usize) -> Result<i64, Failure> {
        number::integer(self.arg(index)).ok_or(Failure::NOT_INTEGER)
    }

    /// A count that may not be negative.
    pub(crate) fn positive(&self, index: usize) -> Result<usize, Failure> {
        match number::integer(self.arg(index)) {
            Some(count) if count >= 0 => Ok(count as usize),
            _ => Err(Failure::NOT_POSITIVE),
        }
    }

    /// A count that has a negative one to it: any but the least integer.
    pub(crate) fn count(&self, index: usize) -> Result<i64, Failure> {
        match self.integer(index)? {
            i64::MIN => Err(Failure::NOT_COUNT),
            count => Ok(count),
        }
    }

    /// Says that a key was changed.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        self.store.databases[self.session.database].touch(key);
    }

    /// Says that something was taken out of a key.
    pub(crate) fn settle(&mut self, key: &[u8]) {
        self.store.databases[self.session.database].settle(key);
    }
}

/// Executes a command, or refuses it, or keeps it for EXEC.
#[inline]
pub(crate) fn execute(server: &Server, store: &mut Store, session: &mut Session, reply: &mut Reply, args: Args<'_>) {
    let begin = reply.bytes.len();
    store.counts.commands += 1;
    if let Err(failure) = admit(server, store, session, reply, args) {
        store.counts.errors += 1;
        reply.failure(&failure);
    }
    if reply.is_over() {
        disconnect(session, reply);
    }
    if session.hearing != Hearing::All {
        hear(session, reply, begin);
    }
    if store.lines.has_ready() {
        store.serve();
    }
}

/// What is too long for the client is not sent, and neither is anything else.
#[cold]
fn disconnect(session: &mut Session, reply: &mut Reply) {
    reply.cut();
    session.is_ending = true;
    let client = &session.client;
    if !client.is_killed() {
        log::warn!("client {} of {} is closed: the answer to {} is too long", client.id, client.peer, session.command);
        client.kill();
    }
}

/// CLIENT REPLY: takes back what is not to be heard.
#[cold]
fn hear(session: &mut Session, reply: &mut Reply, begin: usize) {
    if session.hearing != Hearing::All {
        reply.bytes.truncate(begin);
    }
    session.hearing = match session.hearing {
        Hearing::AllButNext => Hearing::AllButThis,
        Hearing::AllButThis => Hearing::All,
        same => same,
    };
}

#[inline]
fn admit(server: &Server, store: &mut Store, session: &mut Session, reply: &mut Reply, args: Args<'_>) -> Done {
    let command = match find(args) {
        Ok(command) => command,
        Err(_) if is_of_http(args) => return shut_out(session, reply),
        Err(failure) if args.at(0).eq_ignore_ascii_case(b"exec") => return abort(store, session, &failure),
        Err(failure) => return refuse(session, failure),
    };
    session.command = command.name;
    if session.subscriptions() > 0 && !reply.is_new && !command.is(flag::LISTENING) {
        let name = command.name;
        return refuse(
            session,
            Failure::new(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
             context"
            )),
        );
    }
    if let Some(queue) = &mut session.queue
        && !command.is(flag::AT_ONCE)
    {
        queue.commands.push((command, Words::of(args)));
        session.client.queued.store(queue.commands.len() as i64, Relaxed);
        reply.simple("QUEUED");
        return Ok(());
    }
    (command.run)(&mut Call { server, store, session, reply, args, command })
}

/// A browser may be made to send anything, but this comes first.
fn is_of_http(args: Args<'_>) -> bool {
    [&b"host:"[..], b"post"].iter().any(|name| args.at(0).eq_ignore_ascii_case(name))
}

/// As Redis does, without a word, also of what came before.
#[cold]
fn shut_out(session: &mut Session, reply: &mut Reply) -> Done {
    reply.bytes.clear();
    log::warn!("{} speaks HTTP, and is closed", session.client.peer);
    session.is_ending = true;
    Ok(())
}

/// What is not even a command spoils the transaction that it was to be part of.
#[cold]
fn refuse(session: &mut Session, failure: Failure) -> Done {
    if let Some(queue) = &mut session.queue {
        queue.is_spoilt = true;
    }
    Err(failure)
}

/// An EXEC that is refused ends the transaction.
#[cold]
fn abort(store: &mut Store, session: &mut Session, failure: &Failure) -> Done {
    session.end_queue(store);
    let why = failure.text().strip_prefix(b"ERR ").unwrap_or_default();
    Err(Failure::new([b"EXECABORT Transaction discarded because of: ", why].concat()))
}

/// The command, or subcommand, that the words call.
#[inline]
fn find(args: Args<'_>) -> Result<&'static Command, Failure> {
    let command = command::find(args.at(0)).ok_or_else(|| unknown(args))?;
    let command = match args.get(1) {
        Some(name) if !command.subcommands.is_empty() => {
            command.subcommand(name).ok_or_else(|| unknown_subcommand(command, name))?
        }
        _ => command,
    };
    if command.takes(args.len()) { Ok(command) } else { Err(Failure::arity(command.name)) }
}

#[cold]
fn unknown(args: Args<'_>) -> Failure {
    let name = args.at(0);
    let mut told: Vec<u8> = Vec::new();
    for word in args.from(1).iter() {
        if told.len() >= TOLD {
            break;
        }
        let most = TOLD - told.len();
        told.push(b'\'');
        told.extend_from_slice(printed(word, most));
        told.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(printed(name, TOLD));
    text.extend_from_slice(b"', with args beginning with: ");
    text.extend_from_slice(&told);
    Failure::new(text)
}

#[cold]
fn unknown_subcommand(command: &Command, name: &[u8]) -> Failure {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(printed(name, TOLD));
    text.extend_from_slice(format!("'. Try {} HELP.", command.name.to_uppercase()).as_bytes());
    Failure::new(text)
}

/// As printf(3) prints a string: up to a zero, and so many bytes.
fn printed(word: &[u8], most: usize) -> &[u8] {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    &word[..end.min(most)]
}
