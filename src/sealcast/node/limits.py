"""How much the node takes and how long it waits. One table; the front and the relay have theirs.

How many sessions and tracks there may be is the relay's to say (`_core.RELAY_LEGS`,
`_core.RELAY_TRACKS`).
"""

from __future__ import annotations

from typing import Final

SDP_BYTES: Final = 64 * 1024
"""A body at a WHIP or WHEP endpoint; `sealcast.sdp.limits` reads as much."""
FRAGMENT_BYTES: Final = 16 * 1024
"""A body at a session."""
READY_WAIT_S: Final = 2.0
"""How long a viewer's request waits for the first parameter sets of a stream that has begun."""
RETRY_AFTER_S: Final = 2
"""What a viewer of an absent stream is told to wait."""
UPLOADS: Final = 512
"""Uploads that are read at once: each has a thread."""
UPLOADS_OF_ONE: Final = 4
"""Of one identity to one stream: the present one, the one that takes over, and what hangs."""
SWEEP_S: Final = 1.0
"""How often streams without a publisher are looked for."""
MEASURE_S: Final = 0.5
"""Counters are asked from the relay at most this often, however many ask us."""
MEASURE_SHARE: Final = 0.01
"""And more seldom where it would spend more than this share of its time on answers."""
MEASURE_UNASKED_S: Final = 5.0
"""They are asked this often even when nobody wants them; dear ones are no older than this."""
KNOCKS_TOLD_S: Final = 60.0
"""A door's failed handshakes are a line in the log at most this often; the line counts them."""
CERTIFICATES_S: Final = 1.0
"""How often the doors' certificates and trust bundles are looked at."""
EXPIRY_S: Final = 60.0
"""How often it is looked at which of them end soon."""
REVOKED_S: Final = 0.2
"""How often it is asked what is revoked, and looked at what has expired."""
LAST_WORD_S: Final = 0.5
"""How long a demuxer that read to the end waits to hear why the connection ended."""
ATTACH_S: Final = 5.0
"""How long a demuxer's thread waits for the event loop."""
STOP_S: Final = 3.0
"""How long each part has to stop."""

TRIES_BURST: Final = 100
"""Refused enrolments of one address at once: a site of encoders behind one address is no attack."""
TRIES_A_MINUTE: Final = 10.0
"""And as time goes by."""
TRIES_KEPT: Final = 4096
"""Addresses, and certificates, that are remembered for it."""
RENEWALS_BURST: Final = 10
"""Renewals of one certificate at once: an agent whose disk is full tries again."""
RENEWALS_A_MINUTE: Final = 1.0
"""And as time goes by."""
AUTHORITY_THREADS: Final = 4
"""Requests that the authority works on at once; its store lets one write at a time."""
AUTHORITY_QUEUE: Final = 256
"""Requests that it works on or that wait for it; more are told to come later."""
PUBLISHED_S: Final = 1.0
"""How long a request for the roots or a list waits for a look at the store; then it is answered
with what was known before."""
RENEWAL_AGAIN_S: Final = 900
"""How long an agent is told to wait before it asks again when to renew (RFC 9773 §4.3). After a
theft everybody has to hear of it in time (`sealcast.identity.rolling.OVERLAP_AFTER_A_THEFT`)."""

PULL_AGAIN_S: Final = 0.5
"""After a pull that failed the next question comes this much later, give or take a half; twice as
much each time."""
PULL_AGAIN_MOST_S: Final = 30.0
"""And never later than this."""
PULL_ABSENT_AGAIN_S: Final = 2.0
"""While the origin waits for its publisher."""
PULL_STEADY_S: Final = 5.0
"""A leg that lasted this long was a success, whatever ended it."""
PULL_LOOK_S: Final = 1.0
"""How often a pull looks whether a certificate is newer."""
PULL_RENEW_SHARE: Final = 1 / 4
"""When this much of the life of the origin's certificate is left, it should have another one: nodes
renew at two thirds at the latest."""
PULL_CANDIDATES: Final = 16
"""Addresses of an origin that are tried; the relay takes no more."""
PULL_THREADS: Final = 8
"""Origins that are asked at once."""
