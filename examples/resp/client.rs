//! A client as others see it: who it is, what it does, and how it is sent something, woken or shown out.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

use dormouse::net::TcpStream;
use dormouse::sync::{Mutex, Notify};

use super::outbox::{Limit, Outbox};

// ORDERING: all Relaxed: the atomics are figures for lists of clients, or are set under the lock of the store by the
// one that reads them under it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Milliseconds since 1970.
    pub(crate) since: u64,
    pub(crate) last: AtomicU64,
    name: Mutex<Box<[u8]>>,
    /// The last command, with its subcommand.
    command: Mutex<&'static str>,
    pub(crate) database: AtomicUsize,
    pub(crate) channels: AtomicUsize,
    pub(crate) patterns: AtomicUsize,
    /// Commands that wait for EXEC; -1 outside a transaction.
    pub(crate) queued: AtomicI64,
    /// Whether it speaks version 3.
    pub(crate) is_new: AtomicBool,
    pub(crate) is_blocked: AtomicBool,
    pub(crate) is_spared: AtomicBool,
    is_killed: AtomicBool,
    pub(crate) outbox: Outbox,
    /// That what it waits for has come.
    pub(crate) woken: Notify,
}

impl Client {
    pub(crate) fn new(id: u64, stream: TcpStream, peer: SocketAddr, now: u64) -> Arc<Client> {
        let local = stream.local_addr().unwrap_or(peer);
        Arc::new(Client {
            id,
            stream,
            peer,
            local,
            since: now,
            last: AtomicU64::new(now),
            name: Mutex::default(),
            command: Mutex::new("NULL"),
            database: AtomicUsize::new(0),
            channels: AtomicUsize::new(0),
            patterns: AtomicUsize::new(0),
            queued: AtomicI64::new(-1),
            is_new: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            is_spared: AtomicBool::new(false),
            is_killed: AtomicBool::new(false),
            outbox: Outbox::default(),
            woken: Notify::new(),
        })
    }

    pub(crate) fn name(&self) -> Box<[u8]> {
        self.name.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    pub(crate) fn set_name(&self, name: &[u8]) {
        *self.name.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = name.into();
    }

    pub(crate) fn command(&self) -> &'static str {
        *self.command.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn set_command(&self, name: &'static str) {
        *self.command.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = name;
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.load(Relaxed) + self.patterns.load(Relaxed)
    }

    /// Ends its connection, whatever it waits for.
    pub(crate) fn kill(&self) {
        self.is_killed.store(true, Relaxed);
        // It fails if the connection has ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.woken.notify_one();
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.is_killed.load(Relaxed)
    }

    /// Sends bytes through its queue; one that lets too many wait is disconnected.
    pub(crate) fn send(&self, bytes: &[u8], limit: Limit) {
        if !self.outbox.put(bytes, limit) && !self.is_killed() {
            log::warn!("client {} of {} is closed: {} bytes wait for it", self.id, self.peer, self.outbox.waiting());
            self.kill();
        }
    }

    /// As in CLIENT LIST.
    pub(crate) fn line(&self, now: u64) -> String {
        let Client { id, peer, local, .. } = self;
        let name = self.name();
        let waiting = self.outbox.waiting();
        format!(
            "id={id} addr={peer} laddr={local} fd={fd} name={name} age={age} idle={idle} flags={flags} db={db} \
             sub={sub} psub={psub} ssub=0 multi={multi} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 \
             oll=0 omem={waiting} tot-mem={waiting} events=r cmd={command} user=default redir=-1 resp={resp}",
            fd = std::os::fd::AsRawFd::as_raw_fd(&self.stream),
            name = String::from_utf8_lossy(&name),
            age = now.saturating_sub(self.since) / 1000,
            idle = now.saturating_sub(self.last.load(Relaxed)) / 1000,
            flags = self.flags(),
            db = self.database.load(Relaxed),
            sub = self.channels.load(Relaxed),
            psub = self.patterns.load(Relaxed),
            multi = self.queued.load(Relaxed),
            command = self.command(),
            resp = if self.is_new.load(Relaxed) { 3 } else { 2 },
        )
    }

    fn flags(&self) -> String {
        let flags = [
            (self.subscriptions() > 0, 'P'),
            (self.queued.load(Relaxed) >= 0, 'x'),
            (self.is_blocked.load(Relaxed), 'b'),
            (self.is_spared.load(Relaxed), 'e'),
        ];
        let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect();
        if flags.is_empty() { "N".into() } else { flags }
    }
}
