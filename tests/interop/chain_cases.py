"""The matrix of certificate chains: what a verifier may be shown, and what is due.

Does: over a hundred chains below one root, each with one thing about it, and the section that
decides. `due` is None where the specifications leave it to the verifier.

Does not: judge. `test_chain_matrix.py` asks the verifiers.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.interop import der
from tests.interop.made_certificates import (
    ANY_USAGE,
    CLIENT_AUTH,
    CODE_SIGNING,
    CRL_SIGN,
    DAY,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    NOBODY,
    NOW,
    SERVER_AUTH,
    Key,
    Made,
    address,
    alternative_names,
    authority_key,
    basic_constraints,
    constraints,
    directory,
    dns,
    email,
    extended_usage,
    extension,
    key_id,
    key_usage,
    named,
    network,
    subject_key,
    unknown,
    uri,
)
from tests.interop.verifiers import Chain

from sealcast.identity.profiles import Side

Due = Literal["take", "refuse"] | None

ROOT_KEY, ISSUING_KEY, LEAF_KEY, FOREIGN_KEY, MIDDLE_KEY = (
    ec.generate_private_key(ec.SECP256R1()) for _ in range(5)
)
RSA_KEY = rsa.generate_private_key(65537, 2048)
SHORT_RSA_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
HOST = "one.venue.example"
ROOT_NAME, ISSUING_NAME, MIDDLE_NAME = map(named, ("Root", "Issuing", "Middle"))
CA_USAGE = key_usage(KEY_CERT_SIGN | CRL_SIGN)

ROOT = Made(
    subject=ROOT_NAME,
    key=ROOT_KEY,
    issuer=ROOT_NAME,
    signer=ROOT_KEY,
    extensions=(basic_constraints(ca=True), CA_USAGE, subject_key(ROOT_KEY)),
)


def authority(
    subject: bytes, key: Key, issuer: bytes, signer: Key, *more: bytes, path_len: int | None = None
) -> Made:
    return Made(
        subject=subject,
        key=key,
        issuer=issuer,
        signer=signer,
        extensions=(
            basic_constraints(ca=True, path_len=path_len),
            CA_USAGE,
            subject_key(key),
            authority_key(key_id(signer)),
            *more,
        ),
    )


ISSUING = authority(ISSUING_NAME, ISSUING_KEY, ROOT_NAME, ROOT_KEY)
MIDDLE = authority(MIDDLE_NAME, MIDDLE_KEY, ROOT_NAME, ROOT_KEY)


def by(made: Made, signer: Key) -> Made:
    """Signed by another key, and saying so."""
    return made.without("2.5.29.35").but(signer=signer).with_(authority_key(key_id(signer)))


BELOW_MIDDLE = by(ISSUING.but(issuer=MIDDLE_NAME), MIDDLE_KEY)
_PLAIN = (
    key_usage(DIGITAL_SIGNATURE),
    subject_key(LEAF_KEY),
    authority_key(key_id(ISSUING_KEY)),
)


def leaf(
    *names: bytes, usage: bytes = extended_usage(SERVER_AUTH), subject: bytes | None = None
) -> Made:
    return Made(
        subject=named("leaf") if subject is None else subject,
        key=LEAF_KEY,
        issuer=ISSUING_NAME,
        signer=ISSUING_KEY,
        extensions=(
            *_PLAIN,
            *([usage] if usage else []),
            *([alternative_names(*names)] if names else []),
        ),
    )


LEAF = leaf(dns(HOST))


@dataclass(frozen=True, slots=True)
class Case:
    """One chain, the side that presents it, and the host that is asked for (None: any)."""

    due: Due
    section: str
    leaf: Made = LEAF
    between: tuple[Made, ...] = (ISSUING,)
    root: Made = ROOT
    side: Side = Side.SERVER
    host: str | None = None

    def chain(self) -> Chain:
        return Chain(
            self.leaf.der(),
            tuple(made.der() for made in self.between),
            self.root.der(),
            self.leaf.key,
        )


CASES: dict[str, Case] = {}


def _add(due: Due, section: str, **cases: Case) -> None:
    for name, case in cases.items():
        CASES[name.replace("_", " ")] = replace(case, due=due, section=section)


def _leaf(made: Made, **more: Any) -> Case:
    return Case(None, "", leaf=made, **more)


def _issuing(made: Made, **more: Any) -> Case:
    return Case(None, "", between=(made,), **more)


def _between(*made: Made) -> Case:
    return Case(None, "", between=made)


def _client(*names: bytes, **more: Any) -> Case:
    """A client's leaf with these names."""
    case = _leaf(leaf(*names, usage=extended_usage(CLIENT_AUTH)), side=Side.CLIENT)
    return replace(case, **more)


