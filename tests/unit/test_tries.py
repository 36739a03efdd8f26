"""Budgets of refusals: by address, filling again, bounded."""

from __future__ import annotations

import pytest

from sealcast.errors import RemoteError
from sealcast.node.tries import Tries, site_of


def tries(most: int = 100) -> Tries:
    return Tries(burst=3, per_minute=6, most=most)


def test_a_budget_ends_and_fills_again() -> None:
    budget = tries()
    for _ in range(3):
        budget.check("a", 0)
        budget.refused("a", 0)
    with pytest.raises(RemoteError, match="in 10 s") as refused:
        budget.check("a", 0)
    assert refused.value.code == "IDENTITY.TOO_MANY_TRIES"
    budget.check("b", 0)
    budget.check("a", 10)
    budget.refused("a", 10)
    with pytest.raises(RemoteError):
        budget.check("a", 19)
    budget.check("a", 21)


def test_a_budget_fills_no_higher_than_it_was() -> None:
    budget = tries()
    budget.refused("a", 0)
    for _ in range(3):
        budget.check("a", 1e6)
        budget.refused("a", 1e6)
    with pytest.raises(RemoteError):
        budget.check("a", 1e6)


def test_the_quietest_stranger_is_forgotten_when_too_many_come() -> None:
    budget = tries(most=2)
    for whom in ("old", "old", "old", "new", "newer"):
        budget.refused(whom, 0)
    budget.check("old", 0)
    assert len(budget._budgets) == 2


@pytest.mark.parametrize(
    ("peer", "site"),
    [
        ("192.0.2.9:5555", "192.0.2.9"),
        ("[2001:db8:1:2:3::4]:5555", "2001:db8:1:2::/64"),
        ("[::ffff:192.0.2.9]:5555", "192.0.2.9"),
        ("[fe80::1%eth0]:80", "fe80::/64"),
        ("nowhere", "nowhere"),
    ],
)
def test_an_address_counts_for_its_site(peer: str, site: str) -> None:
    assert site_of(peer) == site
