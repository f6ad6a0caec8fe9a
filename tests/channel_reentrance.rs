//! A channel that is used by the global allocator, while the channel asks it for memory, ends the process with a message: going
//! on would change a queue that is being changed.

mod support;

use dormouse::sync::mpsc::{Sender, channel};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Tells a channel of the next allocation.
struct Telling;

thread_local! {
    static TELL: Cell<Option<&'static Sender<u64>>> = const { Cell::new(None) };
}

// SAFETY: does what `System` does.
unsafe impl GlobalAlloc for Telling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(sender) = TELL.take() {
            let _ = sender.send(0);
        }
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's word.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Telling = Telling;

#[test]
fn an_allocator_that_sends_ends_the_process() {
    let ended = support::child("an_allocator_that_sends_ends_the_process", 20, || {
        support::run(|| {
            let (sender, receiver) = channel();
            let sender: &'static _ = Box::leak(Box::new(sender));
            for n in 0..200 {
                sender.send(n).unwrap();
                receiver.recv().unwrap();
            }
            // Some of these make the queue grow.
            for n in 0..200 {
                TELL.set(Some(sender));
                sender.send(n).unwrap();
                TELL.set(None);
            }
        });
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
    ended.said(&["a channel was used while it used the global allocator"]);
}