_add("take", "RFC 5280 §6.1", a_server=Case(None, ""))
_add("take", "RFC 5280 §6.1", a_client=_client(uri("spiffe://venue.example/encoder/a")))

# ---- times (RFC 5280 §4.1.2.5) ----

# Beyond the day by which NSS lets clocks differ.
PAST, SOON = der.moment(NOW - DAY), der.moment(NOW + 3 * DAY)
LONG_AGO = der.moment(NOW - 400 * DAY)
_add(
    "refuse",
    "RFC 5280 §6.1.3(a)(2)",
    leaf_expired=_leaf(LEAF.but(not_before=LONG_AGO, not_after=PAST)),
    leaf_not_yet_valid=_leaf(LEAF.but(not_before=SOON)),
    issuing_expired=_issuing(ISSUING.but(not_before=LONG_AGO, not_after=PAST)),
    issuing_not_yet_valid=_issuing(ISSUING.but(not_before=SOON)),
    validity_the_wrong_way_round=_leaf(LEAF.but(not_before=SOON, not_after=PAST)),
)
_add(
    None,
    "RFC 5280 §6.1: a trust anchor is a name and a key",
    root_expired=Case(None, "", root=ROOT.but(not_before=LONG_AGO, not_after=PAST)),
)
_add(
    "take",
    "RFC 5280 §4.1.2.5",
    no_well_defined_end=_leaf(
        LEAF.but(not_after=der.tlv(der.GENERALIZED_TIME, b"99991231235959Z"))
    ),
    end_in_2061=_leaf(
        LEAF.but(not_after=der.moment(datetime.datetime(2061, 1, 1, tzinfo=datetime.UTC)))
    ),
)
_add(
    "refuse",
    "RFC 5280 §4.1.2.5.1",
    UTCTime_without_seconds=_leaf(
        LEAF.but(not_after=der.tlv(der.UTC_TIME, (NOW + DAY).strftime("%y%m%d%H%MZ").encode()))
    ),
    UTCTime_with_an_offset=_leaf(
        LEAF.but(
            not_after=der.tlv(der.UTC_TIME, (NOW + DAY).strftime("%y%m%d%H%M%S+0000").encode())
        )
    ),
    GeneralizedTime_with_a_fraction=_leaf(
        LEAF.but(not_after=der.tlv(der.GENERALIZED_TIME, b"20610101000000.5Z"))
    ),
)
_add(
    None,
    "RFC 5280 §4.1.2.5 binds the issuer",
    GeneralizedTime_before_2050=_leaf(
        LEAF.but(
            not_after=der.tlv(der.GENERALIZED_TIME, (NOW + DAY).strftime("%Y%m%d%H%M%SZ").encode())
        )
    ),
)

# ---- building a path (RFC 4158) ----

