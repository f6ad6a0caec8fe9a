//! A headless browser, driven by WebDriver over plain HTTP: chromium by chromedriver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What nothing here takes: after that, something hangs.
const BOUND: Duration = Duration::from_secs(60);

/// By which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window at first. Dropped, it ends.
pub(crate) struct Browser {
    driver: Child,
    /// What the driver says: it stays open, since the driver writes to it.
    _output: BufReader<ChildStdout>,
    port: u16,
    /// Where its session is.
    session: String,
    profile: PathBuf,
}

impl Browser {
    pub(crate) fn start() -> Browser {
        let profile = std::env::temp_dir().join(format!("dormouse-browser-{}", std::process::id()));
        std::fs::create_dir_all(&profile).unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().unwrap();
        let mut output = BufReader::new(driver.stdout.take().unwrap());
        let port = port(&mut output);
        let mut browser = Browser { driver, _output: output, port, session: String::new(), profile };
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", browser.profile.display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": flags}}}});
        let session = browser.ask("POST", "/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// The window that is looked at.
    pub(crate) fn window(&self) -> String {
        self.ask("GET", &format!("{}/window", self.session), &Value::Null).as_str().unwrap().to_owned()
    }

    /// Opens another tab, without looking at it.
    pub(crate) fn new_tab(&self) -> String {
        self.post("/window/new", &json!({"type": "tab"}))["handle"].as_str().unwrap().to_owned()
    }

    pub(crate) fn look_at(&self, window: &str) {
        self.post("/window", &json!({"handle": window}));
    }

    pub(crate) fn click(&self, selector: &str) {
        self.post(&format!("/element/{}/click", self.find(selector)), &json!({}));
    }

    /// Types into a field, as a user does.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        self.post(&format!("/element/{}/value", self.find(selector)), &json!({"text": text}));
    }

    /// Waits until an element shows a text that has this in it, and gives all of it.
    #[track_caller]
    pub(crate) fn shows(&self, selector: &str, wanted: &str) -> String {
        let start = Instant::now();
        loop {
            let path = format!("{}/element/{}/text", self.session, self.find(selector));
            let shown = self.ask("GET", &path, &Value::Null).as_str().unwrap().to_owned();
            if shown.contains(wanted) {
                return shown;
            }
            assert!(start.elapsed() < BOUND, "{selector} does not show {wanted:?}, but {shown:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    /// One command, on a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.exchange(method, path, body).unwrap();
        assert!(status.contains(" 200 "), "{method} {path} {body}: {status}{answer}");
        answer["value"].clone()
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(String, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(BOUND))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n");
        write!(stream, "{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{body}")?;
        let (mut input, mut status) = (BufReader::new(stream), String::new());
        input.read_line(&mut status)?;
        let mut length = 0;
        for line in input.by_ref().lines() {
            match line?.to_ascii_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut answer = vec![0; length];
        input.read_exact(&mut answer)?;
        Ok((status, serde_json::from_slice(&answer)?))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser, and that its processes; it may be the driver that has failed.
        if !self.session.is_empty() {
            let _ = self.exchange("DELETE", &self.session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Where the driver says that it listens.
fn port(output: &mut impl BufRead) -> u16 {
    let mut said = String::new();
    for line in output.lines() {
        let line = line.unwrap();
        if let Some(port) = line.strip_suffix('.').and_then(|line| line.rsplit_once("successfully on port ")) {
            return port.1.parse().unwrap();
        }
        said.push_str(&line);
    }
    panic!("the driver does not start: {said}");
}
