//! The words of a command, where they lie: in the buffer that the client's bytes came to. Nothing is copied.

/// Where a word begins and ends.
pub(crate) type Span = (usize, usize);

/// A command's words, the name first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub(crate) fn new(bytes: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { bytes, spans }
    }

    pub(crate) fn len(self) -> usize {
        self.spans.len()
    }

    /// The word at `index`, which the command's arity says is there.
    pub(crate) fn at(self, index: usize) -> &'a [u8] {
        let (begin, end) = self.spans[index];
        &self.bytes[begin..end]
    }

    pub(crate) fn get(self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|(begin, end)| &self.bytes[*begin..*end])
    }

    /// The words from `index` on.
    pub(crate) fn from(self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: &self.spans[index..] }
    }

    /// The words before `index`.
    pub(crate) fn until(self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: &self.spans[..index] }
    }

    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator {
        self.spans.iter().map(move |(begin, end)| &self.bytes[*begin..*end])
    }

    /// Two by two; the arity, or the caller, has seen to it that they are even.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        (0..self.len() / 2).map(move |pair| (self.at(2 * pair), self.at(2 * pair + 1)))
    }
}

/// A command's words by themselves, for later.
#[derive(Debug)]
pub(crate) struct Words {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Words {
    pub(crate) fn of(args: Args<'_>) -> Words {
        let mut words = Words { bytes: Vec::new(), spans: Vec::with_capacity(args.len()) };
        for word in args.iter() {
            let begin = words.bytes.len();
            words.bytes.extend_from_slice(word);
            words.spans.push((begin, words.bytes.len()));
        }
        words
    }

    pub(crate) fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.spans)
    }
}
