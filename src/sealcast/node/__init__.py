"""The running node: the only room with an event loop.

Does: reads the configuration, starts and stops the parts in order, carries events from the native
side to the hub and the ledger, answers HTTP.

Does not: decide who may do what (`sealcast.policy`, `sealcast.identity`, `sealcast.streams`), nor
what an SDP answer says (`sealcast.ingest.whip`, `sealcast.delivery.whep`)."""
