//! CONFIG: settings that are read and changed while the server runs.

use super::super::call::Call;
use super::super::command::flag::ADMIN;
use super::super::command::{Command, NO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::glob;
use super::super::store::Counts;
use super::help;

pub(crate) const COMMANDS: &[Command] =
    &[Command::new("config", -2, 0, NO_KEYS, help::nothing, "A container for server configuration commands").with(&[
        Command::new("config|get", -3, ADMIN, NO_KEYS, show, "Get the values of configuration parameters"),
        Command::new("config|set", -4, ADMIN, NO_KEYS, set, "Set configuration parameters to the given values"),
        Command::new("config|resetstat", 2, ADMIN, NO_KEYS, resetstat, "Reset the stats returned by INFO"),
        Command::new("config|rewrite", 2, ADMIN, NO_KEYS, rewrite, "Rewrite the configuration file"),
        Command::new("config|help", 2, 0, NO_KEYS, help::config, "Show helpful text about the subcommands"),
    ])];

/// A name is told as it was asked for, unless that was a pattern.
fn show(call: &mut Call<'_>) -> Done {
    let patterns = call.args.from(2);
    let mut found: Vec<(Vec<u8>, &str)> = Vec::new();
    for (name, value) in call.store.config.all() {
        let mut wanting =
            patterns.iter().filter(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
        let exact = |pattern: &&[u8]| pattern.eq_ignore_ascii_case(name.as_bytes());
        if let Some(pattern) = wanting.next() {
            let told = if exact(&pattern) { pattern } else { name.as_bytes() };
            found.push((told.to_vec(), value));
        }
    }
    call.reply.map(found.len());
    for (name, value) in found {
        call.reply.bulk(&name);
        call.reply.bulk(value.as_bytes());
    }
    Ok(())
}

/// All are set, or none.
fn set(call: &mut Call<'_>) -> Done {
    let pairs = call.args.from(2);
    if !pairs.len().is_multiple_of(2) {
        return Err(Failure::SYNTAX);
    }
    let mut config = call.store.config.clone();
    let mut seen: Vec<&str> = Vec::new();
    for (name, _) in pairs.pairs() {
        let known = config.name(name).ok_or_else(|| {
            let unknown: &[&[u8]] = &[b"ERR Unknown option or number of arguments for CONFIG SET - '", name, b"'"];
            Failure::new(unknown.concat())
        })?;
        if seen.contains(&known) {
            return Err(failed(name, "duplicate parameter"));
        }
        seen.push(known);
    }
    for (name, value) in pairs.pairs() {
        config.set(name, value).map_err(|why| failed(name, why))?;
    }
    call.server.set_silence(config.timeout);
    call.store.config = config;
    call.reply.ok();
    Ok(())
}

fn failed(name: &[u8], why: &str) -> Failure {
    let parts: &[&[u8]] = &[b"ERR CONFIG SET failed (possibly related to argument '", name, b"') - ", why.as_bytes()];
    Failure::new(parts.concat())
}

fn resetstat(call: &mut Call<'_>) -> Done {
    call.store.counts = Counts::default();
    call.reply.ok();
    Ok(())
}

fn rewrite(_: &mut Call<'_>) -> Done {
    Err(Failure::fixed("ERR The server is running without a config file"))
}
