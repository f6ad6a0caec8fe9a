//! Who listens to which channel, and to which pattern of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::client::Client;
use super::glob;
use super::outbox::Limit;
use super::reply::Reply;

/// Those who listen to one name, by their numbers.
type Listeners = BTreeMap<u64, Arc<Client>>;

#[derive(Debug, Default)]
pub(crate) struct Hub {
    pub(crate) channels: HashMap<Box<[u8]>, Listeners>,
    pub(crate) patterns: HashMap<Box<[u8]>, Listeners>,
}

impl Hub {
    /// Sends a message; gives to how many. What is for `own`, who sends it, is said by `reply`, among its answers.
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8], limit: Limit, own: u64, reply: &mut Reply) -> usize {
        let mut count = 0;
        if let Some(listeners) = self.channels.get(channel) {
            count += tell(listeners, &[b"message", channel, message], limit, own, reply);
        }
        for (pattern, listeners) in &self.patterns {
            if glob::matches(pattern, channel) {
                count += tell(listeners, &[b"pmessage", pattern, channel, message], limit, own, reply);
            }
        }
        count
    }
}

fn tell(listeners: &Listeners, parts: &[&[u8]], limit: Limit, own: u64, reply: &mut Reply) -> usize {
    // One for each version of the protocol, made when it is needed.
    let mut forms: [Option<Reply>; 2] = [None, None];
    for listener in listeners.values() {
        if listener.id == own {
            message(reply, parts);
            continue;
        }
        let is_new = listener.is_new.load(Relaxed);
        let form = forms[usize::from(is_new)].get_or_insert_with(|| {
            let mut form = Reply::of_version(is_new);
            message(&mut form, parts);
            form
        });
        listener.send(&form.bytes, limit);
    }
    listeners.len()
}

fn message(reply: &mut Reply, parts: &[&[u8]]) {
    reply.push(parts.len());
    parts.iter().for_each(|part| reply.bulk(part));
}
