"""The authority that `[identity]` names, at work in a node.

Does: opens it once, refuses one of another trust domain, issues the doors' certificates from it
(profile `node`, the node's names as hosts) and renews them before they end.

Does not: issue to others; the application does (`AppParts.authority`). A node that starts gets a
new certificate; only where the store cannot be written it begins with the one that it had
(`kept_pair`).

The caller must still: call what blocks (`look`, and everything of an `Authority`) in a thread.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509

from sealcast.errors import LocalError
from sealcast.identity.authority import THE_NODE, Authority, Wanted
from sealcast.identity.certificates import fingerprint
from sealcast.identity.private_files import read_passphrase
from sealcast.identity.profiles import Side
from sealcast.identity.reserve import SHARE_OF_A_START, with_reserve
from sealcast.node.certificate_sources import Lifetime
from sealcast.node.config import Config
from sealcast.node.kept_pair import KeptPair
from sealcast.node.state_folder import KeyPair

_PROFILE: Final = "node"
_PATIENCE: Final = datetime.timedelta(seconds=60)
"""After a renewal that failed the next one is tried this much later."""
_PASSING: Final = ("IDENTITY.STORE_FULL", "IDENTITY.STORE_LOCKED")
"""What keeps a node from issuing and goes away by itself, or once somebody makes room."""
_log = structlog.get_logger()


def open_authority(config: Config) -> Authority | None:
    """The authority that the configuration names; None if it names none.

    IDENTITY.NO_AUTHORITY, IDENTITY.STORE_DAMAGED; CONFIG.BAD_VALUE when it is of another trust
    domain. Its keys are opened when they are first used.
    """
    if not config.identity.authority:
        return None
    folder = Path(config.identity.authority).expanduser()
    passphrase = config.identity.passphrase_file
    file = Path(passphrase).expanduser() if passphrase else None
    authority = with_reserve(
        folder, lambda: Authority.open(folder, lambda: read_passphrase(file)), SHARE_OF_A_START
    )
    if authority.trust_domain != config.node.trust_domain:
        # Its certificates name another domain: nobody who holds one would be recognised here.
        raise LocalError(
            "CONFIG.BAD_VALUE",
            f"node.trust_domain is {config.node.trust_domain!r}, but the authority in {folder} is "
            f"of {authority.trust_domain!r}.",
        )
    return authority


class OwnPair:
    """The node's own certificate, issued by its own authority: its doors', or the one that it shows
    to other nodes.
    """

    def __init__(
        self,
        authority: Authority,
        names: Sequence[str],
        now: datetime.datetime,
        kept: KeptPair | None = None,
        *,
        side: Side = Side.SERVER,
    ) -> None:
        """Issues one at once, and keeps it. Where the store cannot be written for the moment it is
        the one that was kept, if that still holds. The codes of `Authority.issue`.
        """
        self._authority = authority
        self._side = side
        hosts = tuple(names) if side is Side.SERVER else ()
        self._wanted = Wanted(node_name(names[0]), _PROFILE, side=side, hosts=hosts)
        self._failed_at: datetime.datetime | None = None
        self._kept = kept
        try:
            self._issue(now)
        except LocalError as error:
            if error.code == "IDENTITY.NOT_OF_PROFILE":
                asked = f"The node asks for what node.names has: {', '.join(names)}"
                raise LocalError(error.code, f"{error.detail} {asked}") from error
            if error.code not in _PASSING or not self._begin_with_kept(now, error):
                raise

    @property
    def name(self) -> str:
        return f"the authority of {self._authority.trust_domain}"

    def current(self) -> KeyPair:
        return self._pair

    def look(self, now: datetime.datetime) -> bool:
        """Issues another one when the old one is due or was revoked, or when another authority
        issues now.
        """
        failed = self._failed_at
        if failed is not None and failed <= now < failed + _PATIENCE:
            return False
        self._failed_at = now
        # Before its begin: the clock was set back, and nobody takes it for valid.
        holds = self._lifetime.not_before <= now < self._lifetime.renew_at
        if holds and not self._is_revoked() and self._issuer == self._issuing(now):
            self._failed_at = None
            return False
        self._issue(now)
        self._failed_at = None
        return True

    def _begin_with_kept(self, now: datetime.datetime, error: LocalError) -> bool:
        found = None
        if self._kept is not None:
            found = self._kept.still_good(self._authority, self._wanted.hosts, now)
        if found is None:
            return False
        self._pair, row = found
        self._lifetime = Lifetime.of(self._pair.chain_pem)
        self._issuer, self._serial = row.issuer, row.serial
        _log.warning(
            "no certificate can be issued now: the node begins with the one that it had",
            code=error.code,
            detail=error.detail,
            serial=self._serial,
            until=f"{self._lifetime.not_after:%Y-%m-%d %H:%M:%SZ}",
        )
        return True

    def _is_revoked(self) -> bool:
        """Whoever revoked it did not mean the node that runs the authority to stand there without:
        the key is what is given up. (A store that was restored may not know it either.)
        """
        row = self._authority.store.certificate(self._serial)
        if row is not None and row.revoked_unix is None:
            return False
        why = "unknown to the store" if row is None else row.revoked_why
        _log.warning("own certificate was revoked; another is taken", serial=self._serial, why=why)
        return True

    def _issue(self, now: datetime.datetime) -> None:
        issuer = self._issuing(now)
        issued = self._authority.issue(self._wanted, now, who=THE_NODE)
        self._pair = KeyPair(issued.chain_pem, issued.key_pem)
        self._lifetime = Lifetime.of(issued.chain_pem)
        self._issuer, self._serial = issuer, issued.serial
        _log.info(
            "own certificate issued",
            identity=issued.name,
            side=self._side.value,
            serial=issued.serial,
            until=f"{self._lifetime.not_after:%Y-%m-%d %H:%M:%SZ}",
        )
        if self._kept is None:
            return
        try:
            self._kept.keep(self._pair)
        except LocalError as error:
            _log.warning(
                "own certificate is not kept for a start on a full disk",
                code=error.code,
                detail=error.detail,
            )

    def _issuing(self, now: datetime.datetime) -> str:
        return self._authority.issuer(self._side, now).serial


class OwnBundle:
    """Whose client certificates the node's own authority vouches for: those below its roots."""

    def __init__(self, authority: Authority, now: datetime.datetime) -> None:
        self._authority = authority
        self._roots_pem = authority.bundle_pem(now)

    @property
    def name(self) -> str:
        return f"the authority of {self._authority.trust_domain}"

    def current(self) -> bytes:
        return self._roots_pem

    def look(self, now: datetime.datetime) -> bool:
        """Whether the trusted roots are others now: while the root is rolled there are two."""
        before, self._roots_pem = self._roots_pem, self._authority.bundle_pem(now)
        return self._roots_pem != before


class OwnRoots:
    """The roots below which names of the node's own trust domain are believed, by SHA-256.

    A roll announces a root long before anything hangs from it, and its end is the old one's: who
    asks once a second knows both in time.
    """

    def __init__(self, authority: Authority, now: datetime.datetime) -> None:
        self._authority = authority
        self._known = _fingerprints(authority, now)

    def __contains__(self, root_sha256: object) -> bool:
        return root_sha256 in self._known

    def look(self, now: datetime.datetime) -> None:
        """Which they are now. While the store cannot be read they stay as they were; IDENTITY.*."""
        self._known = _fingerprints(self._authority, now)


def _fingerprints(authority: Authority, now: datetime.datetime) -> frozenset[str]:
    roots = x509.load_pem_x509_certificates(authority.bundle_pem(now))
    return frozenset(map(fingerprint, roots))


def node_name(host: str) -> str:
    """What a node is called in its certificate: `node/` and its first host name or address."""
    return "node/" + re.sub(r"[^a-z0-9_.-]", "-", host.lower()).lstrip(".")
