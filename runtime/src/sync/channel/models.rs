//! The channel as loom explores it: nothing is lost and nobody sleeps on, whatever the interleaving.

use super::*;
use loom::thread;
use std::sync::mpsc::{RecvTimeoutError, TrySendError};
use std::time::Instant;

fn sent<T>(result: Result<(), Unsent<T>>) -> bool {
    result.is_ok()
}

/// A receiver that waits gets the message, and then hears that the sender is gone.
#[test]
fn a_message_then_the_end() {
    loom::model(|| {
        let (inlet, outlet) = channel(UNBOUNDED);
        let sender = thread::spawn(move || inlet.send_unbounded(7).unwrap());
        assert_eq!(outlet.receive(None), Ok(7));
        assert_eq!(outlet.receive(None), Err(RecvTimeoutError::Disconnected));
        sender.join().unwrap();
    });
}

/// Two senders share room for one; all messages arrive.
#[test]
fn senders_wait_for_room() {
    loom::model(|| {
        let (inlet, outlet) = channel(1);
        let other = inlet.clone();
        let sender = thread::spawn(move || {
            assert!(sent(inlet.send(1, None)));
            assert!(sent(inlet.send(2, None)));
        });
        drop(other);
        assert_eq!([outlet.receive(None), outlet.receive(None)], [Ok(1), Ok(2)]);
        sender.join().unwrap();
    });
}

/// A sender that finds no room takes back what receivers have set aside; each of them gets one, in order, and the sender is let
/// in.
#[test]
fn what_is_set_aside_is_received_and_makes_room() {
    loom::model(|| {
        let (inlet, outlet) = channel(2);
        assert!(sent(inlet.send(1, None)) && sent(inlet.send(2, None)));
        let sender = thread::spawn(move || assert!(sent(inlet.send(3, None))));
        assert_eq!([outlet.receive(None), outlet.receive(None)], [Ok(1), Ok(2)]);
        assert_eq!(outlet.receive(None), Ok(3));
        sender.join().unwrap();
    });
}

/// Room may be a permit: what was done before a message was received is seen by whoever finds its room.
#[test]
fn a_receive_is_before_the_send_that_it_makes_room_for() {
    loom::model(|| {
        let (inlet, outlet) = channel(2);
        assert!(sent(inlet.send(1, None)) && sent(inlet.send(2, None)));
        let cell = loom::sync::Arc::new(loom::cell::Cell::new(0));
        let its = loom::sync::Arc::clone(&cell);
        let sender = thread::spawn(move || {
            if inlet.try_send(3).is_ok() && inlet.try_send(4).is_ok() {
                // The second permit is back, so nobody else uses the cell.
                its.set(1);
            }
            inlet
        });
        assert_eq!(outlet.try_receive(), Ok(1));
        cell.set(2);
        assert_eq!(outlet.try_receive(), Ok(2));
        drop(sender.join().unwrap());
    });
}