_add(
    "take",
    "RFC 4158 §2.2",
    expired_intermediate_beside_a_valid_one=_between(
        ISSUING.but(not_before=LONG_AGO, not_after=PAST), ISSUING
    ),
    cross_signed_by_a_stranger_first=_between(
        by(ISSUING.but(issuer=named("Foreign")), FOREIGN_KEY), ISSUING
    ),
    another_key_of_the_same_name_first=_between(
        authority(ISSUING_NAME, FOREIGN_KEY, ROOT_NAME, ROOT_KEY), ISSUING
    ),
    bundle_out_of_order=_between(MIDDLE, BELOW_MIDDLE),
    strangers_in_the_bundle=_between(
        authority(named("Stranger"), FOREIGN_KEY, named("Nobody"), FOREIGN_KEY), ISSUING
    ),
    root_in_the_bundle=_between(ISSUING, ROOT),
    intermediate_twice=_between(ISSUING, ISSUING),
)
_add(
    "refuse",
    "RFC 5280 §6.1",
    intermediate_missing=_between(),
    two_authorities_that_sign_each_other=_between(
        by(ISSUING.but(issuer=MIDDLE_NAME), MIDDLE_KEY),
        by(MIDDLE.but(issuer=ISSUING_NAME), ISSUING_KEY),
    ),
    self_signed_leaf=_leaf(by(LEAF.but(issuer=named("leaf")), LEAF_KEY), between=()),
    signed_by_a_stranger_of_the_same_name=_leaf(LEAF.but(signer=FOREIGN_KEY)),
    issuer_of_another_name=_leaf(LEAF.but(issuer=named("Other"))),
    root_of_the_same_name_and_another_key=Case(
        None, "", root=ROOT.but(key=FOREIGN_KEY, signer=FOREIGN_KEY).without("2.5.29.14")
    ),
    one_bit_of_the_signature_turned=_leaf(
        LEAF.but(spoil=lambda made: made[:-1] + bytes((made[-1] ^ 1,)))
    ),
    empty_issuer=_leaf(LEAF.but(issuer=NOBODY), between=(ISSUING.but(subject=NOBODY),)),
)
_add(
    None,
    "RFC 5280 §4.2.1.1: for building a path only",
    authority_key_identifier_of_another_key=_leaf(
        LEAF.without("2.5.29.35").with_(authority_key(key_id(FOREIGN_KEY)))
    ),
    authority_key_identifier_by_a_wrong_serial=_leaf(
        LEAF.without("2.5.29.35").with_(
            extension(
                "2.5.29.35",
                der.sequence(der.explicit(1, directory(ROOT_NAME)), der.implicit(2, b"\x42")),
            )
        )
    ),
    the_trusted_root_as_the_leaf=Case(
        None,
        "",
        leaf=ROOT.with_(alternative_names(dns(HOST))),
        between=(),
        root=ROOT.with_(alternative_names(dns(HOST))),
    ),
)
_add(
    "take",
    "RFC 5280 §7.1",
    issuer_in_other_letters=_leaf(LEAF.but(issuer=named("iSSUING"))),
    issuer_in_another_encoding=_leaf(LEAF.but(issuer=named("Issuing", der.PRINTABLE))),
    issuer_with_spaces_around=_leaf(LEAF.but(issuer=named("  Issuing "))),
)


def long_chain(length: int) -> tuple[Made, ...]:
    """`length` authorities, the one that signs the leaf first."""
    names = [ROOT_NAME, *(named(f"Authority {at}") for at in range(1, length)), ISSUING_NAME]
    keys = [ROOT_KEY, *(MIDDLE_KEY for _ in range(1, length)), ISSUING_KEY]
    pairs = range(1, length + 1)
    made = [authority(names[at], keys[at], names[at - 1], keys[at - 1]) for at in pairs]
    return tuple(reversed(made))


_add("take", "RFC 5280 §6.1", chain_of_eight_authorities=_between(*long_chain(8)))
_add(
    None,
    "RFC 4158 §7: a bound of the verifier's own",
    chain_of_thirty_authorities=_between(*long_chain(30)),
    chain_of_a_hundred_and_twenty_authorities=_between(*long_chain(120)),
)

# ---- what an authority is (RFC 5280 §4.2.1.9, §4.2.1.3, §6.1.4) ----

