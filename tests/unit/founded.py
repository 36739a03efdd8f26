"""An authority for tests: founded once (sealing its keys takes its time), copied for each test."""

from __future__ import annotations

import datetime
import functools
import shutil
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from sealcast.identity.authority import Authority
from sealcast.identity.founding import Founding, found
from sealcast.identity.keys import DEFAULT_KIND, PrivateKey, generate
from sealcast.identity.reserve import RESERVE_FILE
from sealcast.secret import Secret

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
DOMAIN = "venue.example"
PASSPHRASE = "correct horse battery staple"
ENCODER = "encoder/venue-1"


def today() -> datetime.datetime:
    """For what a command does by the machine's clock; read by each test, for a run of all tests
    lasts longer than a token.
    """
    return datetime.datetime.now(datetime.UTC)


@functools.cache
def _original(now: datetime.datetime) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sealcast-authority-")) / "authority"
    founding = Founding(DOMAIN, networks=("127.0.0.0/8",))
    found(folder, founding, Secret(PASSPHRASE), now, who="founder")
    return folder


_first_asked = functools.cache(today)


def living(folder: Path) -> Authority:
    """Like `copied`, for what goes by the machine's clock: founded when a test first asked."""
    return copied(folder, _first_asked())


def copied(folder: Path, now: datetime.datetime = NOW) -> Authority:
    """An authority of `DOMAIN` in `folder`, unlocked, that was founded at `now`."""
    # Without its reserve, which hundreds of tests would fill the disk with.
    shutil.copytree(_original(now), folder, ignore=shutil.ignore_patterns(RESERVE_FILE))
    return Authority.open(folder, lambda: Secret(PASSPHRASE))


def request(
    key: PrivateKey | None = None,
    *extensions: x509.ExtensionType,
    subject: str | None = None,
) -> bytes:
    """A signing request (PEM)."""
    names = [] if subject is None else [x509.NameAttribute(NameOID.COMMON_NAME, subject)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signer = key or generate(DEFAULT_KIND)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
