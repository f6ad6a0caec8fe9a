//! The broadcast as loom explores it: who waits is woken, and each message is dropped once.

use super::*;
use loom::thread;

/// Who waits gets the message, and then hears that the sender is gone.
#[test]
fn a_message_then_the_end() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        let sends = thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(receiver.recv(), Ok(7));
        assert_eq!(receiver.recv(), Err(RecvError::Closed));
        sends.join().unwrap();
    });
}

/// Two who wait both get it.
#[test]
fn each_receiver_gets_the_message() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        let other = sender.subscribe();
        let receives = thread::spawn(move || other.recv());
        assert_eq!(sender.send(7).unwrap(), 2);
        assert_eq!(receiver.recv(), Ok(7));
        assert_eq!(receives.join().unwrap(), Ok(7));
    });
}

/// One goes, waiting or not: the other is woken all the same, and nothing is left of the message.
#[test]
fn a_receiver_that_goes_keeps_no_message() {
    loom::model(|| {
        let (sender, receiver) = channel(2);
        let (other, message) = (receiver.resubscribe(), Arc::new(()));
        let goes = thread::spawn(move || drop(other.recv_deadline(Instant::now())));
        let own = Arc::clone(&message);
        let sends = thread::spawn(move || {
            sender.send(own).unwrap();
            sender
        });
        drop(receiver.recv().unwrap());
        goes.join().unwrap();
        let sender = sends.join().unwrap();
        assert!(sender.is_empty());
        assert_eq!(Arc::strong_count(&message), 1);
    });
}

/// The last receiver goes while a message is sent: that comes back, or goes with the receiver.
#[test]
fn the_last_receiver_against_a_message() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        let message = Arc::new(());
        let goes = thread::spawn(move || drop(receiver));
        if let Err(SendError(back)) = sender.send(Arc::clone(&message)) {
            assert!(Arc::ptr_eq(&back, &message));
        }
        goes.join().unwrap();
        assert!(sender.is_empty());
        assert_eq!((sender.receiver_count(), Arc::strong_count(&message)), (0, 1));
    });
}

/// A receiver waits, another comes and goes, and the sender ends: nobody sleeps on.
#[test]
fn the_end_is_heard_by_all() {
    loom::model(|| {
        let (sender, receiver) = channel::<u8>(1);
        let other = receiver.resubscribe();
        let receives = thread::spawn(move || other.recv());
        let ends = thread::spawn(move || drop(sender));
        assert_eq!(receiver.recv(), Err(RecvError::Closed));
        assert_eq!(receives.join().unwrap(), Err(RecvError::Closed));
        ends.join().unwrap();
    });
}
