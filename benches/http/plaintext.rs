//! A line of text, asked for by `wrk`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::servers::Server;
use crate::tools::{self, Scratch};
use crate::{Options, rounds};

/// Has `wrk` send 16 requests at a time.
const PIPELINE: &str = r#"
init = function()
  local requests = {}
  for at = 1, 16 do requests[at] = wrk.format(nil, "/") end
  together = table.concat(requests)
end
request = function() return together end
"#;

/// Names, connections, and whether requests are pipelined.
const LOADS: [(&str, usize, bool); 3] = [
    ("plaintext, 64 connections, one request at a time", 64, false),
    ("plaintext, 1000 connections, one request at a time", 1_000, false),
    ("plaintext, 64 connections, pipelined by 16", 64, true),
];

pub(crate) fn ask(options: &Options) {
    let is_wanted = |name: &str, connections| options.asks(name) && (!options.test || connections < 100);
    let wanted: Vec<_> = LOADS.into_iter().filter(|(name, connections, _)| is_wanted(name, *connections)).collect();
    if wanted.is_empty() || !tools::is_here("wrk", "-v", true) {
        return;
    }
    let (servers, scratch) = (Server::of_text(), Scratch::new());
    let script = scratch.put("pipeline.lua", PIPELINE);
    for (name, connections, is_pipelined) in wanted {
        let script = is_pipelined.then_some(&script);
        for server in servers.iter().filter(|_| !options.test) {
            // The first time takes longer.
            wrk(server, connections, 1, script);
        }
        rounds::run(name, options.rounds, &servers, ("requests", 1.0), |server| {
            wrk(server, connections, options.secs, script)
        });
    }
}

/// How many requests were answered.
fn wrk(server: &Server, connections: usize, secs: u64, script: Option<&PathBuf>) -> f64 {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", &connections.to_string(), "--duration", &secs.to_string()]);
    command.args(script.into_iter().flat_map(|script| [Path::new("--script"), script]));
    let output = command.arg(format!("http://{}/", server.address)).output().expect("wrk is here");
    let said = String::from_utf8_lossy(&output.stdout);
    let is_well = !said.contains("Socket errors") && !said.contains("Non-2xx");
    assert!(output.status.success() && is_well, "{}: {said}", server.name);
    let requests = said.lines().find_map(|line| line.trim_start().split_once(" requests in "));
    let requests: f64 =
        requests.and_then(|(count, _)| count.parse().ok()).unwrap_or_else(|| panic!("wrk says: {said}"));
    assert!(requests > 0.0, "{} answers nothing", server.name);
    requests
}