/// A select that receives finds what a receiver has set aside.
#[test]
fn a_select_finds_what_is_set_aside() {
    loom::model(|| {
        let (inlet, outlet) = channel(UNBOUNDED);
        (1..=3).for_each(|message| inlet.send_unbounded(message).unwrap());
        let other = outlet.clone();
        let receiver = thread::spawn(move || [other.receive(None), other.receive(None)]);
        let mut receiving = outlet.receiving();
        assert!(select(&mut [Box::new(&mut receiving) as Box<dyn Arm + '_>], Patience::Endless));
        let selected = receiving.finish().unwrap().unwrap();
        let received = receiver.join().unwrap().map(Result::unwrap);
        assert_eq!(received.iter().sum::<i32>() + selected, 6);
    });
}

#[test]
fn rendezvous() {
    loom::model(|| {
        let (inlet, outlet) = channel(0);
        let sender = thread::spawn(move || assert!(sent(inlet.send(1, None))));
        assert_eq!(outlet.receive(None), Ok(1));
        sender.join().unwrap();
    });
}

/// A sender that waits gets its message back when the receiver goes.
#[test]
fn a_sender_hears_of_the_end() {
    loom::model(|| {
        let (inlet, outlet) = channel(0);
        let receiver = thread::spawn(move || drop(outlet));
        assert!(matches!(inlet.send(1, None), Err(Unsent::Disconnected(1))));
        receiver.join().unwrap();
    });
}

/// One of two receivers goes, at the very moment when it may have been chosen: the other gets the message.
#[test]
fn a_receiver_that_goes_passes_on_its_turn() {
    loom::model(|| {
        let (inlet, outlet) = channel(UNBOUNDED);
        let impatient = outlet.clone();
        let receiver = thread::spawn(move || impatient.receive(Some(Instant::now())));
        inlet.send_unbounded(1).unwrap();
        match receiver.join().unwrap() {
            Ok(message) => assert_eq!(message, 1),
            Err(error) => {
                assert_eq!(error, RecvTimeoutError::Timeout);
                assert_eq!(outlet.receive(None), Ok(1));
            }
        }
    });
}

/// Room that a select took and leaves unused goes to the sender that waits for it.
#[test]
fn room_that_is_dropped_goes_to_a_sender() {
    loom::model(|| {
        let (inlet, outlet) = channel(1);
        let other = inlet.clone();
        let sender = thread::spawn(move || assert!(sent(other.send(1, None))));
        let room = reserved(&inlet);
        drop(room);
        assert_eq!(outlet.receive(None), Ok(1));
        sender.join().unwrap();
    });
}

/// The right to send, if a select can have it at once.
fn reserved<T>(inlet: &Inlet<T>) -> Option<Room<'_, T>> {
    let mut sending = inlet.sending();
    select(&mut [Box::new(&mut sending) as Box<dyn Arm + '_>], Patience::None);
    sending.finish()
}

/// Where they meet, it chose a receiver, whom the next sender finds again: in the line, or on its way back there.
#[test]
fn room_at_a_meeting_is_dropped_against_a_sender() {
    loom::model(|| {
        let (inlet, outlet) = channel(0);
        let other = inlet.clone();
        let receiver = thread::spawn(move || outlet.receive(None));
        let sender = thread::spawn(move || assert!(sent(other.send(1, None))));
        drop(reserved(&inlet));
        assert_eq!(receiver.join().unwrap(), Ok(1));
        sender.join().unwrap();
    });
}

/// A select that is late leaves the room that it was told of, or took, to who waits for it.
#[test]
fn a_select_that_gives_up_passes_on_its_room() {
    loom::model(|| {
        let (inlet, outlet) = channel(1);
        inlet.send(0, None).unwrap();
        let other = inlet.clone();
        let impatient = thread::spawn(move || {
            let mut sending = other.sending();
            let past = Patience::Until(Instant::now());
            select(&mut [Box::new(&mut sending) as Box<dyn Arm + '_>], past);
            drop(sending.finish());
        });
        let sender = thread::spawn(move || assert!(sent(inlet.send(1, None))));
        assert_eq!([outlet.receive(None), outlet.receive(None)], [Ok(0), Ok(1)]);
        impatient.join().unwrap();
        sender.join().unwrap();
    });
}

/// A select that is thrown out just as it is told of a message tells another receiver.
#[test]
fn a_select_that_is_thrown_out_passes_on_its_message() {
    loom::model(|| {
        let (inlet, outlet) = channel(UNBOUNDED);
        let other = outlet.clone();
        let receiver = thread::spawn(move || other.receive(None));
        arm::thrown(&mut [outlet.receiving()], || inlet.send_unbounded(1).unwrap());
        assert_eq!(receiver.join().unwrap(), Ok(1));
    });
}

/// One that is told of room tells another sender.
#[test]
fn a_select_that_is_thrown_out_passes_on_its_room() {
    loom::model(|| {
        let (inlet, outlet) = channel(1);
        inlet.send(0, None).unwrap();
        let other = inlet.clone();
        let cancelled = thread::spawn(move || arm::thrown(&mut [other.sending()], || ()));
        let sender = thread::spawn(move || assert!(sent(inlet.send(1, None))));
        assert_eq!([outlet.receive(None), outlet.receive(None)], [Ok(0), Ok(1)]);
        cancelled.join().unwrap();
        sender.join().unwrap();
    });
}

/// One that is told that a receiver waits, where they meet, tells the select that waits behind it.
#[test]
fn a_select_that_is_thrown_out_passes_on_its_meeting() {
    loom::model(|| {
        let (inlet, outlet) = channel(0);
        let (first, second) = (inlet.clone(), inlet.clone());
        let cancelled = thread::spawn(move || arm::thrown(&mut [first.sending()], || ()));
        let sender = thread::spawn(move || {
            let mut sending = second.sending();
            assert!(select(&mut [Box::new(&mut sending) as Box<dyn Arm + '_>], Patience::Endless));
            sending.finish().unwrap().send(1).unwrap();
        });
        assert_eq!(outlet.receive(None), Ok(1));
        cancelled.join().unwrap();
        sender.join().unwrap();
        drop(inlet);
    });
}

/// A late sender has its message back, or it was received.
#[test]
fn a_late_sender_knows_whether_it_sent() {
    loom::model(|| {
        let (inlet, outlet) = channel(0);
        let receiver = thread::spawn(move || outlet.receive(None));
        let sent = inlet.send(1, Some(Instant::now()));
        if let Err(Unsent::Timeout(message)) = sent {
            assert_eq!(message, 1);
            drop(inlet);
            assert_eq!(receiver.join().unwrap(), Err(RecvTimeoutError::Disconnected));
        } else {
            assert_eq!(receiver.join().unwrap(), Ok(1));
        }
    });
}

/// Two channels, a message in each: a select gets one, and the other is still there.
#[test]
fn a_select_is_chosen_once() {
    loom::model(|| {
        let (first, one) = channel(UNBOUNDED);
        let (second, two) = channel(UNBOUNDED);
        let sender = thread::spawn(move || {
            first.send_unbounded(1).unwrap();
            second.send_unbounded(2).unwrap();
        });
        let (mut from_one, mut from_two) = (one.receiving(), two.receiving());
        {
            let mut arms: [Box<dyn Arm + '_>; 2] = [Box::new(&mut from_one), Box::new(&mut from_two)];
            assert!(select(&mut arms, Patience::Endless));
        }
        match (from_one.finish(), from_two.finish()) {
            (Some(Ok(1)), None) => assert_eq!(two.receive(None), Ok(2)),
            (None, Some(Ok(2))) => assert_eq!(one.receive(None), Ok(1)),
            other => panic!("{other:?}", other = (other.0.is_some(), other.1.is_some())),
        }
        sender.join().unwrap();
    });
}

/// A select that sends meets a select that receives, in one of two rendezvous.
#[test]
fn selects_meet() {
    loom::model(|| {
        let (in_one, out_one) = channel(0);
        let (in_two, out_two) = channel(0);
        let sender = thread::spawn(move || {
            let (mut one, mut two) = (in_one.sending(), in_two.sending());
            {
                let mut arms: [Box<dyn Arm + '_>; 2] = [Box::new(&mut one), Box::new(&mut two)];
                assert!(select(&mut arms, Patience::Endless));
            }
            let rooms = [one.finish(), two.finish()];
            rooms.into_iter().flatten().map(|room| room.send(7).unwrap()).count()
        });
        let (mut one, mut two) = (out_one.receiving(), out_two.receiving());
        {
            let mut arms: [Box<dyn Arm + '_>; 2] = [Box::new(&mut two), Box::new(&mut one)];
            assert!(select(&mut arms, Patience::Endless));
        }
        let received = [one.finish(), two.finish()];
        assert_eq!(received.into_iter().flatten().collect::<Vec<_>>(), [Ok(7)]);
        assert_eq!(sender.join().unwrap(), 1);
    });
}

/// A plain receiver meets a select that sends.
#[test]
fn a_select_comes_to_a_receiver() {
    loom::model(|| {
        let (inlet, outlet) = channel(0);
        let receiver = thread::spawn(move || outlet.receive(None));
        let mut sending = inlet.sending();
        assert!(select(&mut [Box::new(&mut sending) as Box<dyn Arm + '_>], Patience::Endless));
        sending.finish().unwrap().send(7).unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(7));
    });
}

/// A select hears of the end.
#[test]
fn a_select_hears_of_the_end() {
    loom::model(|| {
        let (inlet, outlet) = channel::<u8>(UNBOUNDED);
        let sender = thread::spawn(move || drop(inlet));
        let mut receiving = outlet.receiving();
        assert!(select(&mut [Box::new(&mut receiving) as Box<dyn Arm + '_>], Patience::Endless));
        assert!(receiving.finish().unwrap().is_err());
        sender.join().unwrap();
    });
}

/// `try_send` into a rendezvous finds the receiver that waits, or nobody.
#[test]
fn an_attempt_meets_who_waits() {
    loom::model(|| {
        let (inlet, outlet) = channel(0);
        let receiver = thread::spawn(move || outlet.receive(None));
        match inlet.try_send(1) {
            Ok(()) => assert_eq!(receiver.join().unwrap(), Ok(1)),
            Err(error) => {
                assert_eq!(error, TrySendError::Full(1));
                drop(inlet);
                assert_eq!(receiver.join().unwrap(), Err(RecvTimeoutError::Disconnected));
            }
        }
    });
}
