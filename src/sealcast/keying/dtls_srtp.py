"""DTLS-SRTP as SDP claims it (RFC 5763, RFC 8842): who shall act, and who will be proved.

Does: takes the strongest known hash among the fingerprints of the section that carries the
transport; several digests of that hash are all admissible (RFC 8122 §5: one per certificate); what
is weaker is ignored and named. Chooses our role: passive, unless the offer insists on being it.

Does not: compare a certificate. The native core does, in the handshake, before it gives out keys.
"""

from typing import Final

from sealcast.errors import RemoteError
from sealcast.keying.agreement import DtlsClaim
from sealcast.sdp.attributes import Fingerprint, Setup
from sealcast.sdp.offer import Offer
from sealcast.wire import DtlsRole, FingerprintSpec

# Strongest first. SHA-1, MD5 and SHA-224 are known, and not here.
HASHES: Final = ("sha-512", "sha-384", "sha-256")
_MOST: Final = 8


def claim(offer: Offer) -> DtlsClaim:
    """The claim that an offer makes.

    `RemoteError`: SDP.NO_FINGERPRINT, SDP.WEAK_FINGERPRINT, SDP.BAD_SETUP, and SDP.TOO_LARGE for
    more digests than any peer has certificates.
    """
    # RFC 8122 §5: those of a section replace those of the session.
    prints = offer.tagged.all(Fingerprint) or offer.session.all(Fingerprint)
    if not prints:
        raise RemoteError("SDP.NO_FINGERPRINT", f"It is missing in {offer.tagged.title}.")
    named = tuple(dict.fromkeys(print_.algorithm for print_ in prints))
    strongest = next((known for known in HASHES if known in named), None)
    if strongest is None:
        raise RemoteError("SDP.WEAK_FINGERPRINT", f"It names {', '.join(named)[:80]} only.")
    counted = dict.fromkeys(print_ for print_ in prints if print_.algorithm == strongest)
    if len(counted) > _MOST:
        raise RemoteError("SDP.TOO_LARGE", f"It names {len(counted)} digests; {_MOST} are read.")
    return DtlsClaim(
        role=_role(offer),
        fingerprints=tuple(FingerprintSpec(algorithm=p.algorithm, value=p.value) for p in counted),
        ignored=tuple(name for name in named if name != strongest),
    )


def _role(offer: Offer) -> DtlsRole:
    setup = offer.tagged.first(Setup) or offer.session.first(Setup)
    match setup:
        # RFC 4145 §4: a missing attribute means active.
        case None | Setup("actpass") | Setup("active"):
            return "passive"
        case Setup("passive"):
            return "active"
        case _:
            raise RemoteError("SDP.BAD_SETUP", f"It was a=setup:{setup.role}.")
