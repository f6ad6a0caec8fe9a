//! The page of `examples/websocket`, in a browser: an echo, a chat with others, and the server's end.

mod browser;
#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/websocket/main.rs"]
mod example;
#[allow(dead_code, reason = "each test file uses its own part")]
#[path = "websocket/peer.rs"]
mod peer;
mod served;
mod support;

use tungstenite::Message;

use crate::browser::Browser;
use crate::peer::{enter, gone, start, text};
use crate::served::is_here;
use crate::support::bounded;

#[test]
fn the_page_echoes_chats_and_tells_of_the_end() {
    if !is_here("chromedriver", "--version") || !is_here("chromium", "--version") {
        return;
    }
    bounded(180, || {
        let server = start(&[]);
        let url = format!("http://{}/", server.address);
        let browser = Browser::start();
        browser.go(&url);
        browser.shows("#state", "not connected");

        browser.click("#connect");
        browser.shows("#state", "connected to /echo");
        browser.write("#text", "hello from the page");
        browser.click("#send");
        browser.shows("#log", "hello from the page");
        // What comes is text, and never markup.
        browser.write("#text", "<b id='made'>bold</b>\u{e007}");
        browser.shows("#log", "<b id='made'>bold</b>");

        browser.write("#kind", "chat");
        browser.click("#connect");
        browser.shows("#state", "connected to /chat/lobby");
        browser.shows("#log", "* #1 has come; 1 here");

        // Another tab, and a client that is none.
        let (first, second) = (browser.window(), browser.new_tab());
        browser.look_at(&second);
        browser.go(&url);
        browser.write("#kind", "chat");
        browser.click("#connect");
        browser.shows("#log", "* #2 has come; 2 here");
        let mut third = enter(server.address, "lobby");
        browser.shows("#log", "* #3 has come; 3 here");
        browser.write("#text", "hello from the second tab");
        browser.click("#send");
        assert_eq!(text(&mut third), "#2: hello from the second tab");
        third.send(Message::text("hello from a program")).unwrap();
        assert_eq!(text(&mut third), "#3: hello from a program");
        browser.shows("#log", "#3: hello from a program");
        browser.look_at(&first);
        let log = browser.shows("#log", "#3: hello from a program");
        assert!(log.contains("#2: hello from the second tab"), "{log}");

        server.ask_to_end();
        // It may hear of others that they have gone.
        while third.read().unwrap().is_text() {}
        gone(&mut third);
        for window in [&second, &first] {
            browser.look_at(window);
            browser.shows("#state", "the server has gone away (1001: the server ends)");
        }
        let summary = server.ended();
        assert_eq!((summary.sessions, summary.failures), (4, 0), "{summary}");
    });
}
