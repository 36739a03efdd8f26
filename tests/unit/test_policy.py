"""Presets, grants, refusals, and what is noted about a sealed leg."""

import pytest

from sealcast.codes import CODES
from sealcast.errors import Bug, LocalError
from sealcast.keying import DtlsClaim, Identity, Proof, TlsClaim
from sealcast.keying.agreement import UNPROVED
from sealcast.policy import PRESETS, Channel, Grant, Refusal, Role, admit, judge, load
from sealcast.wire import FingerprintSpec, MediaSeal, TlsFacts

TOKEN = Identity("somebody", Proof.TOKEN)
CERTIFICATE = Identity("spiffe://example/encoder/a", Proof.CERTIFICATE)
DIGEST = ":".join(["AB"] * 32)
CLAIM = DtlsClaim("passive", (FingerprintSpec(algorithm="sha-256", value=DIGEST),))


def grant(policy: str = "standard", claim: DtlsClaim = CLAIM) -> Grant:
    return admit(claim, Channel("1.3", CERTIFICATE), Role.INGEST, load(policy))


def seal(
    version: str = "1.3",
    group: str = "X25519MLKEM768",
    profile: str = "AEAD_AES_128_GCM",
    fingerprint: str = f"sha-256 {DIGEST}",
) -> MediaSeal:
    return MediaSeal(
        version=version,
        cipher="TLS_AES_128_GCM_SHA256",
        group=group,
        srtp_profile=profile,
        peer_fingerprint=fingerprint,
    )


def test_what_a_preset_admits_beyond_another_is_said_by_name() -> None:
    strict, standard, compatible = (load(name) for name in ("strict", "standard", "compatible"))
    assert standard.admits_beyond(strict) == (
        "TLS 1.2",
        "DTLS 1.2",
        "P-256",
        "P-384",
        "AES128_CM_SHA1_80",
        "ingest by token",
        "administration by token",
        "administration by password",
        "public streams",
        "60 s beyond a certificate's end",
    )
    assert strict.admits_beyond(standard) == ()
    assert compatible.admits_beyond(standard) == (), "its summary says so"


def test_a_certificate_is_good_for_the_roles_of_its_profile_whatever_the_rules_say() -> None:
    policy, viewer = load("standard"), frozenset({Role.DELIVERY})
    bound = Channel("1.3", CERTIFICATE, roles=viewer)
    assert admit(CLAIM, bound, Role.DELIVERY, policy).peer == CERTIFICATE
    with pytest.raises(Refusal) as refused:
        admit(CLAIM, bound, Role.INGEST, policy)
    assert refused.value.code == "POLICY.OUTSIDE_PROFILE"
    nothing = Channel("1.3", CERTIFICATE, roles=frozenset())
    with pytest.raises(Refusal):
        admit(CLAIM, nothing, Role.DELIVERY, policy)
    public = Channel("1.3", CERTIFICATE, public=True, roles=frozenset())
    assert admit(CLAIM, public, Role.DELIVERY, policy), "a public stream is for everybody"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_dated_and_never_admits_what_is_broken(name: str) -> None:
    policy = load(name)
    assert policy.name == name
    assert policy.dated.year >= 2026
    assert policy.dtls.groups[0] == policy.tls.groups[0] == "X25519MLKEM768"
    assert policy.srtp.profiles[0] == "AEAD_AES_128_GCM"
    assert not {"sha-1", "md5"} & set(policy.dtls.fingerprint_hashes)
    assert Proof.UNPROVED not in {*policy.identities.ingest, *policy.identities.delivery}
    assert set(policy.downgrades.values()) <= set(CODES)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_only_srtp_profiles_that_the_core_has(name: str) -> None:
    core = pytest.importorskip("sealcast._core", reason="the native module is not built")
    assert set(load(name).srtp.profiles) <= {profile for profile, _ in core.srtp_profiles()}


def test_strict_is_1_3_and_aead_only() -> None:
    strict = load("strict")
    assert strict.tls.min_version == strict.dtls.min_version == "1.3"
    assert all(profile.startswith("AEAD_") for profile in strict.srtp.profiles)
    assert strict.downgrades == {}


@pytest.mark.parametrize("name", ["", "STRICT", "../strict", "custom"])
def test_a_policy_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(LocalError) as refused:
        load(name)
    assert refused.value.code == "CONFIG.UNKNOWN_POLICY"


def test_a_grant_names_every_admissible_outcome_in_order() -> None:
    dtls = grant().dtls
    assert dtls is not None
    assert (dtls.min_version, dtls.max_version) == ("1.2", "1.3")
    assert dtls.groups == "X25519MLKEM768:X25519:P-256:P-384"
    assert dtls.srtp_profiles == ("AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES128_CM_SHA1_80")
    assert dtls.fingerprints == CLAIM.fingerprints


