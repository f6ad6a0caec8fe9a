//! Who waits at a channel gets its turn, whether it waits for that channel alone or in a select: one that comes too late
//! for its chance waits on in its old place.

mod net_support;

use dormouse::sync::mpmc::{self, Receiver};
use dormouse::sync::mpsc::{channel, sync_channel};
use dormouse::sync::select;
use dormouse::{spawn, spawn_local, thread};
use net_support::{run_with, settle};

/// Receives all by selects that wait for something else too.
fn count_by_selects(receiver: &Receiver<usize>) -> usize {
    let (_quiet, never) = channel::<u8>();
    let receive = || select! { recv(receiver) -> got => got.is_ok(), recv(never) -> _ => unreachable!() };
    std::iter::repeat_with(receive).take_while(|received| *received).count()
}

/// A plain sender that never waits takes the room which the select was chosen for, again and again.
#[test]
fn a_select_that_sends_gets_its_turn() {
    run_with(1, || {
        let (sender, receiver) = sync_channel(1);
        let (_quiet, never) = channel::<u8>();
        let other = sender.clone();
        let plain = spawn(move || while sender.send(0).is_ok() {});
        let selects = spawn(move || select! { send(other, 1) -> sent => sent.is_ok(), recv(never) -> _ => false });
        let others = receiver.iter().take(10_000).take_while(|message| *message == 0).count();
        drop(receiver);
        plain.join().unwrap();
        let sent = selects.join().unwrap();
        assert!(sent && others < 1_000, "after {others} others: {sent}");
    });
}

/// A plain receiver takes what the select was chosen for, and then its own.
#[test]
fn a_select_that_receives_gets_its_turn() {
    for burst in [1, 2, 3] {
        run_with(1, move || {
            let (sender, receiver) = mpmc::channel();
            let own = receiver.clone();
            let plain = spawn(move || receiver.iter().count());
            let selects = spawn(move || count_by_selects(&own));
            settle();
            for _ in 0..5_000 {
                (0..burst).for_each(|n| sender.send(n).unwrap());
                thread::yield_now();
            }
            drop(sender);
            let (plain, selects) = (plain.join().unwrap(), selects.join().unwrap());
            assert_eq!(plain + selects, 5_000 * burst);
            assert!(selects * 10 > plain, "bursts of {burst}: {plain} by the plain one, {selects} by the select");
        });
    }
}

/// The other way round: selects do not starve a plain receiver of a rendezvous.
#[test]
fn a_plain_receiver_beside_a_select_gets_its_turn() {
    for burst in [1, 2, 3] {
        run_with(2, move || {
            let (sender, receiver) = mpmc::sync_channel(0);
            let own = receiver.clone();
            // On one worker: between two, the turns are the kernel's.
            let plain = spawn_local(move || receiver.iter().count());
            let selects = spawn_local(move || count_by_selects(&own));
            settle();
            for _ in 0..2_000 {
                (0..burst).for_each(|n| sender.send(n).unwrap());
                thread::yield_now();
            }
            drop(sender);
            let (plain, selects) = (plain.join().unwrap(), selects.join().unwrap());
            assert_eq!(plain + selects, 2_000 * burst);
            assert!(plain * 20 > selects, "bursts of {burst}: {plain} by the plain one, {selects} by the select");
        });
    }
}
