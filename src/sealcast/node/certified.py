"""What was opened with a certificate, and ends with it: legs, and connections to the HTTPS doors.

Does: ends whatever stands on a certificate that is revoked, at once, with IDENTITY.REVOKED; on one
whose root the door that it came through trusts no more, with IDENTITY.NO_LONGER_TRUSTED; and on one
that has expired, at its notAfter plus the grace that policy states, with IDENTITY.EXPIRED,
announced before in the log.

Does not: know where revocations and trust bundles come from (`revocation_watch`, `trust_watch`), or
refuse handshakes; the front does. What a token opened does not stand on a certificate, whatever its
connection showed.

The caller must still: call everything from the event loop's thread, `tick` again and again, and
`remove` what ended in another way.
"""

from __future__ import annotations

import datetime
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from sealcast.identity.revocation import Reason
from sealcast.node.trusted_roots import TrustedRoots
from sealcast.wire import PeerCertificate

Key = tuple[Literal["leg", "connection"], int]
End = Callable[["Verdict"], None]

REPLACED: Final = Reason.SUPERSEDED
"""The reason of a revocation whose holder has another certificate already."""

ANNOUNCED_SHARE: Final = 1 / 6
"""The end is announced when this much of the certificate's life is left. Who renews at two thirds
has connected anew long before."""
ANNOUNCED_S: Final = 24 * 3600
"""And no longer before than this."""
MOST_PER_STANDING: Final = 4
SPARE: Final = 64
"""Entries of the agenda, beyond which those of what is over are taken out."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A certificate holds no more. `expected_back`: its holder may come with another at once."""

    code: str
    detail: str
    expected_back: bool


@dataclass(frozen=True, slots=True)
class _Standing:
    certificate: PeerCertificate
    door: str
    grace_s: float
    end: End
    about: Mapping[str, object]

    @property
    def ends(self) -> float:
        return self.certificate.not_after_unix + self.grace_s

    @property
    def announced(self) -> float:
        certificate = self.certificate
        life = certificate.not_after_unix - certificate.not_before_unix
        return certificate.not_after_unix - min(life * ANNOUNCED_SHARE, ANNOUNCED_S)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a revocation ended, and why, as the one who revoked said it."""

    key: Key
    reason: str


class Certified:
    """All of them. Times are seconds since 1970."""

    def __init__(self) -> None:
        self._standing: dict[Key, _Standing] = {}
        self._agenda: list[tuple[float, int, Key, bool]] = []
        """When, a number that orders equals, what, and whether that is the end."""
        self._numbers = itertools.count()
        self._revoked: Mapping[str, str] = {}
        self._trusted: Mapping[str, TrustedRoots] = {}

    def add(
        self,
        key: Key,
        certificate: PeerCertificate | None,
        *,
        door: str,
        grace_s: float,
        end: End,
        about: Mapping[str, object],
    ) -> None:
        """`key` was opened at `door` with `certificate`; None changes nothing. `about` is for the
        log. What is known already stands on this one from now on.

        It may be revoked, or its root trusted no more, since the handshake: then it ends here.
        """
        if certificate is None:
            return
        standing = _Standing(certificate, door, grace_s, end, about)
        reason = self._reason(standing)
        if reason is not None:
            self._standing.pop(key, None)
            self._revoke(standing, reason)
            return
        if not self._is_trusted(standing):
            self._standing.pop(key, None)
            self._distrust(standing)
            return
        self._standing[key] = standing
        if key[0] == "leg":
            self._put(standing.announced, key, is_end=False)
        self._put(standing.ends, key, is_end=True)

    def remove(self, key: Key) -> None:
        """It is over. What is not known changes nothing."""
        self._standing.pop(key, None)
        # A certificate may last for months, and its holder come and go every minute.
        if len(self._agenda) > MOST_PER_STANDING * len(self._standing) + SPARE:
            self._agenda = [entry for entry in self._agenda if entry[2] in self._standing]
            heapq.heapify(self._agenda)

    def set_revoked(self, revoked: Mapping[str, str]) -> list[Ended]:
        """From now on these certificates are revoked: by "<issuer's key id>:<serial>", with the
        reason. Ends what stands on one.
        """
        self._revoked = revoked
        ended = []
        for key, standing in list(self._standing.items()):
            reason = self._reason(standing)
            # The end of one may take others with it.
            if reason is not None and self._standing.pop(key, None) is not None:
                with _going_on(key):
                    self._revoke(standing, reason)
                ended.append(Ended(key, reason))
        return ended

    def set_trusted(self, trusted: Mapping[str, TrustedRoots]) -> list[Key]:
        """From now on each of these doors trusts these roots; of other doors nothing is known. Ends
        what came through a door below a root that it trusts no more.
        """
        self._trusted = trusted
        ended = []
        for key, standing in list(self._standing.items()):
            if not self._is_trusted(standing) and self._standing.pop(key, None) is not None:
                with _going_on(key):
                    self._distrust(standing)
                ended.append(key)
        return ended

    def tick(self, now: float) -> None:
        """Does what is due: warnings, ends."""
        while self._agenda and self._agenda[0][0] <= now:
            _when, _number, key, is_end = heapq.heappop(self._agenda)
            standing = self._standing.get(key)
            # It may stand on a newer certificate than the one that this was noted for.
            if standing is None or (standing.ends if is_end else standing.announced) > now:
                continue
            if is_end:
                del self._standing[key]
                with _going_on(key):
                    verdict = Verdict("IDENTITY.EXPIRED", _ended_at(standing), expected_back=True)
                    standing.end(verdict)
            else:
                self._announce(standing)

    def _put(self, when: float, key: Key, *, is_end: bool) -> None:
        heapq.heappush(self._agenda, (when, next(self._numbers), key, is_end))

    def _reason(self, standing: _Standing) -> str | None:
        found = (self._revoked.get(each) for each in standing.certificate.chain)
        return next((reason for reason in found if reason is not None), None)

    @staticmethod
    def _revoke(standing: _Standing, reason: str) -> None:
        back = reason == REPLACED
        standing.end(Verdict("IDENTITY.REVOKED", f"Revoked: {reason}.", expected_back=back))

    def _is_trusted(self, standing: _Standing) -> bool:
        roots = self._trusted.get(standing.door)
        return roots is None or roots.vouch_for(standing.certificate)

    @staticmethod
    def _distrust(standing: _Standing) -> None:
        root = standing.certificate.root_sha256
        detail = f"The root with the SHA-256 {root} left the bundle of the door {standing.door}."
        # Whoever takes an authority away has given its ends other certificates, or should have.
        standing.end(Verdict("IDENTITY.NO_LONGER_TRUSTED", detail, expected_back=True))

    @staticmethod
    def _announce(standing: _Standing) -> None:
        _log.warning(
            "the certificate of a leg is about to expire",
            **standing.about,
            until=_time(standing.certificate.not_after_unix),
            ends=_time(standing.ends),
        )


@contextmanager
def _going_on(key: Key) -> Iterator[None]:
    """One that cannot be ended must not keep the others."""
    try:
        yield
    except Exception as error:
        _log.error("bug while ending what no longer holds", **{key[0]: key[1]}, error=repr(error))


def _ended_at(standing: _Standing) -> str:
    until = _time(standing.certificate.not_after_unix)
    if not standing.grace_s:
        return f"It was valid until {until}."
    return f"It was valid until {until}; the policy gives {standing.grace_s:g} s beyond."


def _time(unix: float) -> str:
    return f"{datetime.datetime.fromtimestamp(unix, datetime.UTC):%Y-%m-%d %H:%M:%SZ}"
