//! A fuzzer's bytes, read as numbers and pieces until they run out.

/// Reads from the front; past the end every number is 0 and every piece empty.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Nothing of it is read yet.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.piece(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes, big-endian.
    pub fn word(&mut self) -> u16 {
        u16::from(self.byte()) << 8 | u16::from(self.byte())
    }

    /// The next four bytes, big-endian.
    pub fn long(&mut self) -> u32 {
        u32::from(self.word()) << 16 | u32::from(self.word())
    }

    /// As many of the next `len` bytes as there are.
    pub fn piece(&mut self, len: usize) -> &'a [u8] {
        let (piece, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        piece
    }

    /// A piece that says its own length in two bytes.
    pub fn counted_piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.word());
        self.piece(len)
    }

    /// All that is left.
    pub fn all(&mut self) -> &'a [u8] {
        self.piece(self.rest.len())
    }
}

/// Writes a piece as [`Input::counted_piece`] reads it.
pub(crate) fn push_counted(seed: &mut Vec<u8>, piece: &[u8]) {
    let len = u16::try_from(piece.len()).expect("seeds are made of datagrams");
    seed.extend_from_slice(&len.to_be_bytes());
    seed.extend_from_slice(piece);
}
