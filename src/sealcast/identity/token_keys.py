"""Keys whose private part is elsewhere, in the form that `cryptography` signs with.

Does: makes of a raw signing operation what certificates, requests, revocation lists and handshakes
need: hashes here, has the digest signed there, verifies what came back before it leaves (a token
with a fault would otherwise give its key away, or a public key that is not the private one's).

Does not: talk to a token (`sealcast.identity.pkcs11`), decrypt, agree on keys, or give a key out.

Specs: FIPS 186-5 §6 (ECDSA), RFC 3279 §2.2.3 (its encoding), RFC 8017 §8.1, §8.2, §9.2 (RSA).
"""

from typing import Final, Never, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as paddings
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    encode_dss_signature,
)

from sealcast.errors import LocalError

Octets = bytes | bytearray | memoryview

# The DER before the digest in a DigestInfo (RFC 8017 §9.2, note 1).
_DIGEST_INFO: Final = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


class RawSigner(Protocol):
    """The three operations of a token. Each may raise a `LocalError` of PKCS11."""

    def ecdsa(self, digest: bytes) -> bytes:
        """r and s, each as long as the curve's order."""

    def rsa_pkcs1(self, digest_info: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 of a DigestInfo."""

    def rsa_pss(self, digest: bytes, hash_name: str) -> bytes:
        """RSASSA-PSS of a digest, with MGF1 of the same hash and a salt of the digest's length."""


class _Stays:
    """What all keys in tokens have in common: they are not given out, and a copy is the same."""

    def private_numbers(self) -> Never:
        raise LocalError("HSM.KEY_STAYS")

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002  # the name of the interface
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> Never:
        raise LocalError("HSM.KEY_STAYS")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self


class EcTokenKey(_Stays, ec.EllipticCurvePrivateKey):
    """An ECDSA key in a token."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, signer: RawSigner) -> None:
        self._public_key = public_key
        self._signer = signer

    def sign(self, data: Octets, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """The signature as DER; HSM.KEY_UNFIT for what is not ECDSA, else the token's words."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise LocalError("HSM.KEY_UNFIT", "This key makes ECDSA signatures.")
        digest, hashed = _digest(data, signature_algorithm.algorithm)
        raw = self._signer.ecdsa(digest)
        half = (self._public_key.curve.key_size + 7) // 8
        # PKCS#11 §6.3.1: r and s have the length of the order each.
        if len(raw) != 2 * half:
            raise _wrong()
        signature = encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        )
        try:
            self._public_key.verify(signature, digest, ec.ECDSA(Prehashed(hashed)))
        except InvalidSignature:
            raise _wrong() from None
        return signature

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> Never:
        raise LocalError("HSM.KEY_UNFIT", "This key signs and does nothing else.")

    def __repr__(self) -> str:
        return f"EcTokenKey({self.curve.name})"


class RsaTokenKey(_Stays, rsa.RSAPrivateKey):
    """An RSA key in a token."""

    def __init__(self, public_key: rsa.RSAPublicKey, signer: RawSigner) -> None:
        self._public_key = public_key
        self._signer = signer

    def sign(
        self,
        data: Octets,
        padding: paddings.AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
    ) -> bytes:
        """The signature. HSM.KEY_UNFIT for other paddings and hashes than PKCS1v15, PSS and
        SHA-2; and the token's refusals.
        """
        digest, hashed = _digest(data, algorithm)
        if isinstance(padding, paddings.PKCS1v15):
            signature = self._signer.rsa_pkcs1(_DIGEST_INFO[hashed.name] + digest)
        elif isinstance(padding, paddings.PSS):
            # RFC 8446 §4.2.3: MGF1 of the same hash, the salt as long as the digest. Another PSS
            # that may have been asked for does not stand the verification below.
            signature = self._signer.rsa_pss(digest, hashed.name)
        else:
            raise LocalError("HSM.KEY_UNFIT", "It signs with PKCS1v15 or PSS.")
        try:
            self._public_key.verify(signature, digest, padding, Prehashed(hashed))
        except InvalidSignature:
            raise _wrong() from None
        return signature

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public_key

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def decrypt(self, ciphertext: bytes, padding: paddings.AsymmetricPadding) -> Never:
        raise LocalError("HSM.KEY_UNFIT", "This key signs and does nothing else.")

    def __repr__(self) -> str:
        return f"RsaTokenKey({self.key_size})"


TokenKey = EcTokenKey | RsaTokenKey


def _digest(
    data: Octets, algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo
) -> tuple[bytes, hashes.HashAlgorithm]:
    if not isinstance(algorithm, hashes.HashAlgorithm) or algorithm.name not in _DIGEST_INFO:
        raise LocalError("HSM.KEY_UNFIT", "It signs data, with SHA-256, SHA-384 or SHA-512.")
    hasher = hashes.Hash(algorithm)
    hasher.update(data)
    return hasher.finalize(), algorithm


def _wrong() -> LocalError:
    return LocalError("HSM.FAILED", "The signature that came does not fit the key's public part.")
