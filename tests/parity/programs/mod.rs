//! Small programs as one writes them with std, for whichever modules stand around this one: `net`, `os`, `sync`,
//! `thread`.
//!
//! Each gives what it saw, which must not depend on whose it ran with.

mod chat;
mod generic;
mod proxy;
mod shared;
mod unix;
mod workers;

use std::error::Error;

/// What a program saw; any error ends it by `?`.
pub(crate) type Seen = Result<Vec<String>, Box<dyn Error + Send + Sync>>;

/// A program and its name.
pub(crate) type Program = (&'static str, fn() -> Seen);

/// All of them.
pub(crate) const ALL: &[Program] = &[
    ("echo lines", chat::echo_lines),
    ("a room of guests", chat::a_room_of_guests),
    ("request and answer", chat::request_and_answer),
    ("ask without waiting", chat::ask_without_waiting),
    ("questions by datagram", chat::questions_by_datagram),
    ("proxy", proxy::proxy),
    ("both halves", proxy::both_halves),
    ("gathered and scattered", proxy::gathered_and_scattered),
    ("through descriptors", proxy::through_descriptors),
    ("any stream", generic::any_stream),
    ("whatever names a peer", generic::whatever_names_a_peer),
    ("a service of one's own", generic::a_service_of_ones_own),
    ("errors by question mark", generic::errors_by_question_mark),
    ("unix echo", unix::echo),
    ("unix datagrams", unix::datagrams),
    ("unix pairs", unix::pairs),
    ("unix addresses", unix::addresses),
    ("dining philosophers", shared::dining_philosophers),
    ("bounded buffer", shared::bounded_buffer),
    ("cache behind an RwLock", shared::rwlock_cache),
    ("made once", shared::made_once),
    ("rounds of a barrier", shared::barrier_rounds),
    ("worker pool", workers::worker_pool),
    ("scoped sum", workers::scoped_sum),
    ("fan-in", workers::fan_in),
    ("answers of a channel", workers::channel_answers),
    ("values of one's own", workers::own_values),
    ("park and unpark", workers::park_and_unpark),
];
