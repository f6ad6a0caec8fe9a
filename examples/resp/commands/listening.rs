//! Channels: SUBSCRIBE, PUBLISH and their kin.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::super::call::Call;
use super::super::client::Client;
use super::super::command::flag::{FAST, LISTENING, PUBSUB};
use super::super::command::{Command, NO_KEYS};
use super::super::failure::{Done, Failure};
use super::super::glob;
use super::help;

const FLAGS: u32 = PUBSUB | LISTENING;

pub(crate) const COMMANDS: &[Command] = &[
    Command::new("subscribe", -2, FLAGS, NO_KEYS, subscribe, "Listen for messages published to the given channels"),
    Command::new("psubscribe", -2, FLAGS, NO_KEYS, subscribe, "Listen for messages to channels matching the patterns"),
    Command::new("unsubscribe", -1, FLAGS, NO_KEYS, unsubscribe, "Stop listening for messages to the given channels"),
    Command::new(
        "punsubscribe",
        -1,
        FLAGS,
        NO_KEYS,
        unsubscribe,
        "Stop listening for messages to channels of patterns",
    ),
    Command::new("publish", 3, PUBSUB | FAST, NO_KEYS, publish, "Post a message to a channel"),
    Command::new("pubsub", -2, PUBSUB, NO_KEYS, help::nothing, "A container for Pub/Sub commands").with(&[
        Command::new("pubsub|channels", -2, PUBSUB, NO_KEYS, channels, "List active channels"),
        Command::new("pubsub|numsub", -2, PUBSUB, NO_KEYS, numsub, "Get the count of subscribers for channels"),
        Command::new("pubsub|numpat", 2, PUBSUB, NO_KEYS, numpat, "Get the count of unique pattern subscriptions"),
        Command::new("pubsub|help", 2, PUBSUB, NO_KEYS, help::pubsub, "Show helpful text about the subcommands"),
    ]),
];

type Names = BTreeSet<Box<[u8]>>;
type Listened = HashMap<Box<[u8]>, BTreeMap<u64, Arc<Client>>>;

/// The names that the client listens to, and all that are listened to, for the command's kind of names.
fn both<'a>(call: &'a mut Call<'_>) -> (&'a mut Names, &'a mut Listened) {
    if call.command.name.starts_with('p') {
        (&mut call.session.patterns, &mut call.store.hub.patterns)
    } else {
        (&mut call.session.channels, &mut call.store.hub.channels)
    }
}

fn say(call: &mut Call<'_>, name: Option<&[u8]>) {
    let count = call.session.subscriptions();
    call.reply.push(3);
    call.reply.bulk(call.command.name.as_bytes());
    call.reply.optional(name);
    call.reply.count(count);
}

fn subscribe(call: &mut Call<'_>) -> Done {
    let client = Arc::clone(&call.session.client);
    for name in call.args.from(1).iter() {
        let (own, listened) = both(call);
        if own.insert(name.into()) {
            listened.entry(name.into()).or_default().insert(client.id, Arc::clone(&client));
        }
        say(call, Some(name));
    }
    call.session.note_subscriptions();
    Ok(())
}

fn unsubscribe(call: &mut Call<'_>) -> Done {
    let id = call.session.client.id;
    let mut names: Vec<Box<[u8]>> = call.args.from(1).iter().map(Box::from).collect();
    if names.is_empty() {
        names.extend(both(call).0.iter().cloned());
    }
    if names.is_empty() {
        say(call, None);
    }
    for name in names {
        let (own, listened) = both(call);
        own.remove(&name);
        if let Some(listeners) = listened.get_mut(&name) {
            listeners.remove(&id);
            if listeners.is_empty() {
                listened.remove(&name);
            }
        }
        say(call, Some(&name));
    }
    call.session.note_subscriptions();
    Ok(())
}

fn publish(call: &mut Call<'_>) -> Done {
    let (own, limit) = (call.session.client.id, call.store.config.listeners);
    let count = call.store.hub.publish(call.arg(1), call.arg(2), limit, own, call.reply);
    call.reply.count(count);
    Ok(())
}

fn channels(call: &mut Call<'_>) -> Done {
    let pattern = call.args.get(2);
    if call.args.len() > 3 {
        return Err(Failure::subcommand(call.arg(1), "PUBSUB"));
    }
    let names =
        call.store.hub.channels.keys().filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name)));
    let names: Vec<&[u8]> = names.map(|name| &name[..]).collect();
    call.reply.bulks(names.into_iter());
    Ok(())
}

fn numsub(call: &mut Call<'_>) -> Done {
    let names = call.args.from(2);
    call.reply.array(2 * names.len());
    for name in names.iter() {
        call.reply.bulk(name);
        call.reply.count(call.store.hub.channels.get(name).map_or(0, |listeners| listeners.len()));
    }
    Ok(())
}

fn numpat(call: &mut Call<'_>) -> Done {
    call.reply.count(call.store.hub.patterns.len());
    Ok(())
}
