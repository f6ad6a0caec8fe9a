//! The end of the server: clients are told, and those who do not answer are not waited for.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::peer::{closed, echoed, enter, gone, open, raw, start};
use crate::support::bounded;

#[test]
fn everybody_is_told_that_the_server_ends() {
    bounded(60, || {
        let server = start(&["--drain", "30", "--close-timeout", "20"]);
        let mut idle = open(server.address, "/echo");
        let mut busy = open(server.address, "/echo");
        assert_eq!(echoed(&mut busy, Message::text("hello")), Message::text("hello"));
        let mut middle = open(server.address, "/echo");
        middle.get_mut().write_all(&raw(0x81, b"cut short")[..8]).unwrap();
        let mut member = enter(server.address, "lobby");
        let no_request = server.connect();
        server.ask_to_end();
        for client in [&mut idle, &mut busy, &mut member] {
            assert_eq!(closed(client), Some(CloseCode::Away));
        }
        // This one's message may still come to its end, and then its answer to the close.
        let Message::Close(Some(frame)) = middle.read().unwrap() else { panic!("no close") };
        assert_eq!(frame.code, CloseCode::Away);
        drop((middle, no_request));
        let address = server.address;
        let start = Instant::now();
        let summary = server.ended();
        assert!(start.elapsed() < Duration::from_secs(15), "it waits for nobody");
        assert!(TcpStream::connect(address).is_err(), "the listener is open");
        assert_eq!((summary.sessions, summary.messages), (4, 1));
    });
}

#[test]
fn what_was_accepted_is_sent_before_the_close() {
    bounded(60, || {
        let server = start(&["--drain", "30", "--close-timeout", "20"]);
        let mut client = open(server.address, "/echo");
        // More than the buffers of both kernels hold: some of it is in the server.
        let piece = Message::binary(vec![0; 200_000]);
        let mut sends = open_clone(&client);
        let sender = std::thread::spawn(move || {
            let frame = [&[0x82, 0xff, 0, 0, 0, 0, 0, 3, 0x0d, 0x40, 0, 0, 0, 0][..], &vec![0; 200_000]].concat();
            (0..1000).take_while(|_| sends.write_all(&frame).is_ok()).count()
        });
        assert_eq!(client.read().unwrap(), piece);
        server.ask_to_end();
        let mut whole = 1;
        loop {
            match client.read().unwrap() {
                Message::Close(Some(frame)) => break assert_eq!(frame.code, CloseCode::Away),
                other => assert!(other == piece),
            }
            whole += 1;
        }
        let _ = client.get_ref().shutdown(std::net::Shutdown::Both);
        assert!(sender.join().unwrap() >= whole);
    });
}

fn open_clone(client: &crate::peer::Client) -> TcpStream {
    client.get_ref().try_clone().unwrap()
}

#[test]
fn who_does_not_agree_is_not_waited_for() {
    bounded(60, || {
        let server = start(&["--drain", "30", "--close-timeout", "0.3"]);
        // One does not read, and the other one not even what came back before.
        let mute = open(server.address, "/echo");
        let mut full = open(server.address, "/echo");
        full.get_ref().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        while full.send(Message::binary(vec![0; 100_000])).is_ok() {}
        let start = Instant::now();
        let summary = server.ended_when_asked();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(15), "{took:?}");
        assert_eq!(summary.failures, 2);
        drop((mute, full));
    });
}

#[test]
fn a_close_under_way_is_not_cut_short() {
    bounded(60, || {
        let server = start(&["--drain", "30"]);
        let mut client = open(server.address, "/echo");
        client.close(None).unwrap();
        server.ask_to_end();
        // Either both closes met, or one answered the other.
        assert!(matches!(client.read().unwrap(), Message::Close(_)));
        gone(&mut client);
        assert_eq!(server.ended().failures, 0);
    });
}
