//! The chat: who is in a room hears all that is said there, in one order, and nothing of other rooms.

use tungstenite::Message;

use crate::peer::{closed, enter, open, start, text};
use crate::support::bounded;

#[test]
fn a_room_hears_its_members_and_no_others() {
    bounded(60, || {
        let server = start(&[]);
        let (mut first, mut second) = (enter(server.address, "one"), enter(server.address, "one"));
        let mut other = enter(server.address, "other");
        assert_eq!(text(&mut first), "* #2 has come; 2 here");
        first.send(Message::text("hello")).unwrap();
        other.send(Message::text("* #1 has gone; 0 here")).unwrap();
        assert_eq!(text(&mut first), "#1: hello");
        assert_eq!(text(&mut second), "#1: hello");
        // Nobody speaks for the server.
        assert_eq!(text(&mut other), "#1: * #1 has gone; 0 here");
        second.send(Message::text("bye")).unwrap();
        assert_eq!(text(&mut first), "#2: bye");
        assert_eq!(text(&mut second), "#2: bye");
        second.close(None).unwrap();
        closed(&mut second);
        assert_eq!(text(&mut first), "* #2 has gone; 1 here");
        // One who goes without a word has gone, too.
        let third = enter(server.address, "one");
        assert_eq!(text(&mut first), "* #3 has come; 2 here");
        drop(third);
        assert_eq!(text(&mut first), "* #3 has gone; 1 here");
        drop((first, other));
        assert_eq!(server.ended_when_asked().messages, 3);
    });
}

#[test]
fn a_room_that_was_left_is_a_new_one() {
    bounded(60, || {
        let server = start(&[]);
        for _ in 0..3 {
            let mut client = open(server.address, "/chat/again");
            assert_eq!(text(&mut client), "* #1 has come; 1 here");
            client.close(None).unwrap();
            closed(&mut client);
        }
    });
}

#[test]
fn all_hear_the_same_in_the_same_order() {
    bounded(60, || {
        let (server, members, each) = (start(&[]), 8, 50);
        let address = server.address;
        let clients: Vec<_> = (0..members).map(|_| enter(address, "busy")).collect();
        let talks = clients.into_iter().enumerate().map(|(at, mut client)| {
            std::thread::spawn(move || {
                // Those who came later.
                (at + 1..members).for_each(|_| drop(text(&mut client)));
                for number in 0..each {
                    client.send(Message::text(number.to_string())).unwrap();
                }
                let heard: Vec<String> = (0..members * each).map(|_| text(&mut client)).collect();
                (client, heard)
            })
        });
        let talks: Vec<_> = talks.collect();
        let (clients, heard): (Vec<_>, Vec<_>) = talks.into_iter().map(|talk| talk.join().unwrap()).unzip();
        for other in &heard[1..] {
            assert!(*other == heard[0], "two orders");
        }
        for member in 1..=members {
            let own = heard[0].iter().filter_map(|line| line.strip_prefix(&format!("#{member}: ")));
            assert!(own.eq((0..each).map(|number| number.to_string())), "of one member, in its own order");
        }
        drop(clients);
    });
}