NO_CA = ISSUING.without("2.5.29.19")
_add(
    "refuse",
    "RFC 5280 §6.1.4(k)",
    issuing_without_basic_constraints=_issuing(NO_CA),
    issuing_that_is_no_authority=_issuing(NO_CA.with_(basic_constraints(ca=False))),
    issuing_of_version_1=_issuing(ISSUING.but(version=1, extensions=())),
    leaf_as_an_issuer=_leaf(
        by(LEAF.but(issuer=named("leaf"), subject=named("below")), LEAF_KEY),
        between=(LEAF, ISSUING),
    ),
)
_add(
    "refuse",
    "RFC 5280 §6.1.4(n)",
    issuing_that_may_not_sign_certificates=_issuing(
        ISSUING.without("2.5.29.15").with_(key_usage(DIGITAL_SIGNATURE | CRL_SIGN))
    ),
)
_add(
    "take",
    "RFC 5280 §6.1.4(n): only if the extension is there",
    issuing_without_a_key_usage=_issuing(ISSUING.without("2.5.29.15")),
)
_add(
    "take",
    "RFC 5280 §4.2.1.9: critical binds the issuer",
    basic_constraints_not_critical=_issuing(
        NO_CA.with_(basic_constraints(ca=True, critical=False))
    ),
)
_add(
    "refuse",
    "RFC 5280 §6.1.4(m)",
    path_length_passed=_between(
        BELOW_MIDDLE, authority(MIDDLE_NAME, MIDDLE_KEY, ROOT_NAME, ROOT_KEY, path_len=0)
    ),
)
_add(
    "take",
    "RFC 5280 §6.1.4(l): self-issued ones do not count",
    path_length_with_a_self_issued_authority=_between(
        authority(MIDDLE_NAME, ISSUING_KEY, MIDDLE_NAME, MIDDLE_KEY),
        authority(MIDDLE_NAME, MIDDLE_KEY, ROOT_NAME, ROOT_KEY, path_len=0),
    ),
)
CASES["path length with a self issued authority"] = replace(
    CASES["path length with a self issued authority"], leaf=LEAF.but(issuer=MIDDLE_NAME)
)
_add(
    "refuse",
    "RFC 5280 §4.2.1.9",
    path_length_below_zero=_issuing(NO_CA.with_(basic_constraints(ca=True, path_len=-1))),
    path_length_of_what_is_no_authority=_leaf(LEAF.with_(basic_constraints(ca=False, path_len=0))),
)
_add(
    None,
    "RFC 5280 §6.1: a trust anchor is a name and a key",
    root_of_version_1=Case(None, "", root=ROOT.but(version=1, extensions=())),
    root_with_a_path_length_that_is_passed=Case(
        None,
        "",
        root=ROOT.without("2.5.29.19").with_(basic_constraints(ca=True, path_len=0)),
        between=(BELOW_MIDDLE, MIDDLE),
    ),
)
_add(
    None,
    "RFC 5280 §4.2.1.9 does not say",
    leaf_that_may_issue=_leaf(LEAF.with_(basic_constraints(ca=True))),
)

# ---- usages (RFC 5280 §4.2.1.3, §4.2.1.12) ----

