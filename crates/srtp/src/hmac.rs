//! HMAC-SHA1 (RFC 2104) for many messages under one key.
//!
//! The two hashes start from states that already took the padded key, so a message costs its own
//! blocks and two more. BoringSSL's own HMAC interface would allocate for each message.

use boring::sha::Sha1;
use zeroize::Zeroizing;

/// Length of a whole tag, before a profile cuts it.
pub(crate) const TAG_LEN: usize = 20;

/// The block of SHA-1. Keys of SRTP have 20 bytes; a longer one than a block is nobody's.
const BLOCK_LEN: usize = 64;

/// A keyed HMAC-SHA1.
#[derive(Clone)]
pub(crate) struct HmacSha1 {
    inner: Sha1,
    outer: Sha1,
}

impl HmacSha1 {
    pub(crate) fn new<const LEN: usize>(key: &[u8; LEN]) -> Self {
        const { assert!(LEN <= BLOCK_LEN) };
        let keyed = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK_LEN]);
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut hash = Sha1::new();
            hash.update(&*block);
            hash
        };
        Self {
            inner: keyed(0x36),
            outer: keyed(0x5c),
        }
    }

    /// The tag of the concatenated parts.
    #[inline]
    pub(crate) fn tag(&self, parts: [&[u8]; 2]) -> [u8; TAG_LEN] {
        let mut inner = self.inner.clone();
        for part in parts {
            inner.update(part);
        }
        let mut outer = self.outer.clone();
        outer.update(&inner.finish());
        outer.finish()
    }
}

impl Drop for HmacSha1 {
    /// A keyed state is as good as the key.
    fn drop(&mut self) {
        self.inner = Sha1::new();
        self.outer = Sha1::new();
        // Without a reader the compiler may leave the old states where they are.
        std::hint::black_box(&mut self.inner);
        std::hint::black_box(&mut self.outer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn tags_are_those_of_rfc_2202_section_3() {
        let tag = |mac: HmacSha1, message: &[u8]| {
            let (front, back) = message.split_at(message.len() / 2);
            hex(&mac.tag([front, back]))
        };
        let case_1 = tag(HmacSha1::new(&[0x0b; 20]), b"Hi There");
        assert_eq!(case_1, "b617318655057264e28bc0b6fb378c8ef146be00");
        let case_2 = tag(HmacSha1::new(b"Jefe"), b"what do ya want for nothing?");
        assert_eq!(case_2, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let case_3 = tag(HmacSha1::new(&[0xaa; 20]), &[0xdd; 50]);
        assert_eq!(case_3, "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
    }
}
