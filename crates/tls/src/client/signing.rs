//! A signature that somebody else makes: a key in hardware, or in another process.
//!
//! The engine asks, is told to wait, and asks again when the caller has the answer. So no foreign
//! code runs inside a handshake, a slow token blocks no thread of ours, and what the signer raises
//! cannot pass through C.

use std::sync::OnceLock;

use boring::ex_data::Index;
use boring::ssl::{
    PrivateKeyMethod, PrivateKeyMethodError, Ssl, SslContextBuilder, SslRef, SslSignatureAlgorithm,
};

/// What the server's handshake is to be signed with, and over what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureWanted {
    /// A name of RFC 8446 §4.2.3, such as `ecdsa_secp256r1_sha256`.
    pub scheme: &'static str,
    /// The bytes to sign, not hashed yet.
    pub message: Vec<u8>,
}

/// How far the one signature of a connection is.
#[derive(Debug)]
enum Signing {
    Wanted(SignatureWanted),
    Given(Vec<u8>),
    Declined,
}

fn index() -> Index<Ssl, Signing> {
    static INDEX: OnceLock<Index<Ssl, Signing>> = OnceLock::new();
    *INDEX.get_or_init(|| {
        Ssl::new_ex_index().expect("an ex-data index fails only when memory is exhausted")
    })
}

/// Makes the connections of a context ask for their signatures.
pub(super) fn install(context: &mut SslContextBuilder) {
    context.set_private_key_method(Outside);
}

/// What this connection waits for.
pub(super) fn wanted(ssl: &SslRef) -> Option<&SignatureWanted> {
    match ssl.ex_data(index())? {
        Signing::Wanted(wanted) => Some(wanted),
        Signing::Given(_) | Signing::Declined => None,
    }
}

/// Lays the answer down: the signature, or `None` if there will be none.
pub(super) fn answer(ssl: &mut SslRef, signature: Option<Vec<u8>>) {
    if wanted(ssl).is_some() {
        let answer = signature.map_or(Signing::Declined, Signing::Given);
        ssl.replace_ex_data(index(), answer);
    }
}

struct Outside;

impl PrivateKeyMethod for Outside {
    fn sign(
        &self,
        ssl: &mut SslRef,
        input: &[u8],
        algorithm: SslSignatureAlgorithm,
        _output: &mut [u8],
    ) -> Result<usize, PrivateKeyMethodError> {
        let Some(scheme) = algorithm.name() else {
            return Err(PrivateKeyMethodError::FAILURE);
        };
        ssl.replace_ex_data(
            index(),
            Signing::Wanted(SignatureWanted {
                scheme,
                message: input.to_vec(),
            }),
        );
        Err(PrivateKeyMethodError::RETRY)
    }

    /// Only for suites without forward secrecy, which no context of ours has.
    fn decrypt(
        &self,
        _ssl: &mut SslRef,
        _input: &[u8],
        _output: &mut [u8],
    ) -> Result<usize, PrivateKeyMethodError> {
        Err(PrivateKeyMethodError::FAILURE)
    }

    fn complete(
        &self,
        ssl: &mut SslRef,
        output: &mut [u8],
    ) -> Result<usize, PrivateKeyMethodError> {
        match ssl.ex_data(index()) {
            Some(Signing::Wanted(_)) => Err(PrivateKeyMethodError::RETRY),
            Some(Signing::Given(signature)) => {
                // A signature longer than the key can make is none.
                let room = output
                    .get_mut(..signature.len())
                    .ok_or(PrivateKeyMethodError::FAILURE)?;
                room.copy_from_slice(signature);
                Ok(room.len())
            }
            Some(Signing::Declined) | None => Err(PrivateKeyMethodError::FAILURE),
        }
    }
}
