"""The node's identity from a SPIFFE Workload API."""

from typing import Final

from sealcast.codes.row import failures

ROWS: Final = failures(
    "identity",
    (
        "SPIFFE.NOT_INSTALLED",
        "A door's identity is to come from SPIFFE, and the library for it is not installed.",
        "pip install 'sealcast[spiffe]'",
    ),
    (
        "SPIFFE.UNREACHABLE",
        "There is no SPIFFE Workload API at the configured socket.",
        "Start the agent first, and give this user access to its socket (spiffe.socket).",
    ),
    (
        "SPIFFE.NO_IDENTITY",
        "The SPIFFE Workload API gave this node no identity in time.",
        "Register this workload with the agent's server, by what the agent sees of it.",
    ),
    (
        "SPIFFE.BAD_IDENTITY",
        "The SPIFFE Workload API gave an identity that this node cannot use; the old one stays.",
        "It must be of node.trust_domain, with the authorities of that trust domain beside it.",
    ),
)