_add(
    "refuse",
    "RFC 5280 §4.2.1.12",
    clients_leaf_as_a_server=_leaf(leaf(dns(HOST), usage=extended_usage(CLIENT_AUTH))),
    servers_leaf_as_a_client=_leaf(LEAF, side=Side.CLIENT),
    leaf_for_signing_code_critical=_leaf(
        leaf(dns(HOST), usage=extended_usage(CODE_SIGNING, critical=True))
    ),
    leaf_of_an_unknown_usage=_leaf(leaf(dns(HOST), usage=extended_usage("2.999.2"))),
    leaf_with_no_usage_in_the_list=_leaf(leaf(dns(HOST), usage=extended_usage())),
)
_add(
    "take",
    "RFC 5280 §4.2.1.12: only if the extension is there",
    leaf_without_extended_usages=_leaf(leaf(dns(HOST), usage=b"")),
)
_add(
    None,
    "RFC 5280 §4.2.1.12: applications may ask for more",
    leaf_of_any_usage=_leaf(leaf(dns(HOST), usage=extended_usage(ANY_USAGE))),
)
_add(
    "refuse",
    "CA/Browser Forum BR §7.1.2.10.6",
    server_below_an_authority_for_clients=_issuing(ISSUING.with_(extended_usage(CLIENT_AUTH))),
    client_below_an_authority_for_servers=_client(
        uri("spiffe://venue.example/encoder/a"),
        between=(ISSUING.with_(extended_usage(SERVER_AUTH)),),
    ),
)
_add(
    "refuse",
    "RFC 8446 §4.4.2.2",
    leaf_that_may_only_sign_certificates=_leaf(
        LEAF.without("2.5.29.15").with_(key_usage(KEY_CERT_SIGN))
    ),
)

# ---- name constraints (RFC 5280 §4.2.1.10) ----


def bound(
    *names: bytes,
    permitted: tuple[bytes, ...] = (),
    excluded: tuple[bytes, ...] = (),
    critical: bool = True,
) -> Case:
    """A server below an authority with these constraints."""
    bounds = constraints(permitted, excluded, critical=critical)
    return _leaf(leaf(*names), between=(ISSUING.with_(bounds),))


VENUE = dns("venue.example")
ID = "spiffe://venue.example/node/one"
_add(
    "take",
    "RFC 5280 §4.2.1.10",
    DNS_name_below_a_permitted_one=bound(dns(HOST), permitted=(VENUE,)),
    permitted_DNS_name_in_other_letters=bound(dns(HOST), permitted=(dns("VENUE.Example"),)),
    DNS_name_beside_an_excluded_one=bound(dns(HOST), excluded=(dns("other.example"),)),
    DNS_name_where_only_addresses_are_bound=bound(dns(HOST), permitted=(network("10.0.0.0/8"),)),
    address_in_a_permitted_network=bound(address("10.1.2.3"), permitted=(network("10.0.0.0/8"),)),
    IPv6_address_in_a_permitted_network=bound(
        address("2001:db8::1"), permitted=(network("2001:db8::/32"),)
    ),
    URI_at_a_permitted_host=bound(dns(HOST), uri(ID), permitted=(uri("venue.example"),)),
    subject_below_a_permitted_directory_name=_leaf(
        LEAF, between=(ISSUING.with_(constraints((directory(named("leaf")),))),)
    ),
)
_add(
    "refuse",
    "RFC 5280 §6.1.3(b), (c)",
    DNS_name_outside_the_permitted=bound(dns(HOST), permitted=(dns("other.example"),)),
    DNS_name_that_ends_alike=bound(dns("one.xvenue.example"), permitted=(VENUE,)),
    one_DNS_name_of_two_outside=bound(dns(HOST), dns("b.example"), permitted=(VENUE,)),
    DNS_name_below_an_excluded_one=bound(dns(HOST), excluded=(VENUE,)),
    excluded_within_the_permitted=bound(dns(HOST), permitted=(VENUE,), excluded=(dns(HOST),)),
    every_DNS_name_excluded=bound(dns(HOST), excluded=(dns(""),)),
    wildcard_that_reaches_an_excluded_name=bound(dns("*.venue.example"), excluded=(VENUE,)),
    constraint_that_is_not_critical_and_broken=bound(
        dns(HOST), permitted=(dns("other.example"),), critical=False
    ),
    address_outside_the_permitted=bound(address("192.0.2.1"), permitted=(network("10.0.0.0/8"),)),
    address_in_an_excluded_network=bound(address("10.1.2.3"), excluded=(network("10.0.0.0/8"),)),
    URI_at_another_host=bound(dns(HOST), uri(ID), permitted=(uri("other.example"),)),
    URI_at_a_host_below_the_permitted=bound(
        dns(HOST), uri("spiffe://sub.venue.example/a"), permitted=(uri("venue.example"),)
    ),
    URI_at_an_excluded_host=bound(dns(HOST), uri(ID), excluded=(uri("venue.example"),)),
    URI_without_a_host_where_URIs_are_bound=bound(
        dns(HOST), uri("urn:example:a"), permitted=(uri("venue.example"),)
    ),
    subject_outside_the_permitted_directory_names=_leaf(
        LEAF, between=(ISSUING.with_(constraints((directory(named("other")),))),)
    ),
    mail_address_of_an_excluded_host=bound(
        dns(HOST), email("a@venue.example"), excluded=(email("venue.example"),)
    ),
    constraint_two_authorities_up=Case(
        None,
        "",
        between=(BELOW_MIDDLE, MIDDLE.with_(constraints((dns("other.example"),)))),
    ),
)
_add(
    "refuse",
    "RFC 5280 §4.2.1.10: process it or refuse",
    names_of_an_unknown_form_bound=bound(
        dns(HOST), der.implicit(8, b"\x2a\x03"), permitted=(der.implicit(8, b"\x2a\x03"),)
    ),
)
_add(
    None,
    "RFC 5280 §4.2.1.10 does not define it",
    DNS_constraint_with_a_dot_in_front=bound(dns(HOST), permitted=(dns(".venue.example"),)),
    constraints_that_say_nothing=_issuing(ISSUING.with_(constraints())),
    constraint_with_a_minimum=_issuing(
        ISSUING.with_(constraints((VENUE + der.implicit(0, b"\x01"),)))
    ),
    constraints_in_a_leaf=_leaf(LEAF.with_(constraints((VENUE,)))),
    common_name_outside_the_permitted_DNS_names=_leaf(
        leaf(dns(HOST), subject=named("one.other.example")),
        between=(ISSUING.with_(constraints((VENUE,))),),
    ),
)
_add(
    None,
    "RFC 5937: constraints of a trust anchor are optional",
    constraint_of_the_root_broken=Case(
        None, "", root=ROOT.with_(constraints((dns("other.example"),)))
    ),
)

