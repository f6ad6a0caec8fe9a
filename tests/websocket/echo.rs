//! Messages come back, whatever frames they come in.

use std::io::Write;

use tungstenite::protocol::frame::coding::Data;
use tungstenite::{Bytes, Message};

use crate::peer::{closed, echoed, fragment, open, raw, start, text};
use crate::support::bounded;

#[test]
fn messages_of_all_lengths_come_back_in_their_kind() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = open(server.address, "/echo");
        // Lengths are written in three ways; and the longest message that is taken.
        for length in [0, 1, 125, 126, 8192, 65_535, 65_536, 1 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at| b'a' + (at % 23) as u8).collect();
            let message = Message::text(String::from_utf8(bytes.clone()).unwrap());
            assert!(echoed(&mut client, message.clone()) == message, "{length} bytes of text");
            assert!(echoed(&mut client, Message::binary(bytes.clone())) == Message::binary(bytes), "{length} bytes");
        }
        client.close(None).unwrap();
        assert_eq!(closed(&mut client), None);
        let summary = server.ended_when_asked();
        assert_eq!((summary.sessions, summary.messages, summary.failures), (1, 16, 0));
        assert!(summary.totals.stack > 4096, "{summary}");
        eprintln!("{summary}");
    });
}

#[test]
fn fragments_are_one_message_and_a_ping_may_be_among_them() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = open(server.address, "/echo");
        // A character is in two of them.
        let bytes = "one message, naïve".as_bytes();
        let cut = bytes.iter().position(|byte| *byte >= 0x80).unwrap() + 1;
        client.send(fragment(&bytes[..3], Data::Text, false)).unwrap();
        client.send(fragment(b"", Data::Continue, false)).unwrap();
        client.send(Message::Ping(Bytes::from_static(b"there?"))).unwrap();
        client.send(fragment(&bytes[3..cut], Data::Continue, false)).unwrap();
        client.send(fragment(&bytes[cut..], Data::Continue, true)).unwrap();
        assert_eq!(client.read().unwrap(), Message::Pong(Bytes::from_static(b"there?")));
        assert_eq!(text(&mut client), "one message, naïve");
    });
}

#[test]
fn frames_may_come_by_single_bytes() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = open(server.address, "/echo");
        for byte in [raw(0x81, b"slowly"), raw(0x89, b""), raw(0x82, &[7; 200])].concat() {
            client.get_mut().write_all(&[byte]).unwrap();
        }
        assert_eq!(text(&mut client), "slowly");
        assert_eq!(client.read().unwrap(), Message::Pong(Bytes::new()));
        assert_eq!(client.read().unwrap(), Message::binary(vec![7; 200]));
    });
}

#[test]
fn what_is_sent_right_behind_the_head_is_not_lost() {
    bounded(60, || {
        let server = start(&[]);
        let mut stream = server.connect();
        let head = "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(&[head.as_bytes(), &raw(0x81, b"early"), &raw(0x88, &[3, 0xe8])].concat()).unwrap();
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut all).unwrap();
        let answer = String::from_utf8_lossy(&all);
        // The example of RFC 6455, section 1.3.
        assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        assert!(all.ends_with(b"\x81\x05early\x88\x02\x03\xe8"), "{answer}");
    });
}

#[test]
fn a_thousand_messages_come_back_in_order_while_they_are_sent() {
    bounded(60, || {
        let server = start(&[]);
        let mut client = open(server.address, "/echo");
        let mut other = open(server.address, "/echo");
        for number in 0..1000 {
            client.write(Message::text(format!("message {number}"))).unwrap();
        }
        client.flush().unwrap();
        assert_eq!(echoed(&mut other, Message::text("meanwhile")), Message::text("meanwhile"));
        for number in 0..1000 {
            assert_eq!(text(&mut client), format!("message {number}"));
        }
        drop((client, other));
        assert_eq!(server.ended_when_asked().messages, 1001);
    });
}
