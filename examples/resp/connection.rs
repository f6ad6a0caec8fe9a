//! One client, from its first byte to its last: the coroutine that each has.
//!
//! 1. While it waits for the client, or for a list, a cancel ends it: that is how the server ends. Commands that are
//!    here are executed, and answered, shielded from it. Nothing is unwound: the client still gets what was said.
//! 2. What is here is executed under one lock, and answered with one write.
//! 3. The client is read on while it does not take its answers: it may send all it has before it reads any.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use dormouse::cancel;
use dormouse::net::TcpStream;
use dormouse::thread::LocalJoinHandle;

use super::ahead::Ahead;
use super::call;
use super::client::Client;
use super::failure::Failure;
use super::input::Input;
use super::outbox::Limit;
use super::parser::{Parsed, Parser};
use super::reply::Reply;
use super::serve;
use super::server::Server;
use super::session::{Hearing, Session};
use super::store::{Store, now};

/// Answers are sent once they are so much, before more is executed.
const OUTPUT: usize = 64 * 1024;

/// Memory for answers that a client keeps while it is silent.
const KEPT: usize = 512;

/// A client that does not take its answers for so long gets them through a queue.
const PATIENCE: Duration = Duration::from_millis(10);

/// Who waits for ever looks after so long whether that is still so.
const EVER: Duration = Duration::from_secs(3600);

/// What is to be done once what was here is done.
enum Next {
    /// At least so many bytes are missing.
    Read(usize),
    /// There is more here.
    Execute,
    /// A list is waited for, until then.
    Wait(Option<Instant>),
    End,
}

struct Connection<'a> {
    server: &'a Server,
    client: &'a Arc<Client>,
    session: Session,
    parser: Parser,
    input: Input<'a>,
    reply: Reply,
    /// What empties the client's queue, once there is one.
    sends: Option<LocalJoinHandle<()>>,
}

/// Serves the client until one of the two has enough.
pub(crate) fn serve(server: &Server, stream: TcpStream, peer: SocketAddr) {
    let Some(client) = server.admit(stream, peer) else {
        return;
    };
    // It fails if the client has gone already.
    let _ = client.stream.set_write_timeout(Some(PATIENCE));
    let mut connection = Connection {
        server,
        client: &client,
        session: Session::new(Arc::clone(&client)),
        parser: Parser::default(),
        input: Input::new(&client.stream),
        reply: Reply::of_version(false),
        sends: None,
    };
    connection.talk();
    let sends = connection.sends.take();
    drop(connection);
    cancel::shield(|| part(&client, sends));
}

/// Ends the connection so that the client gets what was said, though it may be sending still.
fn part(client: &Client, sends: Option<LocalJoinHandle<()>>) {
    if sends.is_some_and(|sends| sends.join().is_err()) {
        // The server's end came before it had begun.
        client.outbox.empty(&client.stream);
    }
    if !client.is_killed() {
        // It fails if the client has gone.
        let _ = serve::part(&client.stream);
    }
}

