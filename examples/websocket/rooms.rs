//! The rooms of the chat, and who is in them.
//!
//! 1. What is said in a room comes to all its members in the same order, to who said it as well.
//! 2. Lines of members begin with `#` and a number, those of the server with `*`: nobody speaks for another.
//! 3. A room exists while somebody is in it. Locks are taken in the order rooms, room, outbox.

use std::collections::HashMap;
use std::sync::Arc;

use dormouse::sync::Mutex;
use tungstenite::Bytes;

use super::frames;
use super::outbox::Outbox;

/// The longest name of a room.
const MAX_NAME: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<HashMap<String, Arc<Mutex<Room>>>>);

#[derive(Debug, Default)]
struct Room {
    members: Vec<Member>,
    /// Of the member that came last.
    last: u64,
}

#[derive(Debug)]
struct Member {
    number: u64,
    outbox: Arc<Outbox>,
}

/// A client's place in a room, which it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    rooms: &'a Rooms,
    name: String,
    room: Arc<Mutex<Room>>,
    number: u64,
}

/// Whether a room may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

impl Rooms {
    /// Gives a place in the room, and tells that to all in it.
    pub(crate) fn join(&self, name: &str, outbox: &Arc<Outbox>) -> Place<'_> {
        let mut rooms = self.0.lock().unwrap();
        let room = Arc::clone(rooms.entry(name.to_owned()).or_default());
        let mut joined = room.lock().unwrap();
        joined.last += 1;
        let number = joined.last;
        joined.members.push(Member { number, outbox: Arc::clone(outbox) });
        joined.tell(&format!("* #{number} has come; {} here", joined.members.len()));
        drop((joined, rooms));
        Place { rooms: self, name: name.to_owned(), room, number }
    }
}

impl Place<'_> {
    /// Tells all in the room what this one says; gives how many of them miss it.
    pub(crate) fn say(&self, text: &str) -> u64 {
        let line = frames::text(&format!("#{}: {text}", self.number));
        self.room.lock().unwrap().send(&line)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut rooms = self.rooms.0.lock().unwrap();
        let mut room = self.room.lock().unwrap();
        room.members.retain(|member| member.number != self.number);
        room.tell(&format!("* #{} has gone; {} here", self.number, room.members.len()));
        if room.members.is_empty() {
            rooms.remove(&self.name);
        }
    }
}

impl Room {
    fn tell(&self, text: &str) {
        self.send(&frames::text(text));
    }

    /// Gives how many miss it.
    fn send(&self, frame: &Bytes) -> u64 {
        self.members.iter().map(|member| u64::from(member.outbox.offer(frame))).sum()
    }
}
