"""An end's own files, as the identity of its TLS legs.

Does: reads a chain and its key, wherever the key lives; compares the two, so that a pair of which
only one half was renewed is noticed before it is shown.

Does not: watch the files. Whoever renews swaps both; a reader that meets one of each reads again.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sealcast.errors import LocalError
from sealcast.identity.key_places import load_key, sign_handshake
from sealcast.identity.token_keys import EcTokenKey, RsaTokenKey
from sealcast.secret import Secret
from sealcast.tls import TlsIdentity


def load_identity(chain: Path, key: str | Path) -> TlsIdentity:
    """The chain in the PEM file `chain`, and the key in a PEM file or at a `pkcs11:` URI.

    IDENTITY.CERTIFICATE_MALFORMED, IDENTITY.KEY_UNREADABLE, TLS.KEY_MISMATCH, and what
    `sealcast.identity.key_places.load_key` refuses. Blocks: a token takes its time.
    """
    try:
        chain_pem = chain.read_bytes()
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
    except OSError as error:
        raise LocalError("IDENTITY.KEY_UNREADABLE", f"{chain}: {error.strerror}.") from error
    except ValueError:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"It is {chain}.") from None
    private = load_key(key)
    if private.public_key() != leaf.public_key():
        raise LocalError("TLS.KEY_MISMATCH", f"The key is not of the certificate in {chain.name}.")
    if isinstance(private, EcTokenKey | RsaTokenKey):
        return TlsIdentity(chain_pem, partial(sign_handshake, private))
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return TlsIdentity(chain_pem, Secret(pem))
