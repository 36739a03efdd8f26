"""Beside an encoder or a node: gets a certificate, and the next one before it ends.

Does: enrols with a one-time token over TLS that is pinned to the authority's fingerprint
(`enrolment`); renews over mutual TLS (`keeper`), swaps the files (`place`), runs a hook, says how
things stand (`report`).

Does not: stop. Whatever fails is told and tried again, the old certificate stays while it lasts.
Does not make connections for media.

The caller must still: run each `Keeper` in a thread of its own; it waits for the network.

Speaks HTTP by the standard library (`http.client`, `ssl`): one request at a time is all that is
needed, and a machine with an encoder on it need not have an HTTP stack for that.

Specs: RFC 9773 (renewal information), RFC 8555 §9.1 (chains), RFC 2986 (PKCS#10).
"""

from sealcast.agent.keeper import Keeper, Settings
from sealcast.agent.place import Pair, Place
from sealcast.agent.report import Standing

__all__ = ["Keeper", "Pair", "Place", "Settings", "Standing"]
