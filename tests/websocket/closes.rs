//! Closes, and what is no frame: each has its code, and ends in good order.

use std::io::Write;
use std::net::Shutdown;

use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Data};

use crate::peer::{closed, enter, fragment, open, raw, start};
use crate::support::bounded;

#[test]
fn a_close_is_answered_by_its_own_code() {
    bounded(60, || {
        let server = start(&[]);
        for code in [CloseCode::Normal, CloseCode::Away, CloseCode::Library(4000)] {
            let mut client = open(server.address, "/echo");
            client.close(Some(CloseFrame { code, reason: "bye".into() })).unwrap();
            assert_eq!(closed(&mut client), Some(code));
        }
        assert_eq!(server.ended_when_asked().failures, 0);
    });
}

#[test]
fn what_is_no_frame_ends_the_connection_with_a_code() {
    bounded(60, || {
        let server = start(&[]);
        let unmasked = vec![0x81, 2, b'h', b'i'];
        let wrong = [
            ("no mask", unmasked, CloseCode::Protocol),
            ("a reserved bit", raw(0xc1, b"hi"), CloseCode::Protocol),
            ("a reserved opcode", raw(0x83, b"hi"), CloseCode::Protocol),
            ("a reserved control opcode", raw(0x8b, b""), CloseCode::Protocol),
            ("a control frame in fragments", raw(0x09, b"hi"), CloseCode::Protocol),
            ("a control frame that is too long", raw(0x89, &[0; 126]), CloseCode::Protocol),
            ("nothing to be continued", raw(0x80, b"hi"), CloseCode::Protocol),
            ("a message within another", [raw(0x01, b"a"), raw(0x81, b"b")].concat(), CloseCode::Protocol),
            ("a close of one byte", raw(0x88, &[3]), CloseCode::Protocol),
            ("a code that is none", raw(0x88, &[3, 0xed]), CloseCode::Protocol),
            ("no UTF-8", raw(0x81, &[b'a', 0xff]), CloseCode::Invalid),
            ("half a character", raw(0x81, &[0xc3]), CloseCode::Invalid),
        ];
        for (what, bytes, code) in wrong {
            let mut client = open(server.address, "/echo");
            // What comes behind is not read, and does not reset the connection.
            client.get_mut().write_all(&[bytes, raw(0x81, &[b'x'; 1000])].concat()).unwrap();
            assert_eq!(closed(&mut client), Some(code), "{what}");
        }
    });
}

#[test]
fn what_is_too_long_is_not_taken() {
    bounded(60, || {
        let server = start(&["--max-message", "2K", "--max-frame", "1K"]);
        let mut longest = open(server.address, "/echo");
        longest.send(fragment(&[b'x'; 1024], Data::Text, false)).unwrap();
        longest.send(fragment(&[b'x'; 1024], Data::Continue, true)).unwrap();
        assert_eq!(longest.read().unwrap().len(), 2048);
        longest.close(None).unwrap();
        assert_eq!(closed(&mut longest), None);

        let mut client = open(server.address, "/echo");
        client.send(Message::binary(vec![0; 1025])).unwrap();
        assert_eq!(closed(&mut client), Some(CloseCode::Size));
        let mut client = open(server.address, "/echo");
        client.send(fragment(&[b'x'; 1000], Data::Text, false)).unwrap();
        client.send(fragment(&[b'x'; 1000], Data::Continue, false)).unwrap();
        client.send(fragment(&[b'x'; 1000], Data::Continue, false)).unwrap();
        assert_eq!(closed(&mut client), Some(CloseCode::Size));
        // Only what is said of its length: nothing is waited for.
        let mut client = open(server.address, "/echo");
        client.get_mut().write_all(&[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]).unwrap();
        assert_eq!(closed(&mut client), Some(CloseCode::Size));
        assert_eq!(server.ended_when_asked().failures, 3);
    });
}

#[test]
fn a_room_takes_no_bytes() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = enter(server.address, "lobby");
        client.send(Message::binary(vec![1, 2, 3])).unwrap();
        assert_eq!(closed(&mut client), Some(CloseCode::Unsupported));
        assert_eq!(server.ended_when_asked().failures, 1);
    });
}

#[test]
fn who_goes_without_a_word_is_gone() {
    bounded(60, || {
        let server = start(&[]);
        drop(open(server.address, "/echo"));
        let half = open(server.address, "/echo");
        half.get_ref().shutdown(Shutdown::Write).unwrap();
        let mut middle = open(server.address, "/echo");
        middle.get_mut().write_all(&raw(0x81, b"cut short")[..8]).unwrap();
        drop((half, middle));
        let summary = server.ended_when_asked();
        assert_eq!((summary.sessions, summary.messages), (3, 0));
        // One may not have been read from when the server ended.
        assert!(summary.failures <= 3, "{summary}");
    });
}
