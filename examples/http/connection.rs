//! One client, from its first byte to its last: the coroutine that each has.
//!
//! While there is no request, a cancel ends it, as an error: that is how the server ends. A request that has begun is
//! shielded from it, and the client is told with the response that there will be no other.
//!
//! 1. A connection on which something was sent is left by a farewell (`serve::part`): a request that comes too late would
//!    reset it, and what the client has not taken yet would be lost. Only one whose response was cut short is reset.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Instant;

use dormouse::net::TcpStream;
use dormouse::{cancel, time};

use super::body::Body;
use super::exchange::{Exchange, Head, TEXT};
use super::request::{Method, Request};
use super::serve::Date;
use super::server::{Server, Visit};
use super::status::{FIELDS_TOO_LARGE, REQUEST_TIMEOUT, Refusal, URI_TOO_LONG};
use super::target::Target;
use super::wire::Wire;
use super::{echo, files, plain};

/// The most empty lines in front of a request.
const EMPTY_LINES: usize = 16;

/// Serves the client until one of the two has enough.
pub(crate) fn serve(server: &Server, stream: TcpStream, peer: SocketAddr) {
    let mut visit = Visit::begin(server, peer);
    let mut wire = Wire::new(&stream, server.options.max_head, server.options.write_timeout);
    // Whatever goes wrong was told to the client if it could be.
    if let Err(error) = serve_all(&mut visit, &mut wire) {
        log::debug!("{peer} left: {error}");
    }
}

fn serve_all(visit: &mut Visit<'_>, wire: &mut Wire<'_>) -> io::Result<()> {
    while is_asking(visit.server, wire)? {
        if !cancel::shield(|| turns(visit, wire))? {
            return Ok(());
        }
    }
    // Invariant 1.
    if visit.has_answered() { wire.part() } else { Ok(()) }
}

/// Waits until the client begins a request; `false` if it has gone, or takes too long, or the server ends. Empty lines in
/// front of one are none: RFC 9112, section 2.2.
fn is_asking(server: &Server, wire: &mut Wire<'_>) -> io::Result<bool> {
    let mut empty_lines = 0;
    loop {
        let length = match wire.buffered() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [] | [b'\r'] => 0,
            _ => return Ok(true),
        };
        if length > 0 && empty_lines == EMPTY_LINES {
            return Ok(true);
        }
        empty_lines += usize::from(length > 0);
        wire.consume(length);
        if length == 0 && !has_more(server, wire)? {
            return Ok(false);
        }
    }
}

/// Waits for more, without holding what is not needed meanwhile. What was answered is sent before that, and as a whole.
fn has_more(server: &Server, wire: &mut Wire<'_>) -> io::Result<bool> {
    // One look at the clock for both.
    let now = Instant::now();
    cancel::shield(|| wire.flush_since(now))?;
    let received = time::deadline(now + server.options.idle_timeout, || cancel::as_errors(|| wire.receive()));
    Date::note();
    Ok(matches!(received, Ok(Ok(1..))))
}

