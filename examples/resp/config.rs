//! Settings that are read and changed while the server runs, under the names that Redis has for them.
//!
//! Those that mean something here are parsed when they are set; the others are there since clients ask for them.

use std::collections::BTreeMap;

use super::number;
use super::outbox::Limit;
use super::store::DATABASES;

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nothing else.
    Fixed,
    Switch,
    Number(u64, u64),
    Bytes,
    Limits,
}

/// The settings that there are, and what they are unless set.
const SETTINGS: &[(&str, Kind, &str)] = &[
    ("appendonly", Kind::Fixed, "no"),
    ("bind", Kind::Fixed, ""),
    ("client-output-buffer-limit", Kind::Limits, ""),
    ("databases", Kind::Fixed, "16"),
    ("lazyfree-lazy-user-del", Kind::Switch, "no"),
    ("lazyfree-lazy-user-flush", Kind::Switch, "no"),
    ("maxclients", Kind::Number(1, 4_294_967_295), "10000"),
    ("maxmemory", Kind::Bytes, "0"),
    ("maxmemory-policy", Kind::Fixed, "noeviction"),
    ("port", Kind::Fixed, "0"),
    ("proto-max-bulk-len", Kind::Bytes, "536870912"),
    ("requirepass", Kind::Fixed, ""),
    ("save", Kind::Fixed, ""),
    ("tcp-keepalive", Kind::Number(0, 2_147_483_647), "300"),
    ("timeout", Kind::Number(0, 2_147_483_647), "0"),
];

#[derive(Clone, Debug)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, String>,
    /// The most clients at a time.
    pub(crate) clients: usize,
    /// Seconds that a client may be silent; 0 is for ever.
    pub(crate) timeout: u64,
    /// Seconds after which a silent client is asked whether it is there still; 0 is never.
    pub(crate) keepalive: u64,
    /// The longest word.
    pub(crate) longest: usize,
    /// Of clients that only ask.
    pub(crate) normal: Limit,
    /// Of clients that listen to channels.
    pub(crate) listeners: Limit,
    /// Has no meaning here.
    replicas: Limit,
}

impl Config {
    pub(crate) fn new(clients: usize, normal: usize, listeners: usize) -> Config {
        let limit = |hard, soft, seconds| Limit { hard, soft, seconds };
        let mut config = Config {
            values: SETTINGS.iter().map(|(name, _, value)| (*name, (*value).to_owned())).collect(),
            clients,
            timeout: 0,
            keepalive: 300,
            longest: 512 << 20,
            normal: limit(normal, 0, 0),
            listeners: limit(listeners, listeners / 4, 60),
            replicas: limit(256 << 20, 64 << 20, 60),
        };
        config.values.insert("maxclients", clients.to_string());
        config.values.insert("databases", DATABASES.to_string());
        config.values.insert("client-output-buffer-limit", config.limits());
        config
    }

    /// Says where the server listens.
    pub(crate) fn listens(&mut self, address: std::net::SocketAddr) {
        self.values.insert("bind", address.ip().to_string());
        self.values.insert("port", address.port().to_string());
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, value)| (*name, &value[..]))
    }

    /// The setting of this name, in any case.
    pub(crate) fn name(&self, name: &[u8]) -> Option<&'static str> {
        SETTINGS.iter().map(|(known, ..)| *known).find(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Sets what is known; the error says what is wrong with the value.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let found = SETTINGS.iter().find(|(known, ..)| known.as_bytes().eq_ignore_ascii_case(name));
        let (name, kind, _) = found.ok_or("there is no such setting")?;
        let text = match kind {
            Kind::Fixed => return Err("can't set immutable config"),
            Kind::Switch => switch(value)?,
            Kind::Number(least, most) => ranged(value, *least, *most)?,
            Kind::Bytes => bytes(value).ok_or("argument must be a memory value")?.to_string(),
            Kind::Limits => {
                self.set_limits(value)?;
                self.limits()
            }
        };
        let number = text.parse().unwrap_or(0);
        match *name {
            "maxclients" => self.clients = number as usize,
            "timeout" => self.timeout = number,
            "tcp-keepalive" => self.keepalive = number,
            "proto-max-bulk-len" if number < 1 << 20 => {
                return Err("argument must be between 1048576 and 9223372036854775807 inclusive");
            }
            "proto-max-bulk-len" => self.longest = number as usize,
            _ => {}
        }
        self.values.insert(name, text);
        Ok(())
    }

    fn limits(&self) -> String {
        let one = |name: &str, limit: Limit| format!("{name} {} {} {}", limit.hard, limit.soft, limit.seconds);
        let (normal, replicas) = (one("normal", self.normal), one("slave", self.replicas));
        format!("{normal} {replicas} {}", one("pubsub", self.listeners))
    }

    /// Classes of clients, each with three numbers.
    fn set_limits(&mut self, value: &[u8]) -> Result<(), &'static str> {
        let value = String::from_utf8_lossy(value).into_owned();
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        if !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.");
        }
        let (mut normal, mut replicas, mut listeners) = (self.normal, self.replicas, self.listeners);
        for class in words.chunks(4) {
            let limit = match &class[0].to_ascii_lowercase()[..] {
                "normal" => &mut normal,
                "slave" | "replica" => &mut replicas,
                "pubsub" => &mut listeners,
                _ => return Err("Invalid client class specified in buffer limit configuration."),
            };
            let number = |text: &str| bytes(text.as_bytes()).map(|bytes| bytes as usize);
            let seconds = class[3].parse().ok();
            let (Some(hard), Some(soft), Some(seconds)) = (number(class[1]), number(class[2]), seconds) else {
                return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
            };
            *limit = Limit { hard, soft, seconds };
        }
        (self.normal, self.replicas, self.listeners) = (normal, replicas, listeners);
        Ok(())
    }
}

fn switch(value: &[u8]) -> Result<String, &'static str> {
    match &value.to_ascii_lowercase()[..] {
        b"yes" => Ok("yes".into()),
        b"no" => Ok("no".into()),
        _ => Err("argument must be 'yes' or 'no'"),
    }
}

fn ranged(value: &[u8], least: u64, most: u64) -> Result<String, &'static str> {
    let number = number::integer(value).ok_or("argument couldn't be parsed into an integer")?;
    match u64::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
        _ if least == 1 => Err("argument must be between 1 and 4294967295 inclusive"),
        _ => Err("argument must be between 0 and 2147483647 inclusive"),
    }
}

/// As in `100`, `64kb` or `1g`: with a `b` behind it a unit is a power of two, and else of ten.
fn bytes(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?.to_ascii_lowercase();
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[at..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(unit)
}
