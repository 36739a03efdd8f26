"""HTTP: WHIP, WHEP, the ledger, health, metrics.

Does: reads requests, finds out who sends them, calls `sealcast.node.sessions`, answers. `app` puts
it together; `front_only` is the gate that every request passes.

Does not: decide. Handlers translate between HTTP and values.

Specs: RFC 9110 (HTTP), RFC 9725 (WHIP), draft-ietf-wish-whep-03 (WHEP), RFC 9457 (problem
details), RFC 6750 (bearer tokens), Fetch (CORS).
"""
