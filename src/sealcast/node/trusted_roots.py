"""Whom a door's trust bundle vouches for, of those whose certificates it has judged before.

Does: reads the roots of a bundle, and says whether a certificate that was verified below one of the
roots that the door had then would find it here.

Does not: verify anything; the handshake did. That a root is not in the bundle any more is all that
is asked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from sealcast.identity.certificates import key_id
from sealcast.wire import PeerCertificate

# RFC 7468 §5; BoringSSL reads the second label too.
_BLOCK: Final = re.compile(
    rb"-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END (?:X509 )?CERTIFICATE-----"
)


@dataclass(frozen=True, slots=True)
class TrustedRoots:
    """The roots of a bundle: by SHA-256 (`AB:CD:…`), and by the identifiers of their keys."""

    sha256: frozenset[str]
    keys: frozenset[str]

    @staticmethod
    def of(bundle_pem: bytes) -> TrustedRoots | None:
        """Of a bundle that a door works with; None if it cannot be read here."""
        digests, keys = set(), set()
        for block in _BLOCK.finditer(bundle_pem):
            try:
                der = base64.b64decode(b"".join(block[1].split()), validate=True)
            except binascii.Error:
                return None
            digests.add(hashlib.sha256(der).hexdigest())
            try:
                keys.add(key_id(block[0]))
            except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
                continue  # known by its digest alone
        told = (bytes.fromhex(digest).hex(":").upper() for digest in digests)
        return TrustedRoots(frozenset(told), frozenset(keys)) if digests else None

    def vouch_for(self, certificate: PeerCertificate) -> bool:
        """Whether its root is here; or another certificate of that root's key, as when a root is
        issued anew for longer: whoever hung from the old one hangs from the new one.
        """
        if certificate.root_sha256 in self.sha256:
            return True
        # The issuer of the last one below the root is the root.
        root, _, _ = certificate.chain[-1].partition(":") if certificate.chain else ("", "", "")
        return root in self.keys
