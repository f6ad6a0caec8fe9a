//! A client that others wrote: curl.

use std::process::{Command, Stdio};

use crate::server::Server;
use crate::support::bounded;

/// Whether curl is here. Where everything must run, it has to be.
fn is_here() -> bool {
    let is_here =
        Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    let must_run = std::env::var_os("DORMOUSE_MUST_RUN").is_some();
    assert!(is_here || !must_run, "there is no curl, and everything must run");
    if !is_here {
        eprintln!("skipped: there is no curl");
    }
    is_here
}

/// What it says on standard output.
#[track_caller]
fn curl(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn curl_gets_what_it_asks_for() {
    if !is_here() {
        return;
    }
    bounded(120, move || {
        let directory = std::env::temp_dir().join(format!("dormouse-http-curl-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let body: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(directory.join("body"), &body).unwrap();
        let path = directory.join("body");
        let (sent, saved) = (format!("@{}", path.display()), directory.join("saved"));
        let server = Server::start(&["--root", directory.to_str().unwrap()]);
        let url = |path: &str| format!("http://{}{path}", server.address);

        // Two on one connection.
        let written = curl(&["--write-out", "[%{num_connects}]", &url("/"), &url("/")]);
        assert_eq!(written, b"Hello, World![1]Hello, World![0]");
        assert_eq!(curl(&["--http1.0", &url("/")]), b"Hello, World!");
        let head = String::from_utf8(curl(&["--head", &url("/body")])).unwrap();
        assert!(head.contains("\r\nContent-Length: 3000000\r\n"), "{head}");
        // With Expect: a body of more than a megabyte.
        assert!(curl(&["--data-binary", &sent, &url("/echo")]) == body);
        assert!(curl(&["--header", "Transfer-Encoding: chunked", "--data-binary", &sent, &url("/echo")]) == body);
        assert!(curl(&[&url("/body")]) == body);
        assert!(curl(&["--range", "1000000-1999999", &url("/body")]) == body[1_000_000..2_000_000]);
        assert!(curl(&["--range", "-10", &url("/body")]) == body[2_999_990..]);
        std::fs::write(&saved, &body[..1_234_567]).unwrap();
        curl(&["--continue-at", "-", "--output", saved.to_str().unwrap(), &url("/body")]);
        assert!(std::fs::read(&saved).unwrap() == body);
        // What it has already.
        let code = ["--output", "/dev/null", "--write-out", "%{http_code}", "--time-cond"];
        assert_eq!(curl(&[&code[..], &[path.to_str().unwrap(), &url("/body")]].concat()), b"304");
        let code = &code[..4];
        assert_eq!(curl(&[code, &["--path-as-is", &url("/../../etc/passwd")]].concat()), b"404");
        std::fs::remove_dir_all(&directory).unwrap();
    });
}
