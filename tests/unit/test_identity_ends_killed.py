"""Killed at every step: of rolling, revoking, restoring (see `test_identity_killed`)."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from tests.unit.founded import DOMAIN, ENCODER, NOW, PASSPHRASE, copied
from tests.unit.killed import every_line
from tests.unit.test_identity_killed import WANTED

from sealcast.identity import keys_at_rest
from sealcast.identity.authority import Authority
from sealcast.identity.backup import pack, restore
from sealcast.identity.founding import Founding, found
from sealcast.identity.revocation import Reason
from sealcast.identity.rolling import Keys, Roll, roll
from sealcast.secret import Secret


@pytest.mark.parametrize("root", [False, True])
def test_rolling_killed_at_any_line_leaves_the_old_authorities_or_old_and_new(
    root: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_at_rest, "SCRYPT_N", 2)
    monkeypatch.setattr(keys_at_rest, "SCRYPT_P", 1)
    folder = tmp_path / "authority"
    found(folder, Founding(DOMAIN), Secret(PASSPHRASE), NOW, who="ada")
    authority = Authority.open(folder, lambda: Secret(PASSPHRASE))
    wanted = Roll(datetime.timedelta(days=7), root=root)
    keys = Keys(Secret(PASSPHRASE), Secret(PASSPHRASE))
    after = NOW + datetime.timedelta(days=7)
    old = new = 0
    for _ in every_line(lambda: roll(authority, wanted, keys, NOW, who="ada"), tmp_path):
        issuers = authority.store.issuers()
        assert len(issuers) in (2, 4), "both sides or none"
        rolled = len(issuers) == 4
        assert len(authority.store.roots()) == (2 if rolled and root else 1)
        reopened = Authority.open(folder, lambda: Secret(PASSPHRASE))
        for moment in (NOW, after):
            assert reopened.issue(WANTED, moment, who="ada").serial, "each key is there"
            assert reopened.crl("root", moment)
        if rolled:
            new += 1
        else:
            old += 1
    assert new >= 1
    assert old > 10


def test_revoking_killed_at_any_line_ends_everything_of_a_name_or_nothing(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    for _ in range(2):
        authority.issue(WANTED, NOW, who="ada")
    authority.make_token(WANTED, NOW, who="ada")
    seen = set()

    def work() -> None:
        authority.revoke(ENCODER, Reason.SUPERSEDED, NOW, who="ada")

    for _ in every_line(work, tmp_path):
        ended = [row.revoked_unix is not None for row in authority.store.issued()]
        ended += [row.revoked_unix is not None for row in authority.store.tokens()]
        noted = [entry for entry in authority.store.journal() if entry.action == "revoke"]
        assert (set(ended), len(noted)) in (({False}, 0), ({True}, 2))
        seen.add(ended[0])
    assert seen == {False, True}


def test_restoring_killed_at_any_line_leaves_an_authority_or_none(tmp_path: Path) -> None:
    authority = copied(tmp_path / "authority")
    authority.make_token(WANTED, NOW, who="ada")
    copy, folder = pack(authority, NOW, who="ada"), tmp_path / "new"
    whole = none = 0
    for _ in every_line(lambda: restore(copy, folder, NOW, who="ada"), tmp_path):
        if folder.exists():
            whole += 1
            held = Authority.open(folder, lambda: Secret(PASSPHRASE)).store
            assert [row.revoked_unix for row in held.tokens()] == [int(NOW.timestamp())]
            assert held.journal()[-1].action == "restore"
        else:
            none += 1
            restore(copy, folder, NOW, who="ada")
    assert whole >= 1
    assert none > 10
