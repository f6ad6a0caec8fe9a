//! What clients can ask for: each room has the commands of one family, and a table of them.

mod algebra;
mod blocking;
mod clients;
mod configuration;
mod connection;
mod counters;
mod expiry;
mod hash_numbers;
mod hashes;
mod help;
mod information;
mod introspection;
mod keyspace;
mod list_places;
mod listening;
mod lists;
mod scan;
mod set;
mod sets;
mod strings;
mod texts;
mod transactions;

use super::command::Command;

/// All commands.
pub(crate) const ALL: &[&[Command]] = &[
    strings::COMMANDS,
    set::COMMANDS,
    texts::COMMANDS,
    counters::COMMANDS,
    keyspace::COMMANDS,
    expiry::COMMANDS,
    scan::COMMANDS,
    hashes::COMMANDS,
    hash_numbers::COMMANDS,
    lists::COMMANDS,
    list_places::COMMANDS,
    blocking::COMMANDS,
    sets::COMMANDS,
    algebra::COMMANDS,
    listening::COMMANDS,
    transactions::COMMANDS,
    connection::COMMANDS,
    clients::COMMANDS,
    configuration::COMMANDS,
    information::COMMANDS,
    introspection::COMMANDS,
];

/// The families of the tables above, as COMMAND DOCS names them.
pub(crate) const GROUPS: &[&str] = &[
    "string",
    "string",
    "string",
    "string",
    "generic",
    "generic",
    "generic",
    "hash",
    "hash",
    "list",
    "list",
    "list",
    "set",
    "set",
    "pubsub",
    "transactions",
    "connection",
    "connection",
    "server",
    "server",
    "server",
];
