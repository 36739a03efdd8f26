"""The pipeline of issuing, step by step, and the profiles that it obeys."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.unit.founded import DOMAIN, NOW

from sealcast.errors import Bug, LocalError
from sealcast.identity.authorities import (
    constraints_for_clients,
    constraints_for_servers,
    make_issuing,
    make_root,
)
from sealcast.identity.certificates import Signer
from sealcast.identity.issuing import (
    Order,
    check_certificate,
    check_request,
    fill_in,
    sign_leaf,
)
from sealcast.identity.keys import generate
from sealcast.identity.profiles import Side, backdated, profile, profiles

KEY = generate("p256").public_key()
ROOT_KEY = generate("p256")
ROOT = Signer(make_root(DOMAIN, ROOT_KEY, NOW), ROOT_KEY)
HOURS = {"service": 24, "encoder": 90 * 24, "viewer": 8, "admin": 12, "node": 24}


NETWORKS = ("192.0.2.0/24",)


def signer(side: Side, *, addresses: bool = False) -> Signer:
    key = generate("p256")
    bounds = (
        constraints_for_clients(DOMAIN)
        if side is Side.CLIENT
        else constraints_for_servers((DOMAIN,), addresses=addresses)
    )
    return Signer(make_issuing(ROOT, side, DOMAIN, key, bounds, NOW), key)


CLIENTS = signer(Side.CLIENT)
SERVERS = signer(Side.SERVER, addresses=True)


def issued(order: Order, networks: tuple[str, ...] = NETWORKS) -> x509.Certificate:
    checked = check_request(order, DOMAIN)
    by = CLIENTS if checked.side is Side.CLIENT else SERVERS
    template = fill_in(checked, by.certificate, 2**100, NOW)
    return sign_leaf(check_certificate(template, checked, by.certificate, NOW, networks), by)


def refusal(order: Order) -> str:
    with pytest.raises(LocalError) as refused:
        issued(order)
    assert refused.value.code == "IDENTITY.NOT_OF_PROFILE"
    return refused.value.detail


def order(name: str, **more: object) -> Order:
    first = name.partition("/")[0]
    return dataclasses.replace(Order(name, profile(first), KEY), **more)  # type: ignore[arg-type]


def test_the_profiles_are_those_of_the_house_with_their_lifetimes() -> None:
    assert {name: one.lifetime_hours for name, one in profiles().items()} == HOURS


@pytest.mark.parametrize("name", HOURS)
@pytest.mark.parametrize("side", Side)
def test_a_certificate_is_what_its_profile_gives_and_no_more(name: str, side: Side) -> None:
    chosen = profile(name)
    if side not in chosen.sides:
        assert f"not for {side}s" in refusal(order(f"{name}/one", side=side))
        return
    hosts = ("one.venue.example", "192.0.2.7") if side is Side.SERVER else ()
    leaf = issued(order(f"{name}/one", side=side, hosts=hosts))
    held = {extension.oid._name: extension for extension in leaf.extensions}
    assert set(held) == {
        "basicConstraints",
        "keyUsage",
        "extendedKeyUsage",
        "subjectAltName",
        "authorityKeyIdentifier",
        "subjectKeyIdentifier",
    }
    constraints = held["basicConstraints"]
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=False, path_length=None)
    usage = held["keyUsage"]
    assert usage.critical
    assert isinstance(usage.value, x509.KeyUsage)
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    assert not usage.value.key_encipherment
    wanted = (
        ExtendedKeyUsageOID.CLIENT_AUTH if side is Side.CLIENT else ExtendedKeyUsageOID.SERVER_AUTH
    )
    usages = held["extendedKeyUsage"].value
    assert isinstance(usages, x509.ExtendedKeyUsage)
    assert list(usages) == [wanted]
    names = held["subjectAltName"].value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert [str(one.value) for one in names] == [f"spiffe://{DOMAIN}/{name}/one", *hosts]
    assert leaf.not_valid_before_utc == NOW - backdated()
    assert leaf.not_valid_after_utc == NOW + datetime.timedelta(hours=HOURS[name])


def test_authority_and_subject_key_identifiers_join_the_chain() -> None:
    leaf = issued(order("encoder/one"))
    of_leaf = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    of_issuer = CLIENTS.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert of_leaf.key_identifier == of_issuer.value.digest
    leaf.verify_directly_issued_by(CLIENTS.certificate)
    CLIENTS.certificate.verify_directly_issued_by(ROOT.certificate)


def test_an_issuing_authority_makes_leaves_of_one_side_only() -> None:
    for by, usage in (
        (CLIENTS, ExtendedKeyUsageOID.CLIENT_AUTH),
        (SERVERS, ExtendedKeyUsageOID.SERVER_AUTH),
    ):
        extensions = by.certificate.extensions
        held = extensions.get_extension_for_class(x509.BasicConstraints)
        assert held.critical
        assert held.value == x509.BasicConstraints(ca=True, path_length=0)
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
        assert extensions.get_extension_for_class(x509.NameConstraints).critical
        usages = extensions.get_extension_for_class(x509.KeyUsage).value
        assert usages.key_cert_sign
        assert not usages.digital_signature


def test_the_name_says_the_profile() -> None:
    told = refusal(Order("viewer/vera", profile("encoder"), KEY))
    assert "encoder/" in told
    refusal(Order("encoder", profile("encoder"), KEY))
    refusal(Order("encoders/one", profile("encoder"), KEY))


@pytest.mark.parametrize(
    "name", ["", "encoder//a", "encoder/../a", "Encoder/a", "encoder/é", "encoder/a\n"]
)
def test_a_name_that_nobody_can_have_is_refused(name: str) -> None:
    with pytest.raises(LocalError) as refused:
        issued(Order(name, profile("encoder"), KEY))
    assert refused.value.code == "IDENTITY.BAD_NAME"


def test_a_host_is_for_servers_and_a_server_has_one() -> None:
    assert "no host names" in refusal(order("encoder/one", hosts=("one.venue.example",)))
    assert "no host names" in refusal(
        order("node/one", side=Side.CLIENT, hosts=("one.venue.example",))
    )
    assert "needs 1 to" in refusal(order("node/one"))
    many = tuple(f"h{number}.venue.example" for number in range(33))
    assert "needs 1 to" in refusal(order("node/one", hosts=many))
    assert "wildcard" in refusal(order("node/one", hosts=("*.venue.example",)))


@pytest.mark.parametrize(
    "host", ["venue.example.org", "xvenue.example", "example", "198.51.100.1", "2001:db8::1"]
)
def test_a_host_outside_the_authority_is_refused_before_it_is_signed(host: str) -> None:
    assert "outside" in refusal(order("node/one", hosts=(host,)))


def test_an_authority_without_networks_has_no_addresses() -> None:
    for host in ("192.0.2.1", "::1"):
        with pytest.raises(LocalError) as refused:
            issued(order("node/one", hosts=(host,)), networks=())
        assert refused.value.code == "IDENTITY.NOT_OF_PROFILE"


def test_a_shorter_life_is_given_and_a_longer_one_refused() -> None:
    minute = datetime.timedelta(minutes=1)
    assert issued(order("encoder/one", lifetime=minute)).not_valid_after_utc == NOW + minute
    assert "90 days" in refusal(order("encoder/one", lifetime=datetime.timedelta(days=91)))
    refusal(order("encoder/one", lifetime=-minute))


def test_a_browsers_certificate_has_no_key_that_browsers_refuse() -> None:
    key = generate("ed25519").public_key()
    for name in ("admin/ada", "viewer/vera"):
        assert "ed25519" in refusal(dataclasses.replace(order(name), public_key=key))
    assert issued(dataclasses.replace(order("encoder/one"), public_key=key))


def test_a_leaf_ends_with_its_issuer_at_the_latest() -> None:
    checked = check_request(order("encoder/one"), DOMAIN)
    late = CLIENTS.certificate.not_valid_after_utc - datetime.timedelta(days=3)
    template = fill_in(checked, CLIENTS.certificate, 2**100, late)
    assert template.not_after == CLIENTS.certificate.not_valid_after_utc
    check_certificate(template, checked, CLIENTS.certificate, late)


def test_an_expired_authority_signs_nothing() -> None:
    checked = check_request(order("encoder/one"), DOMAIN)
    late = CLIENTS.certificate.not_valid_after_utc
    for now in (late, NOW - datetime.timedelta(days=1)):
        template = fill_in(checked, CLIENTS.certificate, 2**100, now)
        with pytest.raises(LocalError) as refused:
            check_certificate(template, checked, CLIENTS.certificate, now)
        assert refused.value.code == "IDENTITY.AUTHORITY_EXPIRED"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("serial", 1),
        ("serial", 2**160),
        ("usage", ExtendedKeyUsageOID.SERVER_AUTH),
        ("usage", None),
        ("path_length", 0),
        ("constraints", constraints_for_clients(DOMAIN)),
        ("names", ()),
        ("names", (x509.UniformResourceIdentifier("spiffe://other.example/encoder/one"),)),
        ("names", (x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/encoder/one"),) * 2),
        ("not_before", NOW - datetime.timedelta(days=1)),
        ("not_after", NOW + datetime.timedelta(days=91)),
        ("not_after", NOW),
        ("public_key", generate("p256").public_key()),
    ],
)
def test_what_the_profile_does_not_give_is_never_signed(field: str, value: object) -> None:
    checked = check_request(order("encoder/one"), DOMAIN)
    template = fill_in(checked, CLIENTS.certificate, 2**100, NOW)
    check_certificate(template, checked, CLIENTS.certificate, NOW)
    wrong = dataclasses.replace(template, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(Bug) as stopped:
        check_certificate(wrong, checked, CLIENTS.certificate, NOW)
    assert stopped.value.code == "IDENTITY.OUTSIDE_PROFILE"


def test_the_authority_of_servers_signs_no_client() -> None:
    checked = check_request(order("encoder/one"), DOMAIN)
    template = fill_in(checked, SERVERS.certificate, 2**100, NOW)
    with pytest.raises(Bug):
        check_certificate(template, checked, SERVERS.certificate, NOW)
