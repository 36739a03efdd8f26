"""What clients present at a door: a good certificate, and every kind that must be refused.

Does: issues from a node's own authority where it would, and as a thief of its issuing key where it
would not.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from sealcast.identity import certificates
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.certificates import Signer, Template
from sealcast.identity.issued import Issued
from sealcast.identity.keys import generate
from sealcast.identity.keys_at_rest import open_pem, plain_pem
from sealcast.identity.names import spiffe_id
from sealcast.identity.profiles import Side
from sealcast.identity.revocation import Reason
from sealcast.secret import Secret
from sealcast.testing.node_process import Client

_HOUR = datetime.timedelta(hours=1)
_DAY = datetime.timedelta(days=1)
HUGE = 200
"""Certificates in a chain that no engine reads to its end (BoringSSL: 100 kB)."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class Presenter:
    """Makes what is presented, for one end of `authority`."""

    authority: Authority
    foreign: Authority
    passphrase: Secret
    folder: Path
    name: str
    """Of an end that may do what the test asks for."""

    def make(self, what: str) -> Client | None:
        """`what` is a key of `PRESENTED`. Each call issues anew."""
        return PRESENTED[what](self)

    def _wanted(self, name: str | None = None) -> Wanted:
        name = name or self.name
        return Wanted(name, name.partition("/")[0])

    def _keep(self, issued: Issued) -> Client:
        return Client(issued.name, *issued.save(self.folder, issued.serial))

    def genuine(self) -> Client:
        return self._keep(self.authority.issue(self._wanted(), _now(), who="test"))

    def of_foreign_authority(self) -> Client:
        return self._keep(self.foreign.issue(self._wanted(), _now(), who="test"))

    def expired(self) -> Client:
        issuing = self._stolen()
        return self._signed_by(issuing, (issuing.certificate,), begins=_now() - _DAY)

    def of_tomorrow(self) -> Client:
        issuing = self._stolen()
        return self._signed_by(issuing, (issuing.certificate,), begins=_now() + _DAY)

    def revoked(self) -> Client:
        """Only this certificate; what else the end holds stays good."""
        issued = self.authority.issue(self._wanted(), _now(), who="test")
        self.authority.revoke(
            self.name, Reason.KEY_COMPROMISE, _now(), who="test", serial=issued.serial
        )
        return self._keep(issued)

    def of_a_server(self) -> Client:
        wanted = Wanted("node/other", "node", side=Side.SERVER, hosts=("localhost",))
        return self._keep(self.authority.issue(wanted, _now(), who="test"))

    def of_another_role(self) -> Client:
        return self._keep(self.authority.issue(self._wanted("viewer/vera"), _now(), who="test"))

    def below_a_leaf_authority(self) -> Client:
        """A thief of the issuing key makes an authority below it, whose path length is 0."""
        issuing = self._stolen()
        key = generate("p256")
        template = Template(
            subject=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "one too many")]),
            names=(),
            public_key=key.public_key(),
            serial=x509.random_serial_number(),
            not_before=_now() - _HOUR,
            not_after=_now() + _HOUR,
            usage=Side.CLIENT.usage,
            path_length=0,
        )
        between = Signer(certificates.sign(template, issuing), key)
        return self._signed_by(between, (between.certificate, issuing.certificate))

    def with_a_huge_chain(self) -> Client:
        """Its own chain, then more of the same than a handshake may hold."""
        issuing = self._stolen()
        return self._signed_by(issuing, (issuing.certificate,) * HUGE)

    def _signed_by(
        self,
        signer: Signer,
        chain: tuple[x509.Certificate, ...],
        *,
        begins: datetime.datetime | None = None,
    ) -> Client:
        begins = begins or _now() - _HOUR
        key = generate("p256")
        uri = spiffe_id(self.authority.trust_domain, self.name)
        leaf = certificates.sign(
            Template(
                subject=x509.Name([]),
                names=(x509.UniformResourceIdentifier(uri),),
                public_key=key.public_key(),
                serial=x509.random_serial_number(),
                not_before=begins,
                not_after=begins + 2 * _HOUR,
                usage=Side.CLIENT.usage,
            ),
            signer,
        )
        pem = b"".join(map(certificates.pem, (leaf, *chain)))
        return self._keep(Issued(uri, pem, plain_pem(key), f"{leaf.serial_number:x}", 0))

    def _stolen(self) -> Signer:
        issuer = self.authority.issuer(Side.CLIENT, _now())
        pem = (self.authority.folder / issuer.key_file).read_bytes()
        key = open_pem(pem, self.passphrase, "stolen")
        return Signer(x509.load_pem_x509_certificate(issuer.pem), key)


PRESENTED: dict[str, Callable[[Presenter], Client | None]] = {
    "its own certificate": Presenter.genuine,
    "no certificate": lambda _: None,
    "a certificate of a foreign authority": Presenter.of_foreign_authority,
    "an expired certificate": Presenter.expired,
    "a certificate of tomorrow": Presenter.of_tomorrow,
    "a revoked certificate": Presenter.revoked,
    "a server's certificate": Presenter.of_a_server,
    "a certificate of another role": Presenter.of_another_role,
    "too long a chain": Presenter.below_a_leaf_authority,
    "a huge chain": Presenter.with_a_huge_chain,
}
