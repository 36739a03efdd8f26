//! The data of chosen header extension elements is encrypted, their numbers and lengths are not
//! (RFC 6904).
//!
//! The keystream runs along the whole extension body and is applied where an element's data
//! stands (§3.1). It is AES in counter mode under keys of its own for every profile: an AEAD
//! cannot encrypt what it authenticates as associated data (RFC 7714 §8.3).

use std::ops::Range;

use crate::derivation::SessionKeys;
use crate::error::SrtpError;
use crate::header::{RtpHeader, EXTENSION_PREFIX_LEN};
use crate::key::{KeyError, MAX_SALT_LEN};
use crate::keystream::{counter_block, CounterCipher};
use crate::options::ExtensionIds;

/// RFC 8285 §4.2.
const ONE_BYTE: u16 = 0xbede;
/// RFC 8285 §4.3; the low four bits are the application's.
const TWO_BYTE: u16 = 0x1000;

/// RFC 8285 §4.2: this number in a one-byte header ends the extension.
const END: u8 = 15;

/// The longest data of an element (RFC 8285 §4.3) and the part of a block before it.
const MAX_KEYSTREAM_LEN: usize = 15 + 255;

/// The keystream of header extensions for one derivation period.
pub(crate) struct ElementCipher {
    cipher: CounterCipher,
    salt: [u8; MAX_SALT_LEN],
}

impl ElementCipher {
    pub(crate) fn new(keys: &SessionKeys) -> Result<Self, KeyError> {
        Ok(Self {
            cipher: CounterCipher::new(keys.encryption())?,
            salt: *keys.salt(),
        })
    }

    /// Encrypts or decrypts the chosen elements in place.
    pub(crate) fn apply(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
        ids: &ExtensionIds,
    ) -> Result<(), SrtpError> {
        let Some(tag) = header.extension else {
            return Ok(());
        };
        let body = &mut packet[header.extension_at() + EXTENSION_PREFIX_LEN..header.len];
        let mut at = 0;
        while let Some(element) = next(body, tag, at)? {
            at = element.data.end;
            if ids.contains(element.id) {
                let start = element.data.start;
                let mut keystream = [0; MAX_KEYSTREAM_LEN];
                let keystream = &mut keystream[..start % 16 + element.data.len()];
                // An extension is 2^18 bytes long at most: 2^14 blocks.
                let block = (start / 16) as u16;
                let counter = counter_block(&self.salt, header.ssrc, index, block);
                self.cipher.apply(keystream, &counter)?;
                for (byte, key) in body[element.data].iter_mut().zip(&keystream[start % 16..]) {
                    *byte ^= key;
                }
            }
        }
        Ok(())
    }
}

/// Refuses an extension whose elements do not fit it, before anything is done with the packet.
/// Numbers and lengths are in the clear, so this tells the same before and after encryption.
pub(crate) fn check(packet: &[u8], header: &RtpHeader) -> Result<(), SrtpError> {
    let Some(tag) = header.extension else {
        return Ok(());
    };
    let body = &packet[header.extension_at() + EXTENSION_PREFIX_LEN..header.len];
    let mut at = 0;
    while let Some(element) = next(body, tag, at)? {
        at = element.data.end;
    }
    Ok(())
}

/// One element: its number and where in the body its data stands.
struct Element {
    id: u8,
    data: Range<usize>,
}

/// The element at or behind `at`. An extension of a kind without elements has none.
fn next(body: &[u8], tag: u16, mut at: usize) -> Result<Option<Element>, SrtpError> {
    let is_one_byte = tag == ONE_BYTE;
    if !is_one_byte && tag & 0xfff0 != TWO_BYTE {
        return Ok(None);
    }
    // RFC 8285 §4.1.2: a byte of zero between elements is padding.
    while body.get(at) == Some(&0) {
        at += 1;
    }
    let Some(first) = body.get(at) else {
        return Ok(None);
    };
    let (id, data) = if is_one_byte {
        if first >> 4 == END {
            return Ok(None);
        }
        (first >> 4, at + 1..at + 2 + usize::from(first & 0x0f))
    } else {
        let len = *body.get(at + 1).ok_or(SrtpError::HeaderNotProtected)?;
        (*first, at + 2..at + 2 + usize::from(len))
    };
    if data.end > body.len() {
        return Err(SrtpError::HeaderNotProtected);
    }
    Ok(Some(Element { id, data }))
}
