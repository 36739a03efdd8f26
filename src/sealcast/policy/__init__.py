"""What a leg may be.

Does: reads dated presets (`strict`, `standard`, `compatible`), turns a claim into a grant or a
refusal, and judges a seal against its grant. `admit` is the only maker of grants.

Does not: enforce. The grant's admissible outcomes go to the native core before a handshake; the
core compares. Does not know streams, sockets or time.

The caller must still: build the leg from the grant and from nothing else.

    policy = load("standard")
    grant = admit(claim, Channel(tls_version="1.3", peer=identity), Role.INGEST, policy)
    ...
    notes = judge(event.seal, grant)
"""

from sealcast.policy.admission import Channel, Grant, Note, Refusal, admit, judge
from sealcast.policy.preset import PRESETS, DtlsRules, Policy, Role, SrtpRules, TlsRules, load

__all__ = [
    "PRESETS",
    "Channel",
    "DtlsRules",
    "Grant",
    "Note",
    "Policy",
    "Refusal",
    "Role",
    "SrtpRules",
    "TlsRules",
    "admit",
    "judge",
    "load",
]
