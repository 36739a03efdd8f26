//! Cryptex: CSRCs and the whole header extension are encrypted with the payload (RFC 9335).
//!
//! The extension's tag says so to the receiver. Its four bytes of tag and length stay in the
//! clear, between two parts that do not; so while a packet is sealed or opened they are moved in
//! front of the CSRCs, and what is encrypted is one piece (RFC 9335 §6.2, §6.3).

use crate::error::SrtpError;
use crate::header::{RtpHeader, EXTENSION_BIT, EXTENSION_PREFIX_LEN, RTP_FIXED_LEN};
use crate::options::Cryptex;

/// RFC 8285 §4.2 and its form under Cryptex.
const ONE_BYTE: (u16, u16) = (0xbede, 0xc0de);
/// RFC 8285 §4.3 and its form under Cryptex. The four "appbits" must be zero: RFC 9335 §5 leaves
/// no room for them.
const TWO_BYTE: (u16, u16) = (0x1000, 0xc2de);

/// What stays in the clear while the extension's prefix stands in front of the CSRCs.
pub(crate) const CLEAR_LEN: usize = RTP_FIXED_LEN + EXTENSION_PREFIX_LEN;

/// Whether an extension says that it is encrypted.
pub(crate) const fn is_tag(extension: Option<u16>) -> bool {
    matches!(extension, Some(tag) if tag == ONE_BYTE.1 || tag == TWO_BYTE.1)
}

/// How many bytes [`mark`] will add to a packet to send.
pub(crate) const fn growth(header: &RtpHeader) -> usize {
    if header.csrcs_len > 0 && header.extension.is_none() {
        EXTENSION_PREFIX_LEN
    } else {
        0
    }
}

/// Prepares the header of a packet to send. `packet` is the plain packet and the bytes that
/// [`growth`] asked for. A packet with neither CSRCs nor an extension is left as it is.
pub(crate) fn mark(packet: &mut [u8], header: &mut RtpHeader) -> Result<(), SrtpError> {
    let tag = match header.extension {
        None if header.csrcs_len == 0 => return Ok(()),
        None => {
            // RFC 9335 §5.1: CSRCs alone get an empty extension, which tells the receiver.
            let (at, end) = (header.len, packet.len());
            packet.copy_within(at..end - EXTENSION_PREFIX_LEN, at + EXTENSION_PREFIX_LEN);
            packet[at..at + EXTENSION_PREFIX_LEN].fill(0);
            packet[0] |= EXTENSION_BIT;
            header.len += EXTENSION_PREFIX_LEN;
            ONE_BYTE.1
        }
        Some(tag) if tag == ONE_BYTE.0 => ONE_BYTE.1,
        Some(tag) if tag == TWO_BYTE.0 => TWO_BYTE.1,
        // RFC 9335 §5.1: for no other kind of extension is there a way to say it.
        Some(_) => return Err(SrtpError::HeaderNotProtected),
    };
    set_tag(packet, header, tag);
    header.is_cryptex = true;
    Ok(())
}

/// Reads from a received packet's header whether it is encrypted, and whether it may be as it is.
pub(crate) fn recognise(header: &mut RtpHeader, policy: Cryptex) -> Result<(), SrtpError> {
    header.is_cryptex = is_tag(header.extension);
    let carries_any = header.csrcs_len > 0 || header.extension.is_some();
    if carries_any && !header.is_cryptex && policy == Cryptex::Required {
        return Err(SrtpError::HeaderNotProtected);
    }
    Ok(())
}

/// Gives the extension of an opened packet the tag that it was sent with.
pub(crate) fn unmark(packet: &mut [u8], header: &RtpHeader) {
    let plain = match header.extension {
        Some(tag) if tag == ONE_BYTE.1 => ONE_BYTE.0,
        _ => TWO_BYTE.0,
    };
    set_tag(packet, header, plain);
}

/// Moves the extension's prefix in front of the CSRCs.
pub(crate) fn gather(packet: &mut [u8], header: &RtpHeader) {
    movable(packet, header).rotate_right(EXTENSION_PREFIX_LEN);
}

/// Undoes [`gather`].
pub(crate) fn scatter(packet: &mut [u8], header: &RtpHeader) {
    movable(packet, header).rotate_left(EXTENSION_PREFIX_LEN);
}

fn movable<'packet>(packet: &'packet mut [u8], header: &RtpHeader) -> &'packet mut [u8] {
    &mut packet[RTP_FIXED_LEN..header.extension_at() + EXTENSION_PREFIX_LEN]
}

fn set_tag(packet: &mut [u8], header: &RtpHeader, tag: u16) {
    let at = header.extension_at();
    packet[at..at + 2].copy_from_slice(&tag.to_be_bytes());
}