/// One request, and those that came right behind it. Gives whether there may be another.
fn turns(visit: &mut Visit<'_>, wire: &mut Wire<'_>) -> io::Result<bool> {
    while turn(visit, wire)? {
        if matches!(wire.buffered(), [] | [b'\r' | b'\n', ..]) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One request. Gives whether there may be another.
fn turn(visit: &mut Visit<'_>, wire: &mut Wire<'_>) -> io::Result<bool> {
    let goes_on = match request(visit.server, wire).and_then(|request| answer(visit, wire, &request)) {
        Err(error) => {
            refuse(visit, wire, error.downcast()?)?;
            false
        }
        Ok(goes_on) => goes_on,
    };
    if !goes_on {
        wire.part()?;
    }
    Ok(goes_on)
}

/// Reads a head, of which there is a byte.
fn request(server: &Server, wire: &mut Wire<'_>) -> io::Result<Request> {
    let (mut looked_at, mut deadline) = (0, None);
    loop {
        let bytes = wire.buffered();
        if matches!(bytes, [b'\n', ..] | [b'\r', b'\n', ..]) {
            return Err(Refusal::bad("empty lines without end").into());
        }
        // What grows byte by byte is not read again for each of them.
        let looks = looked_at == 0 || bytes[looked_at..].contains(&b'\n');
        if looks && let Some((length, request)) = Request::parse(bytes)? {
            is_short(&bytes[..length], server.options.max_head)?;
            wire.consume(length);
            return Ok(request);
        }
        // It goes on.
        is_short(bytes, server.options.max_head - 1)?;
        looked_at = bytes.len();
        wire.flush()?;
        let at = *deadline.get_or_insert_with(|| Instant::now() + server.options.head_timeout);
        let received = time::deadline(at, || wire.receive());
        Date::note();
        match received {
            Err(_) => return Err(Refusal::new(REQUEST_TIMEOUT, "a head that comes too slowly").into()),
            Ok(Ok(0)) => return Err(Refusal::bad("half a head").into()),
            Ok(received) => received?,
        };
    }
}

fn is_short(head: &[u8], most: usize) -> Result<(), Refusal> {
    match head.len() <= most {
        true => Ok(()),
        false if !head[..most].contains(&b'\n') => Err(Refusal::new(URI_TOO_LONG, "a request line that is too long")),
        false => Err(Refusal::new(FIELDS_TOO_LARGE, "a head that is too long")),
    }
}

/// Answers a request. Gives whether there may be another.
fn answer(visit: &mut Visit<'_>, wire: &mut Wire<'_>, request: &Request) -> io::Result<bool> {
    let options = &visit.server.options;
    let awaited = request.expects_continue && wire.buffered().is_empty();
    let body = Body::new(request.framing, awaited, options.max_body as u64, visit.server.rate);
    let mut exchange = match body {
        Ok(body) => Exchange::new(wire, request, body),
        Err(refusal) => return tell(visit, wire, refusal, request.method).map(|()| false),
    };
    let mut outcome = route(visit.server, &mut exchange).and_then(|()| exchange.finish());
    if exchange.is_owed()
        && let Err(error) = outcome
    {
        let refusal = error.downcast::<Refusal>()?;
        visit.note_refusal(refusal);
        outcome = exchange.refuse(refusal).and_then(|()| exchange.finish());
    }
    let (status, bytes) = exchange.told;
    visit.note_request(request, status, bytes);
    outcome.or_else(|error| {
        // The response has begun, and either is complete, or the client sees that it is not.
        visit.note_refusal(error.downcast()?);
        Ok(false)
    })
}

fn route(server: &Server, exchange: &mut Exchange<'_, '_>) -> io::Result<()> {
    match (&exchange.request.target, &server.root) {
        (Target::Server, _) => plain::options(exchange),
        (Target::Root, _) => plain::greet(exchange),
        (Target::Echo, _) => echo::echo(exchange),
        (Target::Path(_), Some(root)) => files::serve(root, exchange),
        (Target::Path(_), None) => files::not_found(),
    }
}

/// Refuses what could not be read: nobody knows where a next request would begin.
fn refuse(visit: &mut Visit<'_>, wire: &mut Wire<'_>, refusal: Refusal) -> io::Result<()> {
    tell(visit, wire, refusal, Method::Other)
}

fn tell(visit: &mut Visit<'_>, wire: &mut Wire<'_>, refusal: Refusal, method: Method) -> io::Result<()> {
    visit.note_refusal(refusal);
    let text = format!("{refusal}\n");
    let length = Some(text.len() as u64);
    Head { status: refusal.status, length, fields: TEXT, goes_on: false, is_old: false }.write(wire)?;
    if method != Method::Head {
        wire.write_all(text.as_bytes())?;
    }
    Ok(())
}