impl Connection<'_> {
    fn talk(&mut self) {
        let mut next = Next::Read(1);
        loop {
            match next {
                Next::Read(missing) if !self.receive(missing) => return,
                Next::Wait(deadline) if !self.wait(deadline) => return,
                Next::End => return,
                _ => {}
            }
            // Invariant 1.
            match cancel::shield(|| self.turn()) {
                Some(after) => next = after,
                None => return,
            }
        }
    }

    /// Waits for more; `false` if the client has gone, or is silent for too long.
    fn receive(&mut self, missing: usize) -> bool {
        let silence = match self.server.silence() {
            Some(silence) if self.session.subscriptions() == 0 => silence,
            _ => return matches!(cancel::as_errors(|| self.input.more(missing)), Ok(1..)),
        };
        matches!(serve::within(silence, || self.input.more(missing)), Ok(1..))
    }

    /// Executes what is here, and sends the answers; `None` if the client has gone.
    fn turn(&mut self) -> Option<Next> {
        let next = self.execute();
        self.flush().then_some(next)
    }

    /// Invariant 2.
    fn execute(&mut self) -> Next {
        let mut guard = self.server.lock();
        let store: &mut Store = &mut guard;
        store.now = now();
        self.client.last.store(store.now, Relaxed);
        self.reply.most = self.limit(store).most(OUTPUT);
        let bytes = self.input.bytes();
        let mut at = 0;
        let next = loop {
            let rest = &bytes[at..];
            match self.parser.parse(rest, store.config.longest) {
                Ok(Parsed::Whole(length)) => {
                    at += length;
                    let args = self.parser.args(rest);
                    if args.len() > 0 {
                        call::execute(self.server, store, &mut self.session, &mut self.reply, args);
                    }
                    if let Some(next) = after(&mut self.session, &self.reply) {
                        break next;
                    }
                }
                Ok(Parsed::Part(missing)) => break Next::Read(missing),
                Err(malformed) => {
                    self.reply.failure(&Failure::new(format!("ERR {malformed}")));
                    self.session.is_ending = true;
                    break Next::End;
                }
            }
        };
        self.client.set_command(self.session.command);
        self.hand_over(store);
        drop(guard);
        self.input.consume(at);
        next
    }

    /// What may wait for the client.
    fn limit(&self, store: &Store) -> Limit {
        if self.session.subscriptions() > 0 { store.config.listeners } else { store.config.normal }
    }

    /// Who listens to channels, or has a queue already, gets the answers through it, before others can send it anything
    /// that comes behind them.
    fn hand_over(&mut self, store: &Store) {
        let listens = self.session.subscriptions() > 0;
        if !listens && !self.client.outbox.is_open() {
            return;
        }
        self.open_queue();
        let limit = self.limit(store);
        if !self.reply.bytes.is_empty() {
            self.client.send(&self.reply.bytes, limit);
        }
        self.reply.bytes.clear();
    }

    fn open_queue(&mut self) {
        if self.client.outbox.open() {
            // Its coroutine has all the time that the limit allows.
            let _ = self.client.stream.set_write_timeout(None);
            let client = Arc::clone(self.client);
            // It ends when the queue is closed.
            self.sends = Some(dormouse::spawn_local(move || cancel::shield(|| client.outbox.empty(&client.stream))));
        }
    }

    /// Sends the answers; `false` if the client has gone.
    fn flush(&mut self) -> bool {
        let sent = match self.send() {
            Some(sent) => sent,
            None => return false,
        };
        if sent < self.reply.bytes.len() {
            // Invariant 3.
            self.open_queue();
            let limit = self.server.lock().config.normal;
            self.client.send(&self.reply.bytes[sent..], limit);
        }
        self.reply.bytes.clear();
        self.reply.bytes.shrink_to(KEPT);
        !self.client.is_killed()
    }

    /// Sends as many bytes as the client takes in some time; `None` if it has gone.
    fn send(&self) -> Option<usize> {
        let (mut sent, bytes, mut stream) = (0, &self.reply.bytes[..], &self.client.stream);
        while sent < bytes.len() {
            match stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(sent)
    }

    /// Waits for a list, in whose line the client is already; `false` if the client has gone.
    fn wait(&mut self, deadline: Option<Instant>) -> bool {
        let id = self.client.id;
        self.client.is_blocked.store(true, Relaxed);
        let ahead = Ahead::begin(self.client);
        let outcome = loop {
            let is_over = self.park(deadline);
            let mut store = self.server.lock();
            let outcome = store.lines.outcome(id);
            if outcome.is_some() || is_over || ahead.is_at_end() || self.client.is_killed() || cancel::is_cancelled() {
                store.lines.leave(id);
                break outcome;
            }
        };
        self.client.is_blocked.store(false, Relaxed);
        // What was given to it is said, at the end of the server as well.
        let is_cut_short = outcome.is_none() && cancel::is_cancelled();
        let is_gone = ahead.is_at_end() || self.client.is_killed() || is_cut_short;
        self.input.append(&ahead.end());
        let begin = self.reply.bytes.len();
        self.reply.outcome(outcome);
        if self.session.hearing == Hearing::Nothing {
            self.reply.bytes.truncate(begin);
        }
        !is_gone
    }

    /// Waits to be woken; gives whether the time is over.
    fn park(&self, deadline: Option<Instant>) -> bool {
        let left = deadline.map_or(EVER, |at| at.saturating_duration_since(Instant::now()));
        let is_woken = cancel::as_errors(|| self.client.woken.wait_timeout(left));
        deadline.is_some() && !is_woken
    }
}

/// What is to be done behind a command, unless it is to go on with the next one.
#[inline]
fn after(session: &mut Session, reply: &Reply) -> Option<Next> {
    match session.waits.take() {
        _ if session.is_ending => Some(Next::End),
        Some(deadline) => Some(Next::Wait(deadline)),
        None if reply.bytes.len() > OUTPUT => Some(Next::Execute),
        None => None,
    }
}

/// However it ends, nobody waits for it, and it waits for nothing.
impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let mut store = self.server.lock();
        store.lines.leave(self.client.id);
        self.session.end_queue(&mut store);
        self.session.unsubscribe_all(&mut store);
        store.clients.remove(&self.client.id);
        drop(store);
        self.client.outbox.close();
        // What is queued for a client that left, as Redis sees it, would wait for ever for one that only stopped
        // sending.
        if self.client.outbox.is_open() && !self.session.is_ending && !cancel::is_cancelled() {
            self.client.kill();
        }
    }
}
