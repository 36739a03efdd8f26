"""Our revocation lists, read by those who would check them: OpenSSL, GnuTLS, NSS."""

from __future__ import annotations

import datetime
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.founded import ENCODER, PASSPHRASE, living, today

from sealcast.identity import crl
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.issued import Issued
from sealcast.identity.revocation import Reason
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.secret import Secret
from sealcast.testing.requirement import require


@dataclass(frozen=True, slots=True)
class Venue:
    """An authority with one encoder that may and one that may not, as files."""

    authority: Authority
    folder: Path
    good: Issued
    bad: Issued

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    @property
    def root(self) -> str:
        return self.file("root.pem", self.authority.bundle_pem(today()))

    @property
    def lists(self) -> str:
        return self.file("lists.pem", b"".join(map(crl.pem, self.authority.crls(today()))))

    def leaf_and_issuer(self, issued: Issued) -> tuple[str, str]:
        begin = b"-----BEGIN"
        _, leaf, issuer = issued.chain_pem.split(begin)
        return self.file("leaf.pem", begin + leaf), self.file("issuer.pem", begin + issuer)


@pytest.fixture
def venue(tmp_path: Path) -> Venue:
    authority = living(tmp_path / "authority")
    good = authority.issue(Wanted(ENCODER, "encoder"), today(), who="ada")
    bad = authority.issue(Wanted("encoder/lost", "encoder"), today(), who="ada")
    authority.revoke("encoder/lost", Reason.KEY_COMPROMISE, today(), who="ada")
    return Venue(authority, tmp_path, good, bad)


def ran(*words: str) -> tuple[bool, str]:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


def by_openssl(venue: Venue, issued: Issued, check: str, at: datetime.datetime) -> tuple[bool, str]:
    leaf, issuer = venue.leaf_and_issuer(issued)
    return ran(
        *("openssl", "verify", "-x509_strict", check, "-CAfile", venue.root),
        *("-CRLfile", venue.lists, "-attime", str(int(at.timestamp()))),
        *("-untrusted", issuer, leaf),
    )


@pytest.mark.parametrize("check", ["-crl_check", "-crl_check_all"])
def test_openssl_refuses_the_revoked_one_and_takes_the_other(venue: Venue, check: str) -> None:
    require("openssl")
    took, told = by_openssl(venue, venue.good, check, today())
    assert took, told
    took, told = by_openssl(venue, venue.bad, check, today())
    assert not took
    assert "certificate revoked" in told


def test_a_list_that_nobody_renewed_is_refused_by_openssl_after_seven_days(venue: Venue) -> None:
    """What an operator sees whose daily `identity crl` has stopped."""
    require("openssl")
    sixth, eighth = today() + datetime.timedelta(days=6), today() + datetime.timedelta(days=8)
    took, told = by_openssl(venue, venue.good, "-crl_check", sixth)
    assert took, told
    took, told = by_openssl(venue, venue.good, "-crl_check", eighth)
    assert not took
    assert "CRL has expired" in told


def test_openssl_takes_the_old_authoritys_through_the_overlap_and_then_no_more(
    venue: Venue,
) -> None:
    """By the root's own lists, of which the second was signed ahead."""
    require("openssl")
    passphrase, week = Secret(PASSPHRASE), datetime.timedelta(days=7)
    roll(venue.authority, Roll(week), Keys(passphrase, passphrase), today(), who="ada")
    new = venue.authority.issue(Wanted(ENCODER, "encoder"), today(), who="ada")
    leaf, issuer = venue.leaf_and_issuer(venue.good)
    for at, expected in ((today(), True), (today() + week, False)):
        # Of the old issuing authority too, which is not in the answer any more after its end.
        made = [venue.authority.crl(row.serial, at) for row in venue.authority.store.roots()]
        made += [
            venue.authority.crl(row.serial, today()) for row in venue.authority.store.issuers()
        ]
        lists = venue.file("all.pem", b"".join(map(crl.pem, made)))
        took, told = ran(
            *("openssl", "verify", "-x509_strict", "-crl_check_all", "-CAfile", venue.root),
            *("-CRLfile", lists, "-attime", str(int(at.timestamp()) + 1)),
            *("-untrusted", issuer, leaf),
        )
        assert took is expected, told
        assert expected or "certificate revoked" in told
    took, told = by_openssl(venue, new, "-crl_check_all", today())
    assert took, told


