//! The master key identifier: which of several master keys a packet was protected with.
//!
//! RFC 3711 §3.1 puts it between the ciphertext and the tag, RFC 7714 behind everything, and in
//! neither place does the tag cover it. So it is put into a finished packet and taken out of an
//! arrived one, and nothing else in this crate knows where it stands.

use crate::options::OptionError;

/// A master key identifier (RFC 3711 §8.1): bytes that both ends agreed on, possibly none.
///
/// It travels in the clear. All keys of one context have identifiers of the same length.
#[derive(Clone, Eq, PartialEq, Hash, Debug, Default)]
pub struct Mki(Box<[u8]>);

impl Mki {
    /// The longest identifier, in bytes (RFC 4568 §6.1).
    pub const MAX_LEN: usize = 128;

    /// An identifier of 0 to 128 bytes; 0 means that packets carry none.
    pub fn new(bytes: &[u8]) -> Result<Self, OptionError> {
        if bytes.len() > Self::MAX_LEN {
            let (most, got) = (Self::MAX_LEN, bytes.len());
            return Err(OptionError::MkiLength { most, got });
        }
        Ok(Self(bytes.into()))
    }

    /// Its bytes, as they stand in a packet.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Puts the identifier in front of the last `behind` bytes of the sealed packet, which stands
    /// at the front of `packet` and leaves exactly the room needed.
    pub(crate) fn put_into(&self, packet: &mut [u8], behind: usize) {
        let at = packet.len() - behind - self.0.len();
        packet.copy_within(at..at + behind, at + self.0.len());
        packet[at..at + self.0.len()].copy_from_slice(&self.0);
    }
}

/// Where the identifier of an arrived packet stands, if the packet is long enough.
pub(crate) fn find(packet: &[u8], mki_len: usize, behind: usize) -> Option<&[u8]> {
    let end = packet.len().checked_sub(behind)?;
    packet.get(end.checked_sub(mki_len)?..end)
}

/// Closes the gap that the identifier leaves; the packet is then `mki_len` bytes shorter.
pub(crate) fn take_out(packet: &mut [u8], mki_len: usize, behind: usize) -> &mut [u8] {
    let len = packet.len() - mki_len;
    packet.copy_within(len + mki_len - behind.., len - behind);
    &mut packet[..len]
}
