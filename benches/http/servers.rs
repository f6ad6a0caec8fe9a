//! A server as a child process on the server's core, and what it has consumed.
//!
//! 1. Dropping a `Server` kills it. Those that are no programs of others end with their parent, too, however that ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::procfs;
use crate::tools::{self, Scratch};

/// How long a server may take to begin.
const START: Duration = Duration::from_secs(20);

const GO_SOURCE: &str = include_str!("peer.go");

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    process: Child,
    /// What it was built from, or reads.
    _scratch: Option<Scratch>,
}

impl Server {
    /// Those that answer a line of text, as far as they are on this machine.
    pub(crate) fn of_text() -> Vec<Server> {
        let ours = ["dormouse", "hyper", "may_minihttp"].map(|name| Server::own(name, None));
        ours.into_iter().chain(Server::go()).collect()
    }

    /// Those that send files below `root`, as far as they are on this machine.
    pub(crate) fn of_files(root: &Path) -> Vec<Server> {
        [Server::own("dormouse", Some(root))].into_iter().chain(Server::nginx(root)).collect()
    }

    /// One that this program has in itself.
    fn own(name: &'static str, root: Option<&Path>) -> Server {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--serve", name, "--parent", &std::process::id().to_string()]);
        command.args(root.into_iter().flat_map(|root| [Path::new("--root"), root]));
        Server::that_says_where(name, command, None)
    }

    fn go() -> Option<Server> {
        if !tools::is_here("go", "version", false) {
            return None;
        }
        let scratch = Scratch::new();
        let (source, program) = (scratch.put("peer.go", GO_SOURCE), scratch.path().join("peer"));
        let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(&source).status().expect("go is here");
        assert!(built.success(), "go does not build its peer");
        Some(Server::that_says_where("Go net/http", Command::new(program), Some(scratch)))
    }

    fn nginx(root: &Path) -> Option<Server> {
        if !tools::is_here("nginx", "-v", true) {
            return None;
        }
        let scratch = Scratch::new();
        let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let configuration = scratch.put("nginx.conf", nginx_configuration(address, root, scratch.path()));
        let mut command = Command::new("nginx");
        command.arg("-p").arg(scratch.path()).arg("-c").arg(configuration);
        let process = start(command.stdout(Stdio::null()));
        let server = Server { name: "nginx", address, process, _scratch: Some(scratch) };
        server.wait_until_there();
        Some(server)
    }

    fn that_says_where(name: &'static str, mut command: Command, scratch: Option<Scratch>) -> Server {
        let mut process = start(command.stdout(Stdio::piped()));
        let (mut line, output) = (String::new(), process.stdout.take().expect("it is piped"));
        BufReader::new(output).read_line(&mut line).expect("text");
        let address = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{name} says: {line}"));
        Server { name, address, process, _scratch: scratch }
    }

    fn wait_until_there(&self) {
        let begin = Instant::now();
        while std::net::TcpStream::connect(self.address).is_err() {
            assert!(begin.elapsed() < START, "{} does not listen within {START:?}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nanoseconds of processor time so far.
    pub(crate) fn cpu(&self) -> f64 {
        procfs::cpu(self.process.id()).expect("it runs").ran
    }

    /// Private resident bytes.
    pub(crate) fn memory(&self) -> f64 {
        procfs::memory(self.process.id()).expect("it runs").user
    }
}

/// On the server's core; what this thread starts afterwards is on the clients'.
fn start(command: &mut Command) -> Child {
    tools::to_server_core();
    // An open standard input tells it that it is still wanted.
    let process = command.stdin(Stdio::piped()).spawn();
    tools::to_client_core();
    process.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// One process, and everything it writes below `scratch`.
fn nginx_configuration(address: SocketAddr, root: &Path, scratch: &Path) -> String {
    let (root, scratch) = (root.display(), scratch.display());
    format!(
        "daemon off; master_process off; worker_processes 1; pid {scratch}/pid; error_log stderr crit;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
            client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/fastcgi;
            uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
            server {{ listen {address}; root {root}; }}
        }}"
    )
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