def test_the_doors_judge_takes_both_chains_while_a_root_is_rolled(venue: Venue) -> None:
    core = pytest.importorskip("sealcast._core", reason="the native module is not built")
    passphrase, overlap = Secret(PASSPHRASE), datetime.timedelta(seconds=10)
    founded = today()
    # The new root has begun by now: half of the overlap is over.
    rolled = founded + datetime.timedelta(seconds=1)
    old = venue.authority.bundle_pem(founded)
    keys = Keys(passphrase, passphrase)
    roll(venue.authority, Roll(overlap, root=True), keys, rolled, who="ada")
    later = rolled + overlap * 0.75
    both = venue.authority.bundle_pem(later)
    new = venue.authority.issue(Wanted(ENCODER, "encoder"), later, who="ada")

    def refused(chain_pem: bytes, roots_pem: bytes) -> str | None:
        code: str | None
        code, _ = core.judge_chain(chain_pem, roots_pem)
        return code

    assert refused(venue.good.chain_pem, both) is None
    assert refused(new.chain_pem, both) is None
    assert refused(new.chain_pem, old) == "TLS.UNKNOWN_CA"


def test_gnutls_refuses_the_revoked_one_and_takes_the_other(venue: Venue) -> None:
    require("certtool")
    for issued, expected in ((venue.good, True), (venue.bad, False)):
        chain = venue.file("chain.pem", issued.chain_pem)
        took, told = ran(
            *("certtool", "--verify", "--load-ca-certificate", venue.root),
            *("--load-crl", venue.lists, "--infile", chain),
        )
        assert took is expected, told
        assert ("revoked" in told) is not expected


def test_gnutls_verifies_each_list_itself(venue: Venue) -> None:
    require("certtool")
    _, issuer = venue.leaf_and_issuer(venue.good)
    made = venue.file("client.pem", crl.pem(venue.authority.crl("client", today())))
    took, told = ran("certtool", "--verify-crl", "--load-ca-certificate", issuer, "--infile", made)
    assert took, told
    assert f"{int(venue.bad.serial, 16):x}" in told.replace(":", "")


def test_nss_takes_the_list_and_refuses_the_revoked_one(venue: Venue) -> None:
    require("certutil")
    database = venue.folder / "nss"
    database.mkdir()
    home = f"sql:{database}"
    leaf, issuer = venue.leaf_and_issuer(venue.bad)
    good = venue.file("good.pem", venue.good.chain_pem)
    made = venue.file("client.der", venue.authority.crl("client", today()))
    for words in (
        ("certutil", "-N", "--empty-password", "-d", home),
        ("certutil", "-A", "-d", home, "-t", "CT,,", "-n", "root", "-i", venue.root),
        ("certutil", "-A", "-d", home, "-t", ",,", "-n", "issuer", "-i", issuer),
        ("certutil", "-A", "-d", home, "-t", ",,", "-n", "bad", "-i", leaf),
        ("certutil", "-A", "-d", home, "-t", ",,", "-n", "good", "-i", good),
        ("crlutil", "-I", "-d", home, "-i", made, "-t", "1"),
    ):
        done, told = ran(*words)
        assert done, told
    took, told = ran("certutil", "-V", "-d", home, "-n", "good", "-u", "C")
    assert took, told
    took, told = ran("certutil", "-V", "-d", home, "-n", "bad", "-u", "C")
    assert not took
    assert "revoked" in told.lower()
