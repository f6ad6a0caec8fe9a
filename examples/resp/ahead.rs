//! Reads ahead while a client waits for a list: to know when it has gone, and to keep what it sends meanwhile.

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use dormouse::cancel;
use dormouse::thread::LocalJoinHandle;

use super::client::Client;

/// Bytes that are read ahead. Of who sends more it is not known whether it is there still.
const MOST: usize = 1 << 20;

#[derive(Debug, Default)]
struct Found {
    bytes: RefCell<Vec<u8>>,
    is_at_end: Cell<bool>,
}

/// The coroutine that reads. Dropped, it is cancelled: that loses nothing that it has not read.
#[derive(Debug)]
pub(crate) struct Ahead {
    found: Rc<Found>,
    reads: Option<LocalJoinHandle<()>>,
}

impl Ahead {
    pub(crate) fn begin(client: &Arc<Client>) -> Ahead {
        let (found, client) = (Rc::new(Found::default()), Arc::clone(client));
        let reads = dormouse::spawn_local({
            let found = Rc::clone(&found);
            move || found.read(&client)
        });
        Ahead { found, reads: Some(reads) }
    }

    /// Whether the client has gone.
    pub(crate) fn is_at_end(&self) -> bool {
        self.found.is_at_end.get()
    }

    /// Ends it, and gives what it has read.
    pub(crate) fn end(mut self) -> Vec<u8> {
        if let Some(reads) = self.reads.take() {
            reads.cancel();
            // It was cancelled, or had ended: none of it waits for long.
            let _ = cancel::shield(|| reads.join());
        }
        self.found.bytes.take()
    }
}

impl Found {
    fn read(&self, client: &Client) {
        let (mut stream, mut piece) = (&client.stream, vec![0; 4096]);
        while self.bytes.borrow().len() < MOST {
            match stream.read(&mut piece) {
                Ok(count @ 1..) => self.bytes.borrow_mut().extend_from_slice(&piece[..count]),
                _ => {
                    self.is_at_end.set(true);
                    client.woken.notify_one();
                    return;
                }
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(reads) = &self.reads {
            reads.cancel();
        }
    }
}
