//! The keystream of AES in counter mode (RFC 3711 §4.1.1, RFC 6188 §2).
//!
//! BoringSSL encrypts counter blocks, many at a time, and their ciphertext is the keystream. Its
//! own counter mode would want a new context, an allocation, for each packet's IV; a context for
//! single blocks (ECB) has no IV and lives as long as the key.

use boring::symm::{Cipher, Crypter, Mode};
use zeroize::Zeroize;

use crate::error::SrtpError;
use crate::key::{KeyError, MAX_SALT_LEN};

const BLOCK_LEN: usize = 16;

/// Blocks encrypted at a time: enough to keep the processor's AES units full.
const SET_LEN: usize = 40 * BLOCK_LEN;

/// RFC 3711 §4.1.1: IV = salt · 2^16 XOR SSRC · 2^64 XOR index · 2^16, and the block's number.
#[inline]
pub(crate) fn counter_block(
    salt: &[u8; MAX_SALT_LEN],
    ssrc: u32,
    index: u64,
    block: u16,
) -> [u8; BLOCK_LEN] {
    let mut padded = [0_u8; BLOCK_LEN];
    padded[..MAX_SALT_LEN].copy_from_slice(salt);
    let counter = u128::from_be_bytes(padded)
        ^ u128::from(ssrc) << 64
        ^ u128::from(index) << 16
        ^ u128::from(block);
    counter.to_be_bytes()
}

/// AES under one key, and room to work in, which is wiped with the key.
pub(crate) struct CounterCipher {
    blocks: Crypter,
    counters: [u8; SET_LEN],
    /// BoringSSL's interface asks for a block more than it writes.
    keystream: [u8; SET_LEN + BLOCK_LEN],
}

impl CounterCipher {
    /// Takes a key of 16, 24 or 32 bytes; there is no other in the profile table.
    pub(crate) fn new(key: &[u8]) -> Result<Self, KeyError> {
        let cipher = match key.len() {
            16 => Cipher::aes_128_ecb(),
            24 => Cipher::aes_192_ecb(),
            _ => Cipher::aes_256_ecb(),
        };
        let mut blocks =
            Crypter::new(cipher, Mode::Encrypt, key, None).map_err(|_| KeyError::Engine)?;
        blocks.pad(false);
        Ok(Self {
            blocks,
            counters: [0; SET_LEN],
            keystream: [0; SET_LEN + BLOCK_LEN],
        })
    }

    /// XORs the keystream that starts at this counter block onto `body`, a part of a packet: much
    /// shorter than the 2^20 bytes that the counter lasts.
    pub(crate) fn apply(
        &mut self,
        body: &mut [u8],
        counter: &[u8; BLOCK_LEN],
    ) -> Result<(), SrtpError> {
        let mut counter = u128::from_be_bytes(*counter);
        for part in body.chunks_mut(SET_LEN) {
            let len = part.len().next_multiple_of(BLOCK_LEN);
            let counters = &mut self.counters[..len];
            for block in counters.chunks_exact_mut(BLOCK_LEN) {
                block.copy_from_slice(&counter.to_be_bytes());
                counter += 1;
            }
            self.blocks
                .update(counters, &mut self.keystream[..len + BLOCK_LEN])
                .map_err(|_| SrtpError::Engine)?;
            for (byte, key) in part.iter_mut().zip(&self.keystream) {
                *byte ^= key;
            }
        }
        Ok(())
    }
}

impl Drop for CounterCipher {
    fn drop(&mut self) {
        self.keystream.zeroize();
    }
}
