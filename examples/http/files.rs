//! Files below a directory, with ranges and conditions.
//!
//! 1. No path leads out of the directory, by `..`, an encoded slash or a symbolic link: what was opened is asked where
//!    it is, so that nobody can put a link there in between.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dormouse::fs::{self, File, Metadata, OpenOptions};

use super::conditions::{Validators, Verdict};
use super::exchange::Exchange;
use super::range::Asked;
use super::request::Method;
use super::serve::Date;
use super::status::{
    FORBIDDEN, INTERNAL_SERVER_ERROR, MOVED_PERMANENTLY, NOT_FOUND, NOT_MODIFIED, OK, PARTIAL_CONTENT,
    PRECONDITION_FAILED, RANGE_NOT_SATISFIABLE, Refusal, SERVICE_UNAVAILABLE,
};
use super::{media, target};

const NO_FILE: Refusal = Refusal { status: NOT_FOUND, why: "no such file" };

/// What a path leads to.
enum Found {
    File(File, Metadata),
    Directory,
}

/// Serves the file below `root`, which is an absolute path without symbolic links.
pub(crate) fn serve(root: &Path, exchange: &mut Exchange<'_, '_>) -> io::Result<()> {
    if !exchange.only_reads()? {
        return Ok(());
    }
    let (path, query) = exchange.request.target.parts();
    let mut name = target::file_of(path)?;
    if path.ends_with('/') {
        name.push("index.html");
    }
    match find(root, &root.join(&name)).map_err(refusal)? {
        Found::File(file, metadata) => answer(exchange, &file, &metadata, &name),
        Found::Directory if path.ends_with('/') => not_found(),
        // Two slashes in front would name another host.
        Found::Directory => {
            let location = format!("Location: /{}/{query}\r\n", path.trim_start_matches('/'));
            exchange.tell(MOVED_PERMANENTLY, &location)
        }
    }
}

pub(crate) fn not_found() -> io::Result<()> {
    Err(NO_FILE.into())
}

fn find(root: &Path, path: &Path) -> io::Result<Found> {
    // A FIFO without a writer would have the open wait.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    let place: PathBuf = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    match place.starts_with(root) {
        true if metadata.is_file() => Ok(Found::File(file, metadata)),
        true if metadata.is_dir() => Ok(Found::Directory),
        _ => Err(ErrorKind::NotFound.into()),
    }
}

/// What a client is told of an error of the file system.
fn refusal(error: io::Error) -> io::Error {
    let refusal = match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename, _)
        | (_, Some(libc::ELOOP | libc::ENXIO)) => NO_FILE,
        (ErrorKind::PermissionDenied, _) => Refusal::new(FORBIDDEN, "not for everybody"),
        (_, Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => Refusal::new(SERVICE_UNAVAILABLE, "too busy"),
        _ => {
            log::error!("a file cannot be opened: {error}");
            Refusal::new(INTERNAL_SERVER_ERROR, "the file cannot be opened")
        }
    };
    refusal.into()
}

fn answer(exchange: &mut Exchange<'_, '_>, file: &File, metadata: &Metadata, name: &Path) -> io::Result<()> {
    let (size, now) = (metadata.len(), SystemTime::now());
    // None may be later than the response.
    let modified = Date::of(metadata.modified().unwrap_or(now).min(now));
    let tag = format!("\"{:x}-{:x}.{:x}-{size:x}\"", metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
    let validators = Validators { tag: &tag, modified };
    let conditions = exchange.request.conditions.as_deref();
    let verdict = conditions.map_or(Verdict::Send, |conditions| conditions.verdict(validators, now));
    let range = conditions.and_then(|conditions| conditions.range(validators, now));
    let range = range.filter(|_| exchange.request.method == Method::Get);
    let known_by = format!("ETag: {tag}\r\nLast-Modified: {modified}\r\n");
    match verdict {
        Verdict::Failed => return exchange.tell(PRECONDITION_FAILED, ""),
        Verdict::NotModified => return exchange.begin(NOT_MODIFIED, Some(0), &known_by),
        Verdict::Send => {}
    }
    let (media, range) = (media::of(name), range.map_or(Asked::All, |range| Asked::of(range, size)));
    let fields = format!("Content-Type: {media}\r\n{known_by}Accept-Ranges: bytes\r\n");
    match range {
        Asked::Nothing => exchange.tell(RANGE_NOT_SATISFIABLE, &format!("Content-Range: bytes */{size}\r\n")),
        Asked::All => {
            exchange.begin(OK, Some(size), &fields)?;
            exchange.send_file(file, 0, size)
        }
        Asked::Part { first, count } => {
            let fields = format!("{fields}Content-Range: bytes {first}-{}/{size}\r\n", first + count - 1);
            exchange.begin(PARTIAL_CONTENT, Some(count), &fields)?;
            exchange.send_file(file, first, count)
        }
    }
}