# ---- extensions (RFC 5280 §4.2) ----

_add(
    "refuse",
    "RFC 5280 §4.2: unknown and critical",
    leaf_with_an_unknown_critical_extension=_leaf(LEAF.with_(unknown(critical=True))),
    issuing_with_an_unknown_critical_extension=_issuing(ISSUING.with_(unknown(critical=True))),
    poisoned_precertificate=_leaf(
        LEAF.with_(extension("1.3.6.1.4.1.11129.2.4.3", der.NULL, critical=True))
    ),
)
_add(
    "take",
    "RFC 5280 §4.2",
    leaf_with_an_unknown_extension=_leaf(LEAF.with_(unknown(critical=False))),
)
_add(
    "refuse",
    "RFC 5280 §4.2: one of each",
    two_lists_of_names=_leaf(LEAF.with_(alternative_names(dns("two.venue.example")))),
    unknown_extension_twice=_leaf(LEAF.with_(unknown(critical=False), unknown(critical=False))),
    basic_constraints_twice_in_issuing=_issuing(ISSUING.with_(basic_constraints(ca=True))),
)
_add(
    "refuse",
    "RFC 5280 §4.1.2.1",
    version_1_with_extensions=_leaf(LEAF.but(version=1)),
    version_4=_leaf(LEAF.but(version=4)),
)
_add(
    None,
    "RFC 5280 §4.1.2.1: what has no extensions has no usage",
    leaf_of_version_1=_leaf(LEAF.but(version=1, extensions=())),
)

# ---- keys and signatures ----

