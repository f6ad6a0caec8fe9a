//! Clients that others wrote, curl and openssl, which also makes keys of other kinds.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Parser;

use crate::example;
use crate::peer::{options, start_with};
use crate::served::is_here;
use crate::support::bounded;

#[test]
fn curl_gets_the_page() {
    if !is_here("curl", "--version") {
        return;
    }
    bounded(60, || {
        // With the certificate that it makes itself.
        let server = start_with(&["--https"]);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--insecure", "--max-time", "20", "--noproxy", "*"]);
        command.args(["--write-out", "[%{http_version} %{num_connects}]"]);
        let url = format!("https://{}/", server.address);
        let output = command.args([&url, &url]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(said.matches("Hello over TLS").count(), 2, "{said}");
        assert!(said.contains("[1.1 1]") && said.ends_with("[1.1 0]"), "{said}");
        assert_eq!(server.ended_when_asked().failures, 0);
    });
}

/// Has openssl make a certificate with a key of this kind.
fn certify(directory: &Path, kind: &str, parameters: &[&str]) -> (String, String) {
    let place = |what: &str| directory.join(format!("{kind}.{what}")).to_str().unwrap().to_owned();
    let (cert, key) = (place("cert"), place("key"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", &key, "-out", &cert]);
    let output = command.args(["-newkey", kind]).args(parameters).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (cert, key)
}

/// What s_client shows of an echo.
fn s_client(address: &str, version: &str) -> String {
    let mut command = Command::new("openssl");
    // A signature of the server's key is verified, its name is not.
    command.args(["s_client", "-connect", address, version, "-quiet", "-no_ign_eof"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello from openssl\n").unwrap();
    let mut shown = vec![0; b"hello from openssl\n".len()];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut shown).unwrap();
    input.write_all(b"Q\n").unwrap();
    child.wait().unwrap();
    String::from_utf8(shown).unwrap()
}

#[test]
fn openssl_talks_to_keys_of_each_kind_by_both_versions() {
    if !is_here("openssl", "version") {
        return;
    }
    bounded(120, || {
        let directory = std::env::temp_dir().join(format!("dormouse-tls-keys-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let kinds: [(&str, &[&str]); 3] =
            [("rsa:2048", &[]), ("ec", &["-pkeyopt", "ec_paramgen_curve:P-384"]), ("ed25519", &[])];
        for (kind, parameters) in kinds {
            let (cert, key) = certify(&directory, kind, parameters);
            let server = start_with(&["--cert", &cert, "--key", &key]);
            for version in ["-tls1_2", "-tls1_3"] {
                assert_eq!(s_client(&server.address.to_string(), version), "hello from openssl\n", "{kind} {version}");
            }
            let summary = server.ended_when_asked();
            assert_eq!(summary.handshakes, 2);
            eprintln!("{kind}: {summary}");
        }
        std::fs::remove_dir_all(&directory).unwrap();
    });
}

#[test]
fn a_key_that_is_none_is_told_at_the_start() {
    bounded(60, || {
        let options = options(&["--cert", "/nowhere", "--key", "/nowhere"]);
        let error = example::run(&options, |_| panic!("it listens"), || Ok(())).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
    });
}

#[test]
fn a_stack_that_is_too_small_is_refused_at_the_start() {
    let parsed = |stack| example::Options::try_parse_from(["tls", "--stack", stack]);
    let error = parsed("16K").unwrap_err().to_string();
    assert!(error.contains("must be at least 32768 bytes"), "{error}");
    assert_eq!(parsed("32K").unwrap().serve.stack, Some(32 * 1024));
}
