//! What a key can hold: text, a list, a set or a hash.

use std::collections::VecDeque;

use super::number;
use super::table::Table;

/// Bytes of text up to which Redis keeps it beside its head.
const EMBEDDED: usize = 44;

/// Bytes of an entry, beyond which a hash is no longer small.
const SHORT: usize = 64;

/// Entries beyond which a hash, or a set of integers, is no longer small.
const FEW: usize = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    /// Whether it was changed in place, which Redis remembers.
    pub(crate) is_edited: bool,
}

impl Text {
    pub(crate) fn of(bytes: &[u8]) -> Text {
        Text { bytes: bytes.to_vec(), is_edited: false }
    }

    /// Becomes these bytes, in the memory that it has if that is not much too large.
    #[inline]
    pub(crate) fn become_bytes(&mut self, bytes: &[u8]) {
        self.is_edited = false;
        if self.bytes.capacity() / 4 > bytes.len() + 64 {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    fn encoding(&self) -> &'static str {
        match self.bytes.len() {
            _ if number::integer(&self.bytes).is_some() && !self.is_edited => "int",
            0..=EMBEDDED if !self.is_edited => "embstr",
            _ => "raw",
        }
    }
}

pub(crate) type List = VecDeque<Box<[u8]>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Hash {
    pub(crate) fields: Table<Box<[u8]>>,
    /// Whether it ever was too large to be a small one: Redis does not go back.
    pub(crate) is_large: bool,
}

impl Hash {
    /// Gives whether the field is new.
    pub(crate) fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        let is_new = self.fields.insert(field, value.into()).is_none();
        self.is_large |= field.len() > SHORT || value.len() > SHORT || self.fields.len() > FEW;
        is_new
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    pub(crate) members: Table<()>,
    /// Whether it ever held what is no integer, or too much.
    pub(crate) is_large: bool,
}

impl Set {
    /// Gives whether the member is new.
    pub(crate) fn insert(&mut self, member: &[u8]) -> bool {
        let is_new = self.members.insert(member, ()).is_none();
        if is_new && !self.is_large {
            self.is_large = self.members.len() > FEW || number::integer(member).is_none();
        }
        is_new
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Text),
    List(Box<List>),
    Set(Box<Set>),
    Hash(Box<Hash>),
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::Hash(_) => "hash",
        }
    }

    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Value::Text(text) => text.encoding(),
            Value::List(_) => "quicklist",
            Value::Set(set) if set.is_large => "hashtable",
            Value::Set(_) => "intset",
            Value::Hash(hash) if hash.is_large => "hashtable",
            Value::Hash(_) => "listpack",
        }
    }

    /// Whether it holds nothing, as no key does. Text may be empty.
    pub(crate) fn is_void(&self) -> bool {
        match self {
            Value::Text(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.members.is_empty(),
            Value::Hash(hash) => hash.fields.is_empty(),
        }
    }
}

/// One of the four, where only that one will do.
pub(crate) trait Kind: Default {
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

impl Kind for Text {
    #[inline]
    fn of_mut(value: &mut Value) -> Option<&mut Text> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }

    fn into_value(self) -> Value {
        Value::Text(self)
    }
}

impl Kind for List {
    fn of_mut(value: &mut Value) -> Option<&mut List> {
        if let Value::List(list) = value { Some(list) } else { None }
    }

    fn into_value(self) -> Value {
        Value::List(Box::new(self))
    }
}

impl Kind for Set {
    fn of_mut(value: &mut Value) -> Option<&mut Set> {
        if let Value::Set(set) = value { Some(set) } else { None }
    }

    fn into_value(self) -> Value {
        Value::Set(Box::new(self))
    }
}

impl Kind for Hash {
    fn of_mut(value: &mut Value) -> Option<&mut Hash> {
        if let Value::Hash(hash) = value { Some(hash) } else { None }
    }

    fn into_value(self) -> Value {
        Value::Hash(Box::new(self))
    }
}
