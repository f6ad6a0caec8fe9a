//! Files: what a path leads to, ranges, and conditions.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::server::{Response, Server};
use crate::support::bounded;

/// 784,111,777 seconds after 1970: the date that RFC 9110 writes in three ways.
const WRITTEN: [&str; 3] =
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];

/// A directory for one test, with a server for what is below `root` in it.
struct Site {
    directory: PathBuf,
    server: Server,
}

impl Site {
    fn new(name: &str) -> Site {
        let directory = std::env::temp_dir().join(format!("dormouse-http-{name}-{}", std::process::id()));
        let root = directory.join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(directory.join("secret"), "secret").unwrap();
        fs::write(root.join("digits.txt"), "0123456789").unwrap();
        let file = fs::File::options().write(true).open(root.join("digits.txt")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)).unwrap();
        let server = Server::start(&["--root", root.to_str().unwrap()]);
        Site { directory, server }
    }

    fn get(&self, path: &str, fields: &str) -> Response {
        self.server.ask_one(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_file_comes_with_what_is_known_of_it() {
    bounded(60, move || {
        let site = Site::new("whole");
        let response = site.get("/digits.txt?query", "");
        assert_eq!(response.is(200).body, b"0123456789");
        assert_eq!(response.field("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(response.field("last-modified"), Some(WRITTEN[0]));
        assert_eq!(response.field("accept-ranges"), Some("bytes"));
        let tag = response.field("etag").unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
        let head = site.server.ask_one(b"HEAD /digits.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0\r\n\r\n");
        assert_eq!(head.is(200).fields, response.fields);
        // Another tag once it is another file, also of the same length and age.
        fs::write(site.directory.join("other"), "9876543210").unwrap();
        let other = fs::File::options().write(true).open(site.directory.join("other")).unwrap();
        other.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)).unwrap();
        fs::rename(site.directory.join("other"), site.directory.join("root/digits.txt")).unwrap();
        assert_ne!(site.get("/digits.txt", "").field("etag"), Some(tag));
        let big: Vec<u8> = (0..1_000_003u32).map(|at| (at % 251) as u8).collect();
        fs::write(site.directory.join("root/big"), &big).unwrap();
        fs::write(site.directory.join("root/empty"), "").unwrap();
        assert!(site.get("/big", "").is(200).body == big);
        assert!(site.get("/empty", "").is(200).body.is_empty());
        assert_eq!(site.get("/big", "Range: bytes=65530-65545\r\n").is(206).body, big[65_530..=65_545]);
    });
}

#[test]
fn no_path_leads_out_of_the_root() {
    bounded(60, move || {
        let site = Site::new("escape");
        let root = site.directory.join("root");
        symlink("../secret", root.join("link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(&site.directory, root.join("sub/far")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("../digits.txt", root.join("sub/inside")).unwrap();
        let paths = [
            "/../secret",
            "/sub/../../secret",
            "/%2e%2e/secret",
            "/.%2E/secret",
            "/..%2fsecret",
            "/sub/..%2f..%2fsecret",
            "/link",
            "/up/secret",
            "/sub/far/secret",
            "//../secret",
            "/./../secret",
            "/loop",
            "/sub/..",
            "/up",
            "/sub/%00",
            "/digits.txt%00.html",
            "/digits.txt/",
            "/digits.txt/x",
            "/\\..\\secret",
        ];
        for path in paths {
            let response = site.get(path, "");
            assert_eq!(response.status, 404, "{path}");
            assert!(!response.body.starts_with(b"secret"), "{path}");
        }
        // A directory beside it whose name begins like its own.
        fs::create_dir(site.directory.join("rootless")).unwrap();
        fs::write(site.directory.join("rootless/file"), "secret").unwrap();
        symlink("../rootless/file", root.join("beside")).unwrap();
        site.get("/beside", "").is(404);
        site.get("/%4", "").is(400);
        assert_eq!(site.get("/sub/inside", "").is(200).body, b"0123456789");
        assert_eq!(site.get("/%64igits.txt", "").is(200).body, b"0123456789");
        assert_eq!(site.get("/.//sub/./inside", "").is(200).body, b"0123456789");
    });
}

#[test]
fn what_is_no_file_is_not_opened_as_one() {
    bounded(60, move || {
        let site = Site::new("kinds");
        let root = site.directory.join("root");
        let fifo = std::ffi::CString::new(root.join("fifo").to_str().unwrap()).unwrap();
        // SAFETY: a string that ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        site.get("/fifo", "").is(404);
        site.get("/socket", "").is(404);
        site.get(&format!("/{}", "x".repeat(300)), "").is(404);
        site.get("/sub/", "").is(404);
        assert_eq!(site.get("/sub", "").is(301).field("location"), Some("/sub/"));
        assert_eq!(site.get("/sub?a=b/c", "").is(301).field("location"), Some("/sub/?a=b/c"));
        // Never another host.
        assert_eq!(site.get("//sub", "").is(301).field("location"), Some("/sub/"));
        fs::write(root.join("sub/index.html"), "index").unwrap();
        assert_eq!(site.get("/sub/", "").is(200).body, b"index");
        let post = site.server.ask_one(b"POST /digits.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(post.is(405).field("allow"), Some("GET, HEAD, OPTIONS"));
    });
}

#[test]
fn ranges_are_parts_of_the_file() {
    let parts: &[(&str, &str, &str)] = &[
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("BYTES=7-", "789", "bytes 7-9/10"),
        ("bytes=5-100", "56789", "bytes 5-9/10"),
        ("bytes=9-99999999999999999999999", "9", "bytes 9-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-100", "0123456789", "bytes 0-9/10"),
    ];
    let nothing = ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"];
    let ignored = ["bytes=4-2", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=+1-2", "0-1"];
    bounded(60, move || {
        let site = Site::new("ranges");
        for (range, body, place) in parts {
            let response = site.get("/digits.txt", &format!("Range: {range}\r\n"));
            assert_eq!(response.is(206).body, body.as_bytes(), "{range}");
            assert_eq!(response.field("content-range"), Some(*place));
        }
        for range in nothing {
            let response = site.get("/digits.txt", &format!("Range: {range}\r\n"));
            assert_eq!(response.is(416).field("content-range"), Some("bytes */10"), "{range}");
        }
        for range in ignored {
            let response = site.get("/digits.txt", &format!("Range: {range}\r\n"));
            assert_eq!(response.is(200).body, b"0123456789", "{range}");
        }
        fs::write(site.directory.join("root/empty"), "").unwrap();
        for range in ["bytes=0-", "bytes=-1"] {
            site.get("/empty", &format!("Range: {range}\r\n")).is(416);
        }
    });
}

#[test]
fn conditions_decide_in_their_order() {
    bounded(60, move || {
        let site = Site::new("conditions");
        let tag = site.get("/digits.txt", "").field("etag").unwrap().to_owned();
        let [fixed, old, of_c] = WRITTEN;
        let (before, after) = ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let cases: &[(u16, String)] = &[
            (304, format!("If-None-Match: {tag}\r\n")),
            (304, format!("If-None-Match: W/{tag}\r\n")),
            (304, format!("If-None-Match: \"a,b\", {tag}\r\n")),
            (304, format!("If-None-Match: \"a\"\r\nIf-None-Match: {tag}\r\n")),
            (304, "If-None-Match: *\r\n".into()),
            (200, "If-None-Match: \"a\"\r\n".into()),
            (200, format!("If-None-Match: {}\r\n", tag.trim_matches('"'))),
            (304, format!("If-Modified-Since: {fixed}\r\n")),
            (304, format!("If-Modified-Since: {old}\r\n")),
            (304, format!("If-Modified-Since: {of_c}\r\n")),
            (304, format!("If-Modified-Since: {after}\r\n")),
            (200, format!("If-Modified-Since: {before}\r\n")),
            (200, "If-Modified-Since: Sun, 31 Feb 2094 08:49:37 GMT\r\n".into()),
            (200, "If-Modified-Since: yesterday\r\n".into()),
            (304, "If-Modified-Since: Mon, 29 Feb 2016 23:59:60 GMT\r\n".into()),
            (200, "If-Modified-Since: Wed, 29 Feb 2017 00:00:00 GMT\r\n".into()),
            // The tag says more than the date.
            (200, format!("If-None-Match: \"a\"\r\nIf-Modified-Since: {after}\r\n")),
            (200, format!("If-Match: {tag}\r\n")),
            (200, "If-Match: *\r\n".into()),
            (412, format!("If-Match: W/{tag}\r\n")),
            (412, "If-Match: \"a\"\r\n".into()),
            (412, format!("If-Match: \"a\"\r\nIf-None-Match: {tag}\r\n")),
            (412, format!("If-Unmodified-Since: {before}\r\n")),
            (200, format!("If-Unmodified-Since: {fixed}\r\n")),
            (200, format!("If-Match: {tag}\r\nIf-Unmodified-Since: {before}\r\n")),
            (206, format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n")),
            (206, format!("Range: bytes=0-1\r\nIf-Range: {fixed}\r\n")),
            (200, format!("Range: bytes=0-1\r\nIf-Range: W/{tag}\r\n")),
            (200, "Range: bytes=0-1\r\nIf-Range: \"a\"\r\n".into()),
            (200, format!("Range: bytes=0-1\r\nIf-Range: {after}\r\n")),
            (304, format!("Range: bytes=0-1\r\nIf-None-Match: {tag}\r\n")),
        ];
        for (status, fields) in cases {
            let response = site.get("/digits.txt", fields);
            assert_eq!(response.status, *status, "{fields}");
            if *status == 304 {
                assert_eq!(response.field("etag"), Some(tag.as_str()));
                assert_eq!(response.field("content-length"), None);
            }
        }
    });
}

#[test]
fn a_file_that_becomes_shorter_is_not_made_up() {
    bounded(60, move || {
        let site = Site::new("shorter");
        let path = site.directory.join("root/long");
        let file = fs::File::create(&path).unwrap();
        file.set_len(30_000_000).unwrap();
        let mut client = site.server.connect();
        client.send(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(client.head().contains("\r\nContent-Length: 30000000\r\n"));
        // More is left than all buffers hold.
        file.set_len(1000).unwrap();
        assert!(client.remains().len() < 30_000_000);
    });
}