ISSUING_BY_RSA = authority(ISSUING_NAME, RSA_KEY, ROOT_NAME, ROOT_KEY)
LEAF_BY_RSA = by(LEAF, RSA_KEY)
P384_KEY = ec.generate_private_key(ec.SECP384R1())
_add(
    "take",
    "RFC 5280 §6.1.3(a)(1)",
    issuing_with_RSA_2048=_leaf(LEAF_BY_RSA, between=(ISSUING_BY_RSA,)),
    leaf_signed_by_RSA_PSS=_leaf(LEAF_BY_RSA.but(pss=True), between=(ISSUING_BY_RSA,)),
    leaf_with_P_384_and_SHA_384=_leaf(
        LEAF.but(key=P384_KEY, hashed=hashes.SHA384).without("2.5.29.14")
    ),
    root_signed_with_SHA_1=Case(None, "", root=ROOT.but(hashed=hashes.SHA1)),
)
_add(
    "refuse",
    "RFC 8446 §4.2.3, RFC 9155 §2",
    leaf_signed_with_SHA_1=_leaf(LEAF.but(hashed=hashes.SHA1)),
    issuing_signed_with_SHA_1=_issuing(ISSUING.but(hashed=hashes.SHA1)),
    leaf_signed_with_RSA_and_SHA_1=_leaf(
        LEAF_BY_RSA.but(hashed=hashes.SHA1), between=(ISSUING_BY_RSA,)
    ),
    leaf_signed_with_RSA_and_MD5=_leaf(
        LEAF_BY_RSA.but(hashed=hashes.MD5), between=(ISSUING_BY_RSA,)
    ),
)
_add(
    "refuse",
    "NIST SP 800-131A §3",
    leaf_with_RSA_1024=_leaf(LEAF.but(key=SHORT_RSA_KEY).without("2.5.29.14")),
    issuing_with_RSA_1024=_leaf(
        by(LEAF, SHORT_RSA_KEY),
        between=(authority(ISSUING_NAME, SHORT_RSA_KEY, ROOT_NAME, ROOT_KEY),),
    ),
)
_add(
    None,
    "a choice of the verifier's",
    leaf_with_Ed25519=_leaf(
        LEAF.but(key=ed25519.Ed25519PrivateKey.generate()).without("2.5.29.14")
    ),
    leaf_with_secp256k1=_leaf(
        LEAF.but(key=ec.generate_private_key(ec.SECP256K1())).without("2.5.29.14")
    ),
)
_add(
    "refuse",
    "RFC 5280 §4.1.1.2",
    two_names_for_the_signature_algorithm=_leaf(
        LEAF.but(said_algorithm=der.sequence(der.oid("1.2.840.10045.4.3.3")))
    ),
)

# ---- serial numbers (RFC 5280 §4.1.2.2) ----

_add(
    None,
    "RFC 5280 §4.1.2.2: handle them gracefully",
    serial_zero=_leaf(LEAF.but(serial=der.integer(0))),
    serial_below_zero=_leaf(LEAF.but(serial=der.integer(-5))),
    serial_of_thirty_octets=_leaf(LEAF.but(serial=der.integer(1 << 232))),
)
_add(
    "refuse",
    "X.690 §8.3.2",
    serial_with_a_needless_zero=_leaf(LEAF.but(serial=der.tlv(der.INTEGER, b"\0\0\x05"))),
    serial_without_octets=_leaf(LEAF.but(serial=der.tlv(der.INTEGER))),
)

# ---- sizes ----

_add(
    "take",
    "RFC 5280 §4.2.1.6",
    a_hundred_names=_leaf(leaf(dns(HOST), *(dns(f"{at}.venue.example") for at in range(99)))),
)
_add(
    None,
    "a bound of the verifier's own",
    two_thousand_names=_leaf(leaf(dns(HOST), *(dns(f"{at}.venue.example") for at in range(1999)))),
    extension_of_200_kB=_leaf(LEAF.with_(unknown(critical=False, length=200_000))),
)

# ---- the encoding itself (X.690) ----

