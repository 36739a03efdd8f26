"""What a node answers about certificates, judged before anything is put into place.

Does: reads roots, places and windows; takes a chain only if it is for the key that was sent, for
the right name, from a root that is trusted, and valid by this machine's clock.

Does not: replace a verifier: the doors judge a chain in every handshake. This keeps a wrong one
from taking the place of a good one.
"""

from __future__ import annotations

import datetime
import itertools
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from sealcast.agent.place import Pair
from sealcast.errors import RemoteError
from sealcast.identity import certificates
from sealcast.identity.renewing import Window

MOST_ROOTS: Final = 8
_MOST_LINKS: Final = 4


def roots_of(body: bytes) -> list[x509.Certificate]:
    """The authorities in an answer; CLIENT.BAD_ANSWER."""
    try:
        roots = x509.load_pem_x509_certificates(body)
    except ValueError:
        raise RemoteError("CLIENT.BAD_ANSWER", "It holds no certificates.") from None
    if len(roots) > MOST_ROOTS:
        raise RemoteError("CLIENT.BAD_ANSWER", f"It holds more than {MOST_ROOTS} authorities.")
    return roots


def with_fingerprint(roots: list[x509.Certificate], wanted: str) -> x509.Certificate:
    """The one with the SHA-256 `wanted` (64 digits); AGENT.WRONG_AUTHORITY."""
    found = [certificates.fingerprint(root) for root in roots]
    for root, fingerprint in zip(roots, found, strict=True):
        if fingerprint.replace(":", "").lower() == wanted:
            return root
    raise RemoteError("AGENT.WRONG_AUTHORITY", f"It shows SHA-256 {', '.join(found)}.")


def check_chain(
    pair: Pair, roots_pem: bytes, now: datetime.datetime, *, name: str | None = None
) -> Pair:
    """`pair` itself if its chain ends at one of the roots and its leaf is called `name` (a SPIFFE
    ID), if that is given. AGENT.BAD_CERTIFICATE, AGENT.CLOCKS_DIFFER.
    """
    links = x509.load_pem_x509_certificates(pair.chain_pem)
    if len(links) > _MOST_LINKS:
        raise _bad(f"The chain has {len(links)} certificates")
    for below, above in itertools.pairwise(links):
        if not _issued(below, above):
            raise _bad("A certificate of the chain is not signed by the next one")
    if not any(_issued(links[-1], root) for root in roots_of(roots_pem)):
        raise _bad("The chain does not end at the authority that is trusted here")
    if not pair.name or (name is not None and pair.name != name):
        raise _bad(f"It is for {pair.name[:200]!r}" + (f", not for {name!r}" if name else ""))
    begins, ends = pair.leaf.not_valid_before_utc, pair.leaf.not_valid_after_utc
    if not begins <= now < ends:
        raise RemoteError(
            "AGENT.CLOCKS_DIFFER",
            f"It is valid from {begins:%Y-%m-%d %H:%M:%SZ} to {ends:%Y-%m-%d %H:%M:%SZ}; "
            f"here it is {now:%Y-%m-%d %H:%M:%SZ}.",
        )
    return pair


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _bad(what: str) -> RemoteError:
    return RemoteError("AGENT.BAD_CERTIFICATE", f"{what}.")


class _Window(msgspec.Struct):
    start: datetime.datetime
    end: datetime.datetime


class _RenewalInformation(msgspec.Struct, rename="camel"):
    """RFC 9773 §4.2."""

    suggested_window: _Window


def window_of(body: bytes) -> Window:
    """When to renew; CLIENT.BAD_ANSWER."""
    try:
        told = msgspec.json.decode(body, type=_RenewalInformation).suggested_window
    except msgspec.DecodeError:
        raise RemoteError("CLIENT.BAD_ANSWER", "It is no renewal information.") from None
    # RFC 9773 §4.2: whatever else it is, its end comes after its start; and both name a zone.
    if told.start.tzinfo is None or told.end.tzinfo is None or told.end < told.start:
        raise RemoteError("CLIENT.BAD_ANSWER", "The window of the renewal information is none.")
    return Window(told.start, told.end)


class Directory(msgspec.Struct, frozen=True):
    """What a node says of its authority. `secure` is where renewals come in; empty if it does not
    say.
    """

    trust_domain: str = ""
    secure: str = ""


def directory_of(body: bytes) -> Directory:
    """What is where; CLIENT.BAD_ANSWER."""
    try:
        return msgspec.json.decode(body, type=Directory)
    except msgspec.DecodeError:
        raise RemoteError("CLIENT.BAD_ANSWER", "It is no directory of an authority.") from None
