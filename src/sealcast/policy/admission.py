"""From a claim to a grant, and from a seal to notes.

Does: says which outcomes of a handshake are admissible for this claim, on this channel, in this
role; refuses with a code otherwise. Afterwards says which of the admitted outcomes were weaker than
the best.

Does not: take part in the handshake. A seal outside its grant is a fault of ours and raises `Bug`.
"""

from dataclasses import dataclass

from sealcast.codes import lookup
from sealcast.errors import Bug, RemoteError
from sealcast.keying.agreement import Claim, DtlsClaim, Identity, Proof, TlsClaim
from sealcast.policy.preset import Policy, Role
from sealcast.wire import DtlsSpec, MediaSeal, TlsFacts


class Refusal(RemoteError):  # noqa: N818 - it is the word for it
    """Policy said no; `code` says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a leg that was admitted: a code of the table and what it is about, this time."""

    code: str
    detail: str = ""

    @property
    def sentence(self) -> str:
        return lookup(self.code).sentence


@dataclass(frozen=True, slots=True)
class Channel:
    """What carried the claim.

    `tls_version` is that of the signalling connection, None where it had no TLS. `peer` is who was
    proved on it. `public` says that the operator marked the stream as open to all. `roles` are all
    that the peer's proof is good for, whatever the rules of the node say: for a certificate those
    of its profile, and fewer in another trust domain. None if the proof sets no such bound.
    """

    tls_version: str | None
    peer: Identity
    public: bool = False
    roles: frozenset[Role] | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What policy made of a claim. Only `admit` makes one.

    `dtls` are the admissible outcomes for the core (None for TLS legs, whose handshake is over);
    `notes` are already due, others come from `judge`.
    """

    policy: Policy
    role: Role
    peer: Identity
    dtls: DtlsSpec | None
    notes: tuple[Note, ...]


def admit(claim: Claim, channel: Channel, role: Role, policy: Policy) -> Grant:
    """The grant for `claim`, or a `Refusal` (POLICY.*) that says what would be admitted."""
    notes = [*_signalling(channel, policy), *_identity(channel, role, policy)]
    match claim:
        case DtlsClaim():
            dtls, more = _dtls(claim, policy)
            return Grant(policy, role, channel.peer, dtls, (*notes, *more))
        case TlsClaim():
            notes += _tls(claim.facts, policy)
            return Grant(policy, role, channel.peer, None, tuple(dict.fromkeys(notes)))


def _signalling(channel: Channel, policy: Policy) -> list[Note]:
    if channel.tls_version is None:
        raise Refusal("POLICY.PLAINTEXT_SIGNALLING")
    if channel.tls_version < policy.tls.min_version:
        raise Refusal(
            "POLICY.TLS_TOO_OLD",
            f"It was TLS {channel.tls_version}; the policy {policy.name} admits "
            f"{policy.tls.min_version} and later.",
        )
    return _downgrade(policy, "tls", channel.tls_version)


def _identity(channel: Channel, role: Role, policy: Policy) -> list[Note]:
    admitted = policy.proofs(role)
    if channel.peer.proof in admitted:
        return _within_proof(channel, role)
    if role is Role.DELIVERY and channel.public:
        if policy.identities.public_streams:
            return [Note("NOTE.UNPROVED_PEER")]
        raise Refusal(
            "POLICY.IDENTITY_REFUSED",
            f"The stream is marked public, but the policy {policy.name} admits no unproved viewer.",
        )
    came = "no proof came" if channel.peer.proof is Proof.UNPROVED else f"{channel.peer.proof} came"
    raise Refusal(
        "POLICY.IDENTITY_REFUSED",
        f"For {role} the policy {policy.name} admits {' or '.join(admitted)}; {came}.",
    )


def _within_proof(channel: Channel, role: Role) -> list[Note]:
    """The second look: a rule that says too much does not make more of a certificate."""
    if channel.roles is None or role in channel.roles or (role is Role.DELIVERY and channel.public):
        return []
    most = " and ".join(sorted(channel.roles)) or "nothing"
    raise Refusal(
        "POLICY.OUTSIDE_PROFILE",
        f"{channel.peer.name[:200]!r} is good for {most} here, not for {role}.",
    )


def _dtls(claim: DtlsClaim, policy: Policy) -> tuple[DtlsSpec, list[Note]]:
    hashes = policy.dtls.fingerprint_hashes
    fingerprints = tuple(print_ for print_ in claim.fingerprints if print_.algorithm in hashes)
    if not fingerprints:
        raise Refusal(
            "POLICY.FINGERPRINT_REFUSED",
            f"The policy {policy.name} admits {', '.join(hashes)}.",
        )
    notes = []
    if claim.ignored:
        notes.append(Note("NOTE.WEAK_FINGERPRINT_IGNORED", f"Ignored: {', '.join(claim.ignored)}."))
    dtls = DtlsSpec(
        role=claim.role,
        min_version=policy.dtls.min_version,
        max_version=policy.dtls.max_version,
        groups=":".join(policy.dtls.groups),
        srtp_profiles=policy.srtp.profiles,
        fingerprints=fingerprints,
    )
    return dtls, notes


def _tls(facts: TlsFacts, policy: Policy) -> list[Note]:
    if facts.version < policy.tls.min_version:
        raise Refusal(
            "POLICY.TLS_TOO_OLD",
            f"It was TLS {facts.version or 'unknown'}; the policy {policy.name} admits "
            f"{policy.tls.min_version} and later.",
        )
    if facts.group is not None and facts.group not in policy.tls.groups:
        raise Refusal(
            "POLICY.GROUP_REFUSED",
            f"It was {facts.group}; the policy {policy.name} admits "
            f"{', '.join(policy.tls.groups)}.",
        )
    return _downgrade(policy, "tls", facts.version)


def judge(seal: MediaSeal, grant: Grant) -> tuple[Note, ...]:
    """The downgrades in a sealed media leg, in protocol order.

    Raises `Bug` (POLICY.OUTSIDE_GRANT) when the core let through what was not granted: the caller
    must then close the leg.
    """
    if grant.dtls is None:
        raise Bug("POLICY.OUTSIDE_GRANT", "The grant is not for a media leg.")
    admissible = grant.dtls
    groups = admissible.groups.split(":")
    digests = {f"{print_.algorithm} {print_.value}".upper() for print_ in admissible.fingerprints}
    outside = [
        fact
        for fact, inside in (
            (f"DTLS {seal.version}", _between(admissible, seal.version)),
            (f"group {seal.group}", seal.group is None or seal.group in groups),
            (f"profile {seal.srtp_profile}", seal.srtp_profile in admissible.srtp_profiles),
            ("fingerprint", seal.peer_fingerprint.upper() in digests),
        )
        if not inside
    ]
    if outside:
        raise Bug("POLICY.OUTSIDE_GRANT", f"Not granted: {', '.join(outside)}.")
    return (
        *_downgrade(grant.policy, "dtls", seal.version),
        *_downgrade(grant.policy, "srtp", seal.srtp_profile),
    )


def _between(admissible: DtlsSpec, version: str) -> bool:
    # The versions are "1.2" and "1.3": they order as text.
    return admissible.min_version <= version <= admissible.max_version


def _downgrade(policy: Policy, area: str, outcome: str) -> list[Note]:
    code = policy.downgrades.get(f"{area}:{outcome}")
    return [] if code is None else [Note(code)]