REFUSED = [
    ("strict", Role.INGEST, Channel(None, CERTIFICATE), "POLICY.PLAINTEXT_SIGNALLING"),
    ("strict", Role.INGEST, Channel("1.2", CERTIFICATE), "POLICY.TLS_TOO_OLD"),
    ("strict", Role.INGEST, Channel("1.3", TOKEN), "POLICY.IDENTITY_REFUSED"),
    ("strict", Role.ADMIN, Channel("1.3", TOKEN), "POLICY.IDENTITY_REFUSED"),
    ("strict", Role.DELIVERY, Channel("1.3", UNPROVED, public=True), "POLICY.IDENTITY_REFUSED"),
    ("standard", Role.INGEST, Channel("1.3", UNPROVED), "POLICY.IDENTITY_REFUSED"),
    ("standard", Role.INGEST, Channel("1.3", UNPROVED, public=True), "POLICY.IDENTITY_REFUSED"),
    ("standard", Role.DELIVERY, Channel("1.3", UNPROVED), "POLICY.IDENTITY_REFUSED"),
    ("standard", Role.DELIVERY, Channel("1.1", TOKEN), "POLICY.TLS_TOO_OLD"),
    ("compatible", Role.INGEST, Channel(None, TOKEN), "POLICY.PLAINTEXT_SIGNALLING"),
]


@pytest.mark.parametrize(("policy", "role", "channel", "code"), REFUSED)
def test_policy_refuses(policy: str, role: Role, channel: Channel, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        admit(CLAIM, channel, role, load(policy))
    assert refused.value.code == code


def test_a_refused_identity_is_told_what_would_be_admitted() -> None:
    with pytest.raises(Refusal) as refused:
        admit(CLAIM, Channel("1.3", TOKEN), Role.INGEST, load("strict"))
    assert refused.value.detail == "For ingest the policy strict admits certificate; token came."


def test_a_viewer_of_a_public_stream_is_shown_as_unproved() -> None:
    channel = Channel("1.3", UNPROVED, public=True)
    admitted = admit(CLAIM, channel, Role.DELIVERY, load("standard"))
    assert [note.code for note in admitted.notes] == ["NOTE.UNPROVED_PEER"]
    assert not admitted.peer.proved


def test_ignored_fingerprints_are_noted() -> None:
    claim = DtlsClaim("passive", CLAIM.fingerprints, ignored=("sha-1",))
    assert [note.code for note in grant(claim=claim).notes] == ["NOTE.WEAK_FINGERPRINT_IGNORED"]


def test_a_fingerprint_whose_hash_the_policy_does_not_name_is_refused() -> None:
    claim = DtlsClaim("passive", (FingerprintSpec(algorithm="sha-1", value="AB"),))
    with pytest.raises(Refusal) as refused:
        grant(claim=claim)
    assert refused.value.code == "POLICY.FINGERPRINT_REFUSED"


def test_tls_1_2_signalling_is_admitted_by_standard_and_noted() -> None:
    admitted = admit(CLAIM, Channel("1.2", TOKEN), Role.DELIVERY, load("standard"))
    assert [note.code for note in admitted.notes] == ["DOWNGRADE.TLS12"]


def test_a_tls_leg_is_judged_by_its_facts() -> None:
    facts = TlsFacts(version="1.2", group="X25519", cipher="ECDHE-ECDSA-AES128-GCM-SHA256")
    channel = Channel("1.2", CERTIFICATE)
    admitted = admit(TlsClaim(facts), channel, Role.INGEST, load("standard"))
    assert admitted.dtls is None
    assert [note.code for note in admitted.notes] == ["DOWNGRADE.TLS12"]
    with pytest.raises(Refusal):
        admit(TlsClaim(facts), channel, Role.INGEST, load("strict"))


def test_a_tls_leg_with_a_refused_group_is_refused() -> None:
    facts = TlsFacts(version="1.3", group="P-521")
    with pytest.raises(Refusal) as refused:
        admit(TlsClaim(facts), Channel("1.3", CERTIFICATE), Role.INGEST, load("standard"))
    assert refused.value.code == "POLICY.GROUP_REFUSED"


def test_the_best_outcome_has_no_notes() -> None:
    assert judge(seal(), grant()) == ()


def test_every_downgrade_of_a_sealed_leg_is_noted() -> None:
    notes = judge(seal(version="1.2", group="P-256", profile="AES128_CM_SHA1_80"), grant())
    assert [note.code for note in notes] == ["DOWNGRADE.DTLS12", "DOWNGRADE.SRTP_CM80"]


def test_the_proved_fingerprint_is_reported_in_the_hash_that_the_claim_used() -> None:
    claim = DtlsClaim("passive", (FingerprintSpec(algorithm="sha-512", value="AB"),))
    notes = judge(seal(version="1.2", fingerprint="sha-512 AB"), grant(claim=claim))
    assert [note.code for note in notes] == ["DOWNGRADE.DTLS12"]
    with pytest.raises(Bug):
        judge(seal(version="1.2", fingerprint="sha-256 AB"), grant(claim=claim))


OUTSIDE = [
    seal(version="1.2"),
    seal(group="P-256"),
    seal(profile="AES128_CM_SHA1_80"),
    seal(fingerprint=f"sha-256 {':'.join(['CD'] * 32)}"),
    seal(fingerprint=""),
    seal(version=""),
]


@pytest.mark.parametrize("outside", OUTSIDE)
def test_a_seal_outside_its_grant_is_a_bug_of_ours(outside: MediaSeal) -> None:
    with pytest.raises(Bug) as bug:
        judge(outside, grant("strict"))
    assert bug.value.code == "POLICY.OUTSIDE_GRANT"