_INDEFINITE: Callable[[bytes], bytes] = lambda made: b"\x30\x80" + made[4:] + b"\0\0"  # noqa: E731
_add(
    "refuse",
    "X.690 §10, §11.1",
    indefinite_length=_leaf(LEAF.but(spoil=_INDEFINITE)),
    octets_after_the_end=_leaf(LEAF.but(spoil=lambda made: made + b"\0")),
    truth_that_is_1=_leaf(
        LEAF.with_(
            der.sequence(der.oid("2.999.1"), der.tlv(der.BOOLEAN, b"\x01"), der.octets(b"\0"))
        )
    ),
    default_written_out=_leaf(
        LEAF.with_(der.sequence(der.oid("2.999.1"), der.boolean(False), der.octets(b"\0")))
    ),
)

# ---- which host (RFC 9525) ----


def host(expected: str, *names: bytes, subject: str = "leaf") -> Case:
    return _leaf(leaf(*names, subject=named(subject)), host=expected)


_add(
    "take",
    "RFC 9525 §6.3",
    host_as_named=host(HOST, dns(HOST)),
    host_in_other_letters=host(HOST, dns("ONE.Venue.example")),
    host_by_the_second_name=host(HOST, dns("two.venue.example"), dns(HOST)),
    wildcard_for_one_label=host(HOST, dns("*.venue.example")),
    wildcard_for_an_A_label=host("xn--bhne-6qa.venue.example", dns("*.venue.example")),
    host_as_an_A_label=host("xn--bhne-6qa.venue.example", dns("xn--bhne-6qa.venue.example")),
    empty_subject_and_a_critical_name=_leaf(
        Made(
            NOBODY,
            LEAF_KEY,
            ISSUING_NAME,
            ISSUING_KEY,
            (*_PLAIN, extended_usage(SERVER_AUTH), alternative_names(dns(HOST), critical=True)),
        ),
        host=HOST,
    ),
)
_add(
    "refuse",
    "RFC 9525 §6.3",
    host_of_another_name=host(HOST, dns("two.venue.example")),
    host_in_the_common_name_alone=host(HOST, subject=HOST),
    host_in_the_common_name_beside_other_names=host(HOST, dns("two.venue.example"), subject=HOST),
    wildcard_for_two_labels=host("a.one.venue.example", dns("*.venue.example")),
    wildcard_for_no_label=host("venue.example", dns("*.venue.example")),
    wildcard_within_a_label=host(HOST, dns("o*.venue.example")),
    wildcard_in_the_middle=host(HOST, dns("one.*.example")),
    wildcard_alone=host("localhost", dns("*")),
    wildcard_within_an_A_label=host("xn--bhne-6qa.venue.example", dns("xn--*.venue.example")),
    host_in_letters_beyond_ASCII=host("xn--bhne-6qa.venue.example", dns("bühne.venue.example")),
    host_with_a_zero_octet=host(HOST, dns(f"{HOST}\0.other.example")),
    host_in_the_common_name_with_a_zero_octet=host(HOST, subject=f"{HOST}\0.other.example"),
    host_within_a_URI=host(HOST, uri(f"https://{HOST}/")),
    host_within_a_mail_address=host(HOST, email(f"a@{HOST}")),
    empty_name=host(HOST, dns("")),
    host_with_a_space_after=host(HOST, dns(f"{HOST} ")),
)
_add(
    None,
    "RFC 9525 does not say",
    wildcard_below_a_top_level_domain=host("venue.example", dns("*.example")),
    name_with_a_dot_at_the_end=host(HOST, dns(f"{HOST}.")),
    expected_host_with_a_dot_at_the_end=host(f"{HOST}.", dns(HOST)),
    host_with_an_underscore=host("one_two.venue.example", dns("one_two.venue.example")),
    host_of_a_label_of_70_letters=host(f"{'a' * 70}.example", dns(f"{'a' * 70}.example")),
)
